//! A receiver of webhooks whose answers a test writes byte by byte.

use std::{io, net::SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::PATIENCE;

pub(crate) struct Receiver {
    listener: TcpListener,
}

impl Receiver {
    pub(crate) async fn bind() -> Self {
        Self::bind_to("127.0.0.1:0").await
    }

    pub(crate) async fn bind_to(address: &str) -> Self {
        Receiver { listener: TcpListener::bind(address).await.unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address())
    }

    pub(crate) async fn connection(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    pub(crate) async fn call(&self) -> Call<TcpStream> {
        Call::read(self.connection().await).await
    }

    /// Accepts one call, and answers it.
    pub(crate) async fn answer(&self, answer: &str) -> Call<TcpStream> {
        let mut call = self.call().await;
        call.write(answer.as_bytes()).await.unwrap();
        call
    }

    pub(crate) fn assert_untouched(self) {
        let error = self.listener.into_std().unwrap().accept().expect_err("nobody has connected");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

/// A request, and the connection that waits for its answer.
pub(crate) struct Call<S> {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Call<S> {
    pub(crate) async fn read(mut stream: S) -> Self {
        let mut received = Vec::new();
        loop {
            assert!(stream.read_buf(&mut received).await.unwrap() > 0, "the sender hung up");
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut head = httparse::Request::new(&mut fields);
            let httparse::Status::Complete(length) = head.parse(&received).unwrap() else { continue };
            let line = format!("{} {}", head.method.unwrap(), head.path.unwrap());
            let field = |field: &httparse::Header<'_>| {
                let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
                (name, HeaderValue::from_bytes(field.value).unwrap())
            };
            let headers: HeaderMap = head.headers.iter().map(field).collect();
            let mut body = received.split_off(length);
            let announced: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
            while body.len() < announced {
                assert!(stream.read_buf(&mut body).await.unwrap() > 0, "the sender hung up");
            }
            return Call { line, headers, body, stream };
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Returns once the sender has closed the connection.
    pub(crate) async fn closed(mut self) {
        let mut rest = [0; 1];
        let read = timeout(PATIENCE, self.stream.read(&mut rest)).await.expect("the sender hangs up");
        assert!(matches!(read, Ok(0) | Err(_)), "the sender went on");
    }
}
