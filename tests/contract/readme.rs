//! Runs every command of README.md in order, and compares the answers.
//!
//! A block of ```` ```console ```` has commands after `$`, each followed by its output. After `curl -i`, the output is
//! the status, the important headers and the body; otherwise it is the body of a 2xx answer. `NAME=$(…)` stores an
//! output, which later commands use as `$NAME`. `KEY_OUTPUT=stdout cargo run … -- …` runs the program with these
//! arguments, `curl …` sends a request, and everything else is run by the shell.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    curl,
    http::Answer,
    service::{Folder, Service},
};

/// Names and their values.
type Names = Vec<(String, String)>;

#[test]
fn given_each_command_of_the_readme_when_sent_then_the_answer_is_the_one_it_shows() {
    let hour = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600;
    loop {
        let began = hour();
        let sent = follow(crate::README);
        // Usage may have several hours, and the README shows one.
        if hour() == began {
            assert!(sent.as_ref().is_ok_and(|sent| *sent > 4), "{sent:?}");
            break;
        }
    }
}

/// Runs the README's commands against a new service. Returns the number of requests, or the first mismatch.
fn follow(page: &str) -> Result<usize, String> {
    let folder = Folder::new();
    let service = folder.start();
    let mut names: Names = vec![("KEY".to_owned(), service.key.clone().unwrap())];
    let mut sent = 0;
    for (command, output) in commands(page) {
        if command.starts_with("curl ") {
            let full = with_values(&command, &names);
            ask(&service, &full, &output).map_err(|answer| format!("{command}: {answer:?}, not {output}"))?;
            sent += 1;
        } else if let Some((name, run)) = command.split_once("=$(").filter(|_| command.ends_with(')')) {
            let printed = capture(&folder, &service, &run[..run.len() - 1], &names)?;
            names.push((name.to_owned(), printed));
        }
    }
    Ok(sent)
}

fn with_values(command: &str, names: &Names) -> String {
    // The longest names first, because one may begin with another.
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.iter().fold(command.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
}

/// Returns the output of a command.
fn capture(folder: &Folder, service: &Service, command: &str, names: &Names) -> Result<String, String> {
    if command.starts_with("KEY_OUTPUT=stdout cargo run ") {
        let (_, arguments) = command.split_once(" -- ").unwrap();
        let (status, out, err) = folder.launch_with(&arguments.split(' ').collect::<Vec<_>>(), &[]).end();
        assert!(status.success(), "{command}: {err:?}");
        return Ok(out.concat());
    }
    if command.starts_with("curl ") {
        let answer = service.send(&curl::request(&with_values(command, names)));
        return match answer.status {
            200..300 => Ok(answer.body),
            _ => Err(format!("{command}: {answer:?}")),
        };
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear().env("PATH", "/usr/bin:/bin").envs(names.iter().cloned());
    let output = shell.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    match output.status.success() && !printed.is_empty() {
        true => Ok(printed),
        false => Err(format!("{command}: {}: {printed}", output.status)),
    }
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

/// Returns the commands of a page, each in one line, with their output.
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
