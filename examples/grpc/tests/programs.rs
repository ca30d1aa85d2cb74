//! Server and client as programs: runs every command of README.md in order, and compares the output.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::contract::patience::{CLIENT_TIMEOUT, HTTP2_HALF, assert_cut_off};

/// Longer than a start takes, so that a test fails instead of hanging.
const STARTS: Duration = Duration::from_secs(120);
const README: &str = include_str!("../README.md");

#[path = "../../../tests/contract"]
mod contract {
    #[expect(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod http;
    #[expect(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod patience;
}

/// A server in its own folder. It is killed, by its id, on drop.
struct Server {
    process: Child,
    address: String,
    first_key: Option<String>,
}

impl Server {
    fn start(folder: &Path) -> Self {
        Server::start_with(folder, &[])
    }

    fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command
            .current_dir(folder)
            .env_clear()
            .env("ADDR", "127.0.0.1:0")
            .env("KEY_OUTPUT", "stdout")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let mut server = Server { process, address: String::new(), first_key: None };
        while server.address.is_empty() {
            let line = lines.recv_timeout(STARTS).expect("it doesn't listen");
            if let Some(address) = line.strip_prefix("listening on ") {
                server.address = address.to_owned();
            } else {
                server.first_key = Some(line);
            }
        }
        server
    }

    fn client(&self, key: Option<&str>, arguments: &[String]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.env_clear().env("SERVER", &self.address).args(arguments);
        key.map(|key| command.env("API_KEY", key));
        command.output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has already ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn given_a_client_that_does_not_finish_the_head_of_its_call_then_it_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), &[CLIENT_TIMEOUT]);
    assert_cut_off(server.address.strip_prefix("http://").unwrap(), &[HTTP2_HALF]);
}

#[test]
fn given_each_command_of_the_readme_when_run_then_it_prints_what_the_page_shows() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let key = server.first_key.clone().unwrap();
    let mut run = 0;
    for (command, printed) in commands(README) {
        let (given, arguments) = match command.split_once("cargo run -q -p grpc --bin client -- ") {
            Some((given, arguments)) => (given, words(arguments)),
            None => continue,
        };
        let output = match given {
            "" => server.client(Some(&key), &arguments),
            "API_KEY=demo_live_mistyped " => server.client(Some("demo_live_mistyped"), &arguments),
            _ => panic!("not understood: {command}"),
        };
        assert_eq!(text(&output), printed, "{command}");
        assert_eq!(output.status.success(), !printed.starts_with("error: "), "{command}");
        run += 1;
    }
    assert!(run > 4, "only {run} commands were found");
}

#[test]
fn given_a_key_file_when_started_again_then_no_key_is_shown_and_the_old_one_works() {
    let folder = TempDir::new().unwrap();
    let key = Server::start(folder.path()).first_key.clone().unwrap();
    let file = fs::read_to_string(folder.path().join("api-keys.toml")).unwrap();
    assert!(!file.contains(key.strip_prefix("demo_live_").unwrap()), "{file}");

    let again = Server::start(folder.path());
    assert_eq!(again.first_key, None);
    assert_eq!(text(&again.client(Some(&key), &["open".into(), "cash".into()])), "opened cash");
}

#[test]
fn given_no_key_or_no_command_when_the_client_is_run_then_it_says_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let key = server.first_key.clone().unwrap();
    let open = ["open".to_owned(), "cash".to_owned()];
    let printed = text(&server.client(None, &open));
    assert!(printed.starts_with("error: API_KEY: "), "{printed}");
    let printed = text(&server.client(Some("two words"), &open));
    assert_eq!(printed, "error: API_KEY: an API key is visible ASCII without spaces");
    assert!(text(&server.client(Some(&key), &[])).starts_with("error: usage: "));
}

/// Returns a program's output of both streams.
fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(both).unwrap().trim_end().to_owned()
}

/// Returns the commands of a page, with their output.
fn commands(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```console\n").skip(1).filter_map(|block| block.split("```").next());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let split = |text: &str| match text.split_once('\n') {
        Some((command, output)) => (command.to_owned(), output.trim_end().to_owned()),
        None => (text.to_owned(), String::new()),
    };
    commands.map(split).collect()
}

/// Splits like a shell, as far as these pages need: at spaces outside double quotes.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    let words = parts.flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}
