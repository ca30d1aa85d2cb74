//! The processes: this program, started again.

use std::{
    io::{BufRead, BufReader, Read, Write, stdin, stdout},
    process::{Child, Command, Stdio},
};

use apikey_core::KeyFormat;
use apikey_manager::KeyManager;
use apikey_sqlx::SqlStore;

const URL: &str = "FLEET_DATABASE";

pub(crate) struct Node(Child);

impl Node {
    /// Starts a process, and waits until it has joined.
    pub(crate) fn start(url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        // Its input ends with this process, and it with its input.
        command.env(URL, url).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "joined");
        Node(child)
    }
}

/// Kills it with SIGKILL.
impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn manager(url: &str) -> KeyManager {
    let store = SqlStore::connect(url).await.expect("a store");
    let keys = KeyManager::builder(store).format(format()).build().expect("a manager");
    keys.readiness().await.expect("a lease");
    keys
}

pub(crate) fn format() -> KeyFormat {
    KeyFormat::builder("acme").build().expect("a format")
}

/// Returns the database that this process is to join, if it was started by another.
pub(crate) fn asked() -> Option<String> {
    std::env::var(URL).ok()
}

/// Is one of the processes, until it is killed or its input ends.
pub(crate) async fn run(url: &str) {
    let _keys = manager(url).await;
    writeln!(stdout(), "joined").expect("a reader");
    let _ = tokio::task::spawn_blocking(|| stdin().read(&mut [0])).await;
}
