//! Runs every `curl` command of README.md in order, and compares the answers.

use tempfile::TempDir;

use super::process::Process;
use crate::contract::{curl, http::Answer};

const README: &str = include_str!("../../README.md");

#[test]
fn given_each_command_of_the_readme_when_sent_then_the_answer_is_the_one_it_shows() {
    let folder = TempDir::new().unwrap();
    let verifier = Process::verifier(folder.path(), "127.0.0.1:0");
    let service = Process::service(&verifier);
    let mut key = None;
    let mut sent = 0;
    for (command, output) in commands().into_iter().filter(|(command, _)| command.starts_with("curl ")) {
        let address = match (command.contains(":4000/"), command.contains(":3000/")) {
            (true, false) => verifier.address(),
            (false, true) => service.address(),
            _ => panic!("to whom? {command}"),
        };
        let given = command.replace("$OPERATOR", &verifier.keys[0]).replace("$KEY", key.as_deref().unwrap_or("$KEY"));
        let mut answer = curl::request(&given).send(address);
        if output.contains("demo_live_…") {
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let made = body["key"].as_str().unwrap().to_owned();
            answer.body = answer.body.replace(&made, "demo_live_…");
            key = Some(made);
        }
        if command.starts_with("curl -i ") {
            answer.assert_is(&Answer::parse(&output), &command);
        } else {
            answer.assert_is(&Answer::parse(&format!("HTTP/1.1 200 OK\n\n{output}")), &command);
        }
        sent += 1;
    }
    assert!(sent > 6, "only {sent} commands were found");
}

/// Returns the commands of the page, each in one line, with their output.
fn commands() -> Vec<(String, String)> {
    let blocks = README.split("```console\n").skip(1).filter_map(|block| block.split("```").next());
    let one = |text: &str| {
        let text = text.replace("\\\n", "");
        let (command, output) = text.split_once('\n').unwrap_or((&text, ""));
        (command.split_whitespace().collect::<Vec<_>>().join(" "), output.trim_end().to_owned())
    };
    blocks.flat_map(|block| block.split("$ ").skip(1)).map(one).collect()
}
