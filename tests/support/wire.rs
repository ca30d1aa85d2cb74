//! A client that sends raw bytes and reads raw answers.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any answer takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// Status, headers in order of their names, and body.
pub type Comparable = (u16, Vec<(String, String)>, String);

/// A response, as received.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Each header line: the name in lower case, and the value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Every byte the server sent.
    pub raw: Vec<u8>,
}

impl Answer {
    /// Returns the value of a header that appears at most once.
    ///
    /// # Panics
    ///
    /// Panics if it appears more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice: {self:?}");
        value
    }

    /// Returns the parts that must be the same on every server: everything except the date and the name of a missing
    /// `layer`.
    #[must_use]
    pub fn comparable(&self, layer: &str) -> Comparable {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "date" && (self.status != 500 || name != "content-length"));
        headers.sort();
        (self.status, headers, self.body.replace(layer, "the layer"))
    }

    /// Returns each line of the answer in order, except for `Date`.
    ///
    /// # Panics
    ///
    /// Panics if the server sent bytes that are not UTF-8.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.raw.clone()).unwrap();
        let lines = text.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        lines.map(ToOwned::to_owned).collect()
    }
}

/// Sends `request` on its own connection, and reads the answer until the server closes it.
///
/// # Panics
///
/// Panics if there is no well-formed answer, or anything after it.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let sent = request.escape_ascii().to_string();
    let raw = tokio::time::timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut raw = Vec::new();
        // A reset after the answer is accepted, too.
        drop(stream.read_to_end(&mut raw).await);
        raw
    });
    let raw = raw.await.unwrap_or_else(|_| panic!("no answer to {sent}"));
    parse(raw, request.starts_with(b"HEAD "))
}

fn parse(raw: Vec<u8>, is_head: bool) -> Answer {
    let mut begins = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&raw[begins..]).unwrap();
        assert!(parsed.is_complete(), "half a response: {}", raw.escape_ascii());
        begins += parsed.unwrap();
        let status = response.code.unwrap();
        if status < 200 {
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers: Vec<_> =
            response.headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value))).collect();
        let answer = Answer { status, headers, body: text(&raw[begins..]), raw };
        let length = answer.header("content-length").map(|length| length.parse().unwrap());
        assert_eq!(answer.header("transfer-encoding"), None, "an answer of known length in chunks");
        let expected = if is_head { 0 } else { length.unwrap_or(0) };
        assert_eq!(answer.body.len(), expected, "content is not as long as announced: {answer:?}");
        return answer;
    }
}
