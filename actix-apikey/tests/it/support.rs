//! Shared by the tests: a readable response, and a server with a client that shows every byte.
use std::{net::SocketAddr, time::Duration};

use actix_web::{
    body::{self, BodySize, MessageBody},
    dev::ServiceResponse,
    http::header::HeaderMap,
    test::TestRequest,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) size: BodySize,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: ServiceResponse<impl MessageBody>) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.into_body();
        let size = body.size();
        let body = body::to_bytes(body).await.map_err(Into::into).expect("a body without errors");
        Answer { status, headers, size, body }
    }

    /// Returns the value of a header that appears once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.get_all(name);
        let line = lines.next()?;
        assert!(lines.next().is_none(), "{name} is there twice");
        Some(line.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Creates `GET uri`, with `authorization` if given.
pub(crate) fn get(uri: &str, authorization: impl Into<Option<String>>) -> TestRequest {
    let request = TestRequest::get().uri(uri);
    match authorization.into() {
        Some(value) => request.insert_header(("authorization", value)),
        None => request,
    }
}

/// Serves an application on a free port until the test's runtime ends, and returns its address.
macro_rules! serve {
    ($workers:expr, $factory:expr) => {{
        let server = actix_web::HttpServer::new($factory)
            .workers($workers)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .expect("a free port");
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        address
    }};
}
pub(crate) use serve;

/// Fails after a while, so that a test doesn't hang.
pub(crate) async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    actix_web::rt::time::timeout(Duration::from_secs(20), awaited).await.expect("nothing has come for 20 seconds")
}

/// Sends `request`, which must ask for the connection to be closed, and returns everything received.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Returns the value of a header in a raw message.
pub(crate) fn header_of<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Returns the body of a raw message.
pub(crate) fn body_of(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}
