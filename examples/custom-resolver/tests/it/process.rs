//! The two programs as processes. Each is killed, by its id, on drop.

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::contract::http::{Request, json};

pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
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
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Process { child, lines, url: String::new(), keys: Vec::new() };
        while process.url.is_empty() {
            let line = process.lines.next().expect("it doesn't listen").unwrap();
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
