//! A minimal HTTP client: one request per connection, without interpretation.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Longer than any answer takes, so that a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Request { method: method.into(), path: path.into(), ..Request::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    pub(crate) fn json(self, body: impl Into<String>) -> Self {
        Request { body: body.into(), ..self }.header("Content-Type", "application/json")
    }

    /// Returns the head as it is sent, with the empty line.
    pub(crate) fn head(&self, address: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head + "\r\n"
    }

    pub(crate) fn send(&self, address: &str) -> Answer {
        let mut stream = connect(address);
        stream.write_all(format!("{}{}", self.head(address), self.body).as_bytes()).unwrap();
        Answer::read(&mut stream)
    }
}

impl Answer {
    /// Reads until the declared length, or until the server closes the connection: after refusing a body, it may keep
    /// the connection open for that.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut read = Vec::new();
        let mut chunk = [0; 4096];
        while !is_whole(&read) {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => read.extend_from_slice(&chunk[..length]),
                // With a time limit, reading is not taken up again after a signal's handler, such as that for a
                // process that ended (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no whole answer after {PATIENCE:?}: {error}: {}", String::from_utf8_lossy(&read)),
            }
        }
        Answer::parse(&String::from_utf8(read).unwrap())
    }

    /// Parses a raw answer, or one from a README, which shows only the important headers.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: body.trim_end().to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Compares status, body, and the headers in `expected`, which may omit others. `…` in its text stands for any
    /// text.
    pub(crate) fn is(&self, expected: &Answer) -> bool {
        self.status == expected.status
            && is_like(&json(&self.body), &json(&expected.body))
            && expected.headers.iter().all(|(name, value)| self.header(name) == Some(value))
    }

    pub(crate) fn assert_is(&self, expected: &Answer, of: &str) {
        assert!(self.is(expected), "{of}: {self:?}, not {expected:?}");
    }
}

/// Returns `true` if the head is complete and the body has its declared length.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.any(|(name, value)| name.eq_ignore_ascii_case("content-length") && value.parse() == Ok(body.len()))
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Parses a body as JSON if possible, so that the order of members doesn't count.
pub(crate) fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| body.into())
}

/// Returns `true` if they are equal. `…` in a text of `expected` matches any text, and as a member's name, any other
/// members.
fn is_like(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::String(value), Value::String(expected)) => match expected.split_once('…') {
            Some((start, end)) => value.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && rest.ends_with(end)),
            None => value == expected,
        },
        (Value::Array(values), Value::Array(expected)) => {
            values.len() == expected.len() && values.iter().zip(expected).all(|(value, like)| is_like(value, like))
        }
        (Value::Object(values), Value::Object(expected)) => {
            let has = |(name, like): (&String, &Value)| values.get(name).is_some_and(|value| is_like(value, like));
            let (named, is_all) = (expected.iter().filter(|(name, _)| *name != "…"), !expected.contains_key("…"));
            (values.len() == expected.len() || !is_all) && { named }.all(has)
        }
        _ => value == expected,
    }
}
