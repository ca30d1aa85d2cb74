//! The pages tell the truth: every command of README.md is run, in order, and answered as it says.
//!
//! A block of ```` ```console ```` has commands after `$`, each followed by its output. After `curl -i` that is status,
//! the headers that matter, and body; otherwise the body of an answer of 2xx. `NAME=$(cargo run … -- …)` runs the program
//! with these arguments, and what it prints goes where later commands have `$NAME`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    curl,
    http::Answer,
    service::{Folder, Service},
};

#[test]
fn given_each_command_of_the_readme_when_sent_then_the_answer_is_the_one_it_shows() {
    let hour = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600;
    loop {
        let began = hour();
        let sent = follow(crate::README);
        // Answers may have parts by the hour, and the page shows a single one.
        if hour() == began {
            assert!(sent.as_ref().is_ok_and(|sent| *sent > 4), "{sent:?}");
            break;
        }
    }
}

/// Does what the page says, with a service of its own: how many requests were sent, or the first that was not answered as
/// the page says.
fn follow(page: &str) -> Result<usize, String> {
    let folder = Folder::new();
    let service = folder.start();
    let mut names = vec![("$KEY".to_owned(), service.key.clone().unwrap())];
    let mut sent = 0;
    for (command, output) in commands(page) {
        if command.starts_with("curl ") {
            let full = names.iter().fold(command.clone(), |text, (name, value)| text.replace(name, value));
            ask(&service, &full, &output).map_err(|answer| format!("{command}: {answer:?}, not {output}"))?;
            sent += 1;
        } else if let Some((name, run)) = command.split_once("=$(cargo run ") {
            let (_, arguments) = run.trim_end_matches(')').split_once(" -- ").unwrap();
            let arguments: Vec<_> = arguments.split(' ').collect();
            let (status, out, err) = folder.launch_with(&arguments, &[]).end();
            assert!(status.success(), "{command}: {err:?}");
            names.push((format!("${name}"), out.concat()));
        }
    }
    Ok(sent)
}

fn ask(service: &Service, command: &str, output: &str) -> Result<(), Answer> {
    let answer = service.send(&curl::request(command));
    let expected = match command.starts_with("curl -i ") {
        true => Answer::parse(output),
        false if (200..300).contains(&answer.status) => {
            Answer::parse(&format!("HTTP/1.1 {}\n\n{output}", answer.status))
        }
        false => return Err(answer),
    };
    match answer.is(&expected) {
        true => Ok(()),
        false => Err(answer),
    }
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
