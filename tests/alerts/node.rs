//! A process with a manager and its API, which can be killed.

use std::{
    env,
    io::{BufRead, BufReader, Write, stdout},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use apikey_console::Console;
use apikey_manager::{Fleet, KeyManager};
use apikey_sqlx::SqlStore;
use apikey_webhooks::Webhooks;
use axum::Router;
use serde_json::Value;
use support::{patiently, ready, wire::exchange};
use tokio::net::TcpListener;

use crate::database::{Database, format};

const URL: &str = "ALERTS_DATABASE";
const SWEEP: &str = "ALERTS_SWEEP_MILLIS";
const PATIENCE: &str = "ALERTS_PATIENCE_MILLIS";
const ALONE: &str = "ALERTS_ALONE";

/// How long a process may take to listen.
const STARTS: Duration = Duration::from_secs(60);

pub(crate) struct Settings {
    /// How often keys are swept.
    pub(crate) sweep: Duration,
    /// The longest time of a delivery.
    pub(crate) patience: Duration,
    /// `true` if no other process runs meanwhile.
    pub(crate) alone: bool,
}

pub(crate) struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    /// Starts a process, and waits until it listens.
    pub(crate) fn start(database: &Database, settings: &Settings) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "node::the_process_that_is_killed", "--ignored", "--nocapture"]);
        command.env(URL, &database.url);
        command.env(SWEEP, settings.sweep.as_millis().to_string());
        command.env(PATIENCE, settings.patience.as_millis().to_string());
        if settings.alone {
            command.env(ALONE, "1");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (listens, address) = mpsc::channel();
        // It reads to the end, since the test harness in the process ends when it can't print that a test takes long.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listens at ") {
                    let _ = listens.send(address.parse::<SocketAddr>().unwrap());
                }
            }
        });
        match address.recv_timeout(STARTS) {
            Ok(address) => Node { child, address },
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                panic!("a process does not listen: {error}");
            }
        }
    }

    pub(crate) fn api(&self, key: &str) -> Api {
        Api { address: self.address, key: key.to_owned() }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(self) {}
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started, and killed, by the other tests"]
async fn the_process_that_is_killed() {
    let Ok(url) = env::var(URL) else { return };
    let millis = |name| Duration::from_millis(env::var(name).unwrap().parse().unwrap());
    let webhooks = Webhooks::builder()
        .allow_plain_http()
        .allow_internal_addresses(|address| address == Ipv4Addr::LOCALHOST)
        .time_limit(millis(PATIENCE))
        .build()
        .unwrap();
    let builder = KeyManager::builder(patiently(|| SqlStore::connect(&url)).await)
        .format(format())
        .sweep_interval(millis(SWEEP))
        .webhooks(webhooks);
    let builder = match env::var_os(ALONE) {
        Some(_) => builder.alone(),
        None => builder.fleet(Fleet::new().lease(Duration::from_secs(2))),
    };
    let keys = builder.build().unwrap();
    ready(&keys).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The test harness may have begun a line.
    stdout().write_all(format!("\nlistens at {}\n", listener.local_addr().unwrap()).as_bytes()).unwrap();
    axum::serve(listener, Router::new().nest_service("/keys", Console::new(&keys))).await.unwrap();
}

/// A client of a process's API.
pub(crate) struct Api {
    address: SocketAddr,
    key: String,
}

impl Api {
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, 200, None).await
    }

    pub(crate) async fn post(&self, path: &str, status: u16, body: &Value) -> Value {
        self.call("POST", path, status, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Value {
        self.call("PATCH", path, 200, Some(body)).await
    }

    /// Issues a key, and returns its id.
    pub(crate) async fn issue(&self, body: &Value) -> String {
        let issued = self.post("api-keys", 201, body).await;
        issued["key"]["id"].as_str().unwrap().to_owned()
    }

    /// Creates a webhook, and returns its id and its secret.
    pub(crate) async fn webhook(&self, body: &Value) -> (String, String) {
        let made = self.post("webhooks", 201, body).await;
        (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
    }

    /// Returns the items of all pages of a list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                self.get(&format!("{path}{}limit=200{cursor}", if path.contains('?') { '&' } else { '?' })).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    async fn call(&self, method: &str, path: &str, status: u16, body: Option<&Value>) -> Value {
        let body = body.map_or_else(String::new, Value::to_string);
        let Api { address, key } = self;
        let request = format!(
            "{method} /keys/v1/{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        );
        let answer = exchange(*address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }
}
