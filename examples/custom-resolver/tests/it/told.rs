//! A scripted verifier, which answers with given bytes or never.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// It ends on drop.
pub(crate) struct Told {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// Nothing: it hangs.
    answer: Option<String>,
    connections: usize,
    requests: Vec<String>,
    forgets: bool,
}

impl Told {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                connections.spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Told { url, state, _tasks: tasks }
    }

    pub(crate) fn hang(&self) {
        self.state.lock().unwrap().answer = None;
    }

    /// Answers with this from now on. A malformed response ends the connection.
    pub(crate) fn say(&self, answer: impl Into<String>) {
        self.state.lock().unwrap().answer = Some(answer.into());
    }

    /// Answers with this status and body from now on.
    pub(crate) fn answer(&self, status: u16, body: &str) {
        self.say(format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// Ends a connection at its second request without an answer, as a server does after an idle timeout.
    pub(crate) fn forget_kept_connections(&self) {
        self.state.lock().unwrap().forgets = true;
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Returns the requests, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut is_kept = false;
    while let Some(request) = read(&mut stream).await {
        let answer = {
            let mut state = state.lock().unwrap();
            if state.forgets && is_kept {
                return;
            }
            state.requests.push(request);
            state.answer.clone()
        };
        let Some(answer) = answer else {
            return std::future::pending().await;
        };
        let is_last = !answer.starts_with("HTTP/1.1 ") || answer.contains("Connection: close");
        if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
            return;
        }
        is_kept = true;
    }
}

/// Reads one request, or nothing at the connection's end.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}
