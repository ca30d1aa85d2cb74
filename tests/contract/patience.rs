//! Slow clients: those that don't finish their request are answered or cut off.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use super::http::{PATIENCE, Request, connect};

/// So few seconds that tests are fast, and enough for a whole request on a busy machine.
pub(crate) const CLIENT_TIMEOUT: (&str, &str) = ("CLIENT_TIMEOUT", "2");

/// Requests that end within their head.
const HALF_HEADS: [&str; 5] = ["", "G", "GET /healthz HTTP/1.1", "GET /healthz HTTP/1.1\r\nHost: a\r\nAuth", "PRI"];
const SECOND_HALF: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHo";
const HALF_BODIES: [&str; 3] = [
    "Content-Length: 1000\r\n\r\n{",
    "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "Transfer-Encoding: chunked\r\n\r\nff\r\n{",
];
/// HTTP/2: its preface, settings, and headers without an end.
pub(crate) const HTTP2_HALF: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82";
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The limits besides the first head of a connection and bodies of known length.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Later heads, and chunked bodies of answered requests. Actix waits for both without a limit.
    pub(crate) http1: bool,
    /// Heads of HTTP/2, if supported.
    pub(crate) http2: bool,
}

pub(crate) fn assert_heads_are_bounded(address: &str, bounds: Bounds) {
    let mut heads: Vec<&[u8]> = HALF_HEADS.iter().map(|head| head.as_bytes()).collect();
    if bounds.http1 {
        heads.push(SECOND_HALF.as_bytes());
    }
    if bounds.http2 {
        heads.extend([HTTP2_HALF, HTTP2_PREFACE, &HTTP2_PREFACE[..20]]);
    }
    assert_cut_off(address, &heads);
}

/// Clients that send only this are cut off.
pub(crate) fn assert_cut_off(address: &str, heads: &[&[u8]]) {
    // All at once, to wait only once.
    let streams: Vec<_> = heads.iter().map(|head| begun(address, head)).collect();
    for (mut stream, head) in streams.into_iter().zip(heads) {
        rest(&mut stream, &head.escape_ascii().to_string());
    }
}

/// Sends `request` without its body. The answer must begin with this and contain this.
pub(crate) fn assert_bodies_are_bounded(address: &str, request: &Request, bounds: Bounds, like: (&str, &str)) {
    let head = Request { body: String::new(), ..request.clone() }.head(address);
    let head = head.strip_suffix("\r\n").unwrap().replace("Connection: close\r\n", "");
    let streams = HALF_BODIES.map(|half| (half, begun(address, format!("{head}{half}").as_bytes())));
    for (half, mut stream) in streams {
        if !bounds.http1 && half.contains("chunked") {
            let mut status = vec![0; like.0.len()];
            stream.read_exact(&mut status).unwrap();
            assert_eq!(status, like.0.as_bytes(), "{half}");
            continue;
        }
        let answer = rest(&mut stream, half);
        assert!(answer.starts_with(like.0) && answer.contains(like.1), "{half}: {answer}");
    }
}

fn begun(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the server closes. A reset is accepted, too.
fn rest(stream: &mut TcpStream, sent: &str) -> String {
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("open after {PATIENCE:?}: {error}: {sent}"),
    }
    String::from_utf8_lossy(&read).into_owned()
}
