//! The binary under test, in its own folder. It is killed, by its id, on drop.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::http::{Answer, PATIENCE, Request};

/// Longer than a start takes among others, on a busy machine.
const STARTS: Duration = Duration::from_secs(120);

/// A working directory, initially empty.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the file of keys.
    pub(crate) fn store(&self) -> PathBuf {
        self.path().join(crate::keys::FILE)
    }

    /// Returns the names of the files in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Starts the service on a free port, and waits until it listens.
    pub(crate) fn start(&self) -> Service {
        self.launch("127.0.0.1:0").ready()
    }

    /// Starts the service without waiting.
    pub(crate) fn launch(&self, address: &str) -> Launch {
        self.launch_with(&[], &[("ADDR", address)])
    }

    /// Starts the program with these arguments and settings, without waiting.
    pub(crate) fn launch_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Launch {
        self.launch_program(crate::BINARY, arguments, settings)
    }

    pub(crate) fn launch_program(&self, program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Launch {
        let mut command = Command::new(program);
        // A test reads keys from a pipe, which must be requested.
        command.current_dir(self.path()).env_clear().env("KEY_OUTPUT", "stdout").args(arguments);
        command.envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        Launch { child: Running(child), out, err }
    }
}

/// A process that may not listen yet.
pub(crate) struct Launch {
    child: Running,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Drop for Launch {
    /// Shows the rest of its log if the test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.err.try_iter().for_each(|line| eprintln!("it logged: {line}"));
        }
    }
}

impl Launch {
    /// Waits until it listens, which its last line reports.
    pub(crate) fn ready(self) -> Service {
        let (mut key, mut page) = (None, None);
        loop {
            let Ok(line) = self.out.recv_timeout(STARTS) else {
                panic!("it doesn't listen: {:?}", self.end());
            };
            if let Some(address) = line.strip_prefix("listening on http://") {
                return Service { address: address.to_owned(), key, page, launch: self };
            } else if let Some(text) = line.strip_prefix("API key \"bootstrap\", shown only now: ") {
                key = Some(text.to_owned());
            } else if let Some(address) = line.strip_prefix("manage keys at ") {
                page = Some(address.to_owned());
            } else if !line.contains(' ') {
                key = Some(line);
            } else {
                panic!("unexpected on standard output: {line}");
            }
        }
    }

    /// Waits for its end. Returns the status, and the remaining lines of standard output and standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let out = drain(&self.out);
        let err = drain(&self.err);
        (self.child.0.wait().unwrap(), out, err)
    }
}

/// A process that listens.
pub(crate) struct Service {
    pub(crate) address: String,
    /// The key that it has shown.
    pub(crate) key: Option<String>,
    /// Where it says that keys are managed.
    pub(crate) page: Option<String>,
    launch: Launch,
}

impl Service {
    pub(crate) fn send(&self, request: &Request) -> Answer {
        request.send(&self.address)
    }

    /// Returns the process's id.
    pub(crate) fn id(&self) -> u32 {
        self.launch.child.0.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("/bin/kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits until it has logged a line that contains `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        while !self
            .launch
            .err
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("it never logs {text:?}"))
            .contains(text)
        {}
    }

    /// Waits for its end, which must be graceful.
    pub(crate) fn end(self) {
        let (status, out, err) = self.launch.end();
        assert!(status.success(), "{status}: {err:?}");
        assert_eq!(out, [""; 0]);
    }

    pub(crate) fn stop(self) {
        self.signal("TERM");
        self.end();
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has already ended, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(source).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).count()
    });
    receiver
}

/// Returns the lines until the process ends.
fn drain(lines: &Receiver<String>) -> Vec<String> {
    let next = || match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("it doesn't end"),
    };
    std::iter::from_fn(next).collect()
}
