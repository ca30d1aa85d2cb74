//! The two programs as processes. Each is killed, by its id, on drop.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use crate::contract::http::{Request, json};

/// Longer than a start takes, so that a test fails instead of hanging.
const STARTS: Duration = Duration::from_secs(120);

pub(crate) struct Process {
    child: Child,
    /// Keeps its standard output open.
    lines: Receiver<String>,
    /// `http://…`
    pub(crate) url: String,
    /// The operator's key and the service's, if this start created them.
    pub(crate) keys: Vec<String>,
}

impl Process {
    /// The verifier, with its keys in `folder`.
    pub(crate) fn verifier(folder: &Path, address: &str) -> Self {
        Process::verifier_with(folder, [("ADDR", address)])
    }

    pub(crate) fn verifier_with<const N: usize>(folder: &Path, settings: [(&str, &str); N]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
        command.current_dir(folder).env_clear().env("KEY_OUTPUT", "stdout").envs(settings);
        let mut verifier = Process::start(command);
        // At the first start, the operator creates the service's key.
        if let [operator] = &verifier.keys[..] {
            let new = Request::new("POST", "/keys").bearer(operator);
            let answer = new.json(r#"{"id":"service","scopes":["keys:resolve"]}"#).send(verifier.address());
            verifier.keys.push(json(&answer.body)["key"].as_str().unwrap().to_owned());
        }
        verifier
    }

    pub(crate) fn service(verifier: &Process) -> Self {
        Process::service_with(verifier, [("ADDR", "127.0.0.1:0")])
    }

    pub(crate) fn service_with<const N: usize>(verifier: &Process, settings: [(&str, &str); N]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_custom-resolver"));
        command.env_clear().envs(settings);
        command.env("VERIFIER_URL", &verifier.url).env("VERIFIER_KEY", &verifier.keys[1]);
        Process::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let mut process = Process { child, lines, url: String::new(), keys: Vec::new() };
        while process.url.is_empty() {
            let line = process.lines.recv_timeout(STARTS).expect("it doesn't listen");
            if let Some(url) = line.strip_prefix("listening on ") {
                process.url = url.to_owned();
            } else {
                process.keys.push(line);
            }
        }
        process
    }

    /// The host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `STOP`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("/bin/kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
