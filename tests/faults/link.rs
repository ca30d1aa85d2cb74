//! A client's connection to a process, which is made again after every failure.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longer than any process is stopped.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) receipt: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the receipt, or nothing.
    pub(crate) fn receipt_text(&self) -> &str {
        self.receipt.as_deref().unwrap_or_default()
    }
}

#[derive(Default)]
pub(crate) struct Link(Option<(SocketAddr, BufReader<TcpStream>)>);

impl Link {
    /// Returns `None` if no answer came. The request may have been carried out nevertheless, or may yet be.
    pub(crate) async fn ask(&mut self, address: SocketAddr, request: &str) -> Option<Answer> {
        let answer = timeout(PATIENCE, self.try_ask(address, request)).await;
        let answer = answer.ok().and_then(Result::ok);
        if answer.is_none() {
            self.0 = None;
        }
        answer
    }

    async fn try_ask(&mut self, address: SocketAddr, request: &str) -> io::Result<Answer> {
        let stream = match self.0.take() {
            Some((to, stream)) if to == address => stream,
            _ => BufReader::new(TcpStream::connect(address).await?),
        };
        let (_, stream) = self.0.insert((address, stream));
        stream.write_all(request.as_bytes()).await?;
        let (status, headers) = head(stream).await?;
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        if header("connection").is_some_and(|value| value == "close") {
            self.0 = None;
        }
        let receipt = header("fleet-receipt");
        Ok(Answer { status, receipt, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// Opens a stream that doesn't end by itself. Returns `None` if it is refused.
pub(crate) async fn open(address: SocketAddr, secret: &str) -> Option<BufReader<TcpStream>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.ok()?);
    stream.write_all(get("/stream", secret).as_bytes()).await.ok()?;
    let (status, _) = timeout(PATIENCE, head(&mut stream)).await.ok()?.ok()?;
    (status == 200).then_some(stream)
}

pub(crate) fn get(path: &str, secret: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {secret}\r\n\r\n")
}

pub(crate) fn post(path: &str, secret: &str, body: &str) -> String {
    format!(
        "POST /keys/v1/{path} HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    )
}

async fn head(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, Vec<(String, String)>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    status.map(|status| (status, headers)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
