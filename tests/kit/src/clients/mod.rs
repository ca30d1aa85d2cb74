//! Common HTTP clients, unmodified: Python's `http.client` and `requests`, Node's `fetch`, curl and reqwest.
//!
//! All get the same list of requests, and report for each the status that they have read, after reading the body to its
//! end.

mod programs;
mod reqwest;

use std::{
    env, fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

const HTTP_CLIENT: (&str, &str) = ("http_client.py", include_str!("http_client.py"));
const REQUESTS: (&str, &str) = ("requests_client.py", include_str!("requests_client.py"));
const FETCH: (&str, &str) = ("fetch.mjs", include_str!("fetch.mjs"));

/// Longer than any answer takes, so that a test fails instead of hanging. In seconds.
const PATIENCE: u64 = 60;

/// A request to send several times.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The method.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// Its headers, besides those that the client adds.
    pub headers: Vec<(String, String)>,
    /// The length of its body of zeros; 0 for none.
    pub size: usize,
}

impl Upload {
    /// Creates a `POST` of this many bytes.
    #[must_use]
    pub fn new(url: impl Into<String>, size: usize) -> Self {
        Upload { method: "POST", url: url.into(), headers: Vec::new(), size }
    }

    /// Creates a `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Upload { method: "GET", ..Upload::new(url, 0) }
    }

    /// Sets the method.
    #[must_use]
    pub fn method(self, method: &'static str) -> Self {
        Upload { method, ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The status of an answer, or the client's error.
pub type Outcome = Result<u16, String>;

/// One of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Python's standard library, which reads nothing before it has sent everything.
    HttpClient,
    /// Python's `requests`.
    Requests,
    /// Node's `fetch`.
    Fetch,
    /// curl, which stops sending when it is refused.
    Curl,
    /// curl with `Expect: 100-continue`.
    CurlExpecting,
    /// curl over HTTP/2.
    CurlHttp2,
    /// reqwest.
    Reqwest,
    /// reqwest over HTTP/2.
    ReqwestHttp2,
}

impl Client {
    /// The clients that support HTTP/1.1.
    pub const HTTP_1: [Client; 6] =
        [Client::HttpClient, Client::Requests, Client::Fetch, Client::Curl, Client::CurlExpecting, Client::Reqwest];
    /// The clients that use HTTP/2 without negotiation.
    pub const HTTP_2: [Client; 2] = [Client::CurlHttp2, Client::ReqwestHttp2];

    /// Sends the requests in sequence, over one connection as long as it lasts (curl: one connection each). If the
    /// client is not installed, reports that and returns `None`.
    ///
    /// # Panics
    ///
    /// Panics if the client fails, or if it is missing and `CI=true`.
    pub async fn send(self, uploads: &[Upload]) -> Option<Vec<Outcome>> {
        match self {
            Client::Reqwest => Some(reqwest::send(uploads, false).await),
            Client::ReqwestHttp2 => Some(reqwest::send(uploads, true).await),
            _ => {
                let uploads = uploads.to_vec();
                tokio::task::spawn_blocking(move || self.run(&uploads)).await.expect("a client that runs")
            }
        }
    }

    /// Calls [`send`](Client::send) without a runtime.
    ///
    /// # Panics
    ///
    /// Panics as [`send`](Client::send) does.
    #[must_use]
    pub fn send_blocking(self, uploads: &[Upload]) -> Option<Vec<Outcome>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.send(uploads))
    }

    fn run(self, uploads: &[Upload]) -> Option<Vec<Outcome>> {
        match self {
            Client::HttpClient => Some(script(&programs::python()?, HTTP_CLIENT, uploads)),
            Client::Requests => Some(script(&programs::python()?, REQUESTS, uploads)),
            Client::Fetch => Some(script(&programs::node()?, FETCH, uploads)),
            _ => {
                let curl = programs::curl()?;
                Some(uploads.iter().map(|upload| self.curl(&curl, upload)).collect())
            }
        }
    }

    fn curl(self, curl: &str, upload: &Upload) -> Outcome {
        let mut command = Command::new(curl);
        command.args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        command.args(["--max-time", &PATIENCE.to_string(), "--request", upload.method]);
        command.arg(if self == Client::CurlHttp2 { "--http2-prior-knowledge" } else { "--http1.1" });
        command.arg("--header").arg(match self {
            Client::CurlExpecting => "Expect: 100-continue",
            _ => "Expect:",
        });
        for (name, value) in &upload.headers {
            command.arg("--header").arg(format!("{name}: {value}"));
        }
        if upload.size > 0 {
            command.args(["--data-binary", "@-"]);
        }
        command.arg(&upload.url);
        let body = vec![0; upload.size];
        let (status, out, err) = pipe(&mut command, &body);
        match (status, out.parse()) {
            (true, Ok(status)) => Ok(status),
            _ => Err(format!("{out} {err}")),
        }
    }
}

/// Runs a script that reads the requests as JSON and writes the outcomes.
fn script(program: &str, (name, source): (&str, &str), uploads: &[Upload]) -> Vec<Outcome> {
    let folder = tempfile::tempdir().expect("a folder for a script");
    let path = folder.path().join(name);
    fs::write(&path, source).expect("a script");
    let requests: Vec<Value> = uploads
        .iter()
        .map(|upload| {
            let Upload { method, url, headers, size } = upload;
            let headers: serde_json::Map<_, _> = headers.iter().map(|(n, v)| (n.clone(), v.clone().into())).collect();
            json!({ "method": method, "url": url, "headers": headers, "size": size, "patience": PATIENCE })
        })
        .collect();
    let (status, out, err) = pipe(Command::new(program).arg(&path), Value::from(requests).to_string().as_bytes());
    assert!(status, "{name}: {err}");
    let outcomes: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{name}: {error}: {out}"));
    let outcome = |outcome: Value| match outcome.as_u64().and_then(|status| status.try_into().ok()) {
        Some(status) => Ok(status),
        None => Err(outcome.to_string()),
    };
    outcomes.into_iter().map(outcome).collect()
}

/// Runs a program with this input. Returns whether it succeeded, and its output.
fn pipe(command: &mut Command, input: &[u8]) -> (bool, String, String) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("a client that starts");
    let mut stdin = child.stdin.take().expect("its input");
    // In its own thread, because the program may write before it has read everything, or never read it.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("a client that ends")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Returns `true` if every program must be installed.
pub(crate) fn is_ci() -> bool {
    env::var("CI").as_deref() == Ok("true")
}
