//! A running service, its operator, and the homes of people who use its command line.

use std::{
    env, fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::contract::{
    http::{Answer, Request, json},
    service::{Folder, Service},
};

/// A service with its first key.
pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) service: Service,
    pub(crate) admin: String,
}

/// A key, and its id.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What a program printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let service = folder.start();
        let admin = service.key.clone().unwrap();
        Stand { folder, service, admin }
    }

    /// Runs the service's own program, as its operator does.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.operator(arguments), "")
    }

    pub(crate) fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::BINARY);
        command.current_dir(self.folder.path()).env_clear().arg("keys").args(arguments);
        command
    }

    pub(crate) fn issue(&self, organization: &str, name: &str) -> Key {
        let arguments = ["--organization", organization, "--json", "issue", name, "--key-output", "stdout"];
        let issued = json(&self.operate(&arguments).out);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Key { id: text(&issued["key"]["id"]), secret: text(&issued["secret"]) }
    }

    pub(crate) fn send(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::new(method, path).bearer(key);
        self.service.send(&if body.is_empty() { request } else { request.json(body) })
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Value {
        let answer = self.send(key, "GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        json(&answer.body)
    }
}

/// Somebody who uses the command line, in a home of their own without a keyring.
pub(crate) struct Person {
    home: TempDir,
    host: String,
    variables: Vec<(String, String)>,
}

impl Person {
    pub(crate) fn new(stand: &Stand) -> Self {
        let host = format!("http://{}", stand.service.address);
        Person { home: tempfile::tempdir().unwrap(), host, variables: Vec::new() }
    }

    /// A pipeline, which has the key in its environment.
    pub(crate) fn pipeline(stand: &Stand, key: &str) -> Self {
        let address = stand.service.address.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let variables = vec![(format!("REGISTRY_API_KEY_AT_{address}"), key.to_owned())];
        Person { variables, ..Person::new(stand) }
    }

    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.variables.push((variable.to_owned(), value.to_owned()));
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(registry());
        command.current_dir(self.home()).env_clear().env("HOME", self.home()).env("REGISTRY_HOST", &self.host);
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").env("PATH", "/usr/bin:/bin");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        ended(&mut self.command(arguments), input)
    }

    /// Runs a line of a shell, where the command line is `registry`, and returns what it prints.
    pub(crate) fn shell(&self, line: &str) -> String {
        let bin = self.home().join("bin");
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            symlink(registry(), bin.join("registry")).unwrap();
        }
        let plain = self.command(&[]);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).current_dir(self.home()).env_clear();
        shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = ended(shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())), "");
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        ended.out
    }

    /// Runs a command that must succeed, and returns what it prints.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        ended.out
    }
}

/// Returns `true` if a text is as expected. `…` there stands for anything within a line.
pub(crate) fn is_like(text: &str, expected: &str) -> bool {
    let is_like = |line: &str, expected: &str| {
        let mut rest = Some(line);
        let mut parts = expected.split('…');
        rest = rest.and_then(|rest| rest.strip_prefix(parts.next()?));
        let mut is_open = false;
        for part in parts {
            rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
            is_open = part.is_empty();
        }
        rest.is_some_and(|rest| rest.is_empty() || is_open)
    };
    text.lines().count() == expected.lines().count() && text.lines().zip(expected.lines()).all(|(a, b)| is_like(a, b))
}

fn ended(command: &mut Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// The command line. `cargo test` builds it, unless it is told to build a single test target (`--test`).
fn registry() -> PathBuf {
    let target = env::current_exe().unwrap();
    let program = target.parent().and_then(Path::parent).unwrap().join("examples/registry-under-test");
    assert!(program.exists(), "run `cargo build -p registry-api --example registry-under-test` first");
    program
}
