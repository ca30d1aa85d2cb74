//! A process with a manager: a service, its management API, and two routes for whoever injects faults.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write, stdout},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use apikey_console::Console;
use apikey_core::KeyFormat;
use apikey_manager::{Fleet, KeyManager};
use apikey_sqlx::SqlOptions;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path as InPath,
    routing::get,
};
use axum_apikey::ApiKeyLayer;
use futures_util::stream;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;

use crate::stopping::{Stopping, own_id, read_so_far, stop_at};

const URL: &str = "FAULTS_DATABASE";
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The shortest lease, so that runs are short.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// The time limit of a statement: shorter than a lease.
const STATEMENT: Duration = Duration::from_secs(1);
/// How long a process may take to listen, with a database that is cut off for a while.
const STARTS: Duration = Duration::from_secs(60);

/// A running process.
pub(crate) struct Node {
    child: Child,
    pid: Pid,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts a process whose wall clock is that many seconds ahead, and waits until it listens.
    pub(crate) fn start(url: &str, ahead: i64) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "node::the_process_that_suffers", "--ignored", "--nocapture"]).env(URL, url);
        if ahead != 0 {
            command.env("LD_PRELOAD", faketime().expect("libfaketime"));
            // Clocks that nobody can set are not faked.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME", format!("{ahead:+}s"));
        }
        // Its input ends with this process, and it with its input.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
        let pid = Pid::from_child(&child);
        match address.recv_timeout(STARTS) {
            Ok(address) => Node { child, pid, address },
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                panic!("a process does not listen: {error}");
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Returns `true` if all of its threads have stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero())).unwrap();
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        })
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(self) {}
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the path of libfaketime, if it is installed.
pub(crate) fn faketime() -> Option<std::path::PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|folder| folder.path());
    let found = folders.map(|folder| folder.join(LIBRARY)).find(|library| Path::exists(library));
    assert!(found.is_some() || env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no libfaketime");
    found
}

pub(crate) fn format() -> KeyFormat {
    KeyFormat::builder("tst").build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started, stopped and killed by the other tests"]
async fn the_process_that_suffers() {
    let Ok(url) = env::var(URL) else { return };
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
    if env::var_os("FAULTS_LOG").is_some() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    // Its database may be cut off just now.
    let store = loop {
        match SqlOptions::new().timeout(STATEMENT).connect(&url).await {
            Ok(store) => break store,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let builder = KeyManager::builder(Stopping(store)).format(format()).fleet(Fleet::new().lease(LEASE));
    let keys = builder.build().unwrap();
    let ticks = || {
        Body::from_stream(stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"tick\n")), ()))
        }))
    };
    let app = Router::new()
        .route("/probe", get(async || "in"))
        .route("/stream", get(async move || ticks()))
        .route_layer(ApiKeyLayer::new(keys.authenticator()))
        .route("/id", get(async || own_id()))
        .route("/read/{key}", get(async |InPath(key): InPath<String>| read_so_far(&key)))
        .route("/stop-at/{point}", get(async |InPath(point): InPath<usize>| stop_at(point)))
        .nest_service("/keys", Console::new(&keys));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The test harness may have begun a line.
    stdout().write_all(format!("\nlistens at {}\n", listener.local_addr().unwrap()).as_bytes()).unwrap();
    axum::serve(listener, app).await.unwrap();
}
