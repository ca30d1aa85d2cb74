//! The pages tell the truth: every command of README.md is run, in order, and answered as it says.
//!
//! A block of ```` ```console ```` has commands after `$`, each followed by its output. After `curl -i` that is status,
//! the headers that matter, and body; otherwise the body of an answer of 2xx.

use super::{curl, http::Answer, service::Folder};

#[test]
fn given_each_command_of_the_readme_when_sent_then_the_answer_is_the_one_it_shows() {
    let folder = Folder::new();
    let service = folder.start();
    let key = service.key.clone().unwrap();
    let mut sent = 0;
    for (command, output) in commands(crate::README) {
        if !command.starts_with("curl ") {
            continue;
        }
        let answer = service.send(&curl::request(&command.replace("$KEY", &key)));
        if command.starts_with("curl -i ") {
            answer.assert_is(&Answer::parse(&output), &command);
        } else {
            assert!((200..300).contains(&answer.status), "{command}: {answer:?}");
            answer.assert_is(&Answer::parse(&format!("HTTP/1.1 {}\n\n{output}", answer.status)), &command);
        }
        sent += 1;
    }
    assert!(sent > 4, "only {sent} commands were found");
}

#[test]
fn given_each_command_above_the_program_then_the_readme_explains_it() {
    let header: Vec<_> = crate::MAIN.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let header = header.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let explained: Vec<_> = commands(crate::README).into_iter().map(|(command, _)| command).collect();
    let commands = commands(&header);
    assert!(commands.len() > 3);
    for (command, _) in commands {
        assert!(explained.contains(&command), "{command}");
    }
}

/// Each template is whole, so this file stands in all of them.
#[test]
fn given_the_templates_then_their_key_files_are_made_by_the_same_code() {
    let axum = include_str!("../axum-quickstart/src/key_file.rs");
    let actix = include_str!("../actix-quickstart/src/key_file.rs");
    let tower = include_str!("../plain-tower/src/key_file.rs");
    let without_imports =
        |text: &'static str| text.lines().filter(|line| !line.starts_with("use ")).collect::<Vec<_>>();
    assert_eq!(without_imports(actix), without_imports(axum));
    assert_eq!(without_imports(tower), without_imports(axum));
}

/// The commands of a page, each in one line, with their output.
fn commands(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```console\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.flat_map(|block| block.split("$ ").skip(1)).map(one_command).collect()
}

fn one_command(text: &str) -> (String, String) {
    let text = text.replace("\\\n", "");
    let (command, output) = text.split_once('\n').unwrap_or((&text, ""));
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
    (command, output.trim_end().to_owned())
}
