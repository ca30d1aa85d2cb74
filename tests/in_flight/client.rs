//! A client for both versions of HTTP. A body that is cut off is an error.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use crate::kinds::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) trailers: Option<HeaderMap>,
    /// `true` if the body was complete.
    pub(crate) is_whole: bool,
}

/// Sends a request on its own connection, and waits for the head of the answer.
pub(crate) async fn send(address: SocketAddr, version: Version, path: &str, token: &str) -> Response<Incoming> {
    send_as(address, version, path, token, Method::GET, None).await
}

pub(crate) async fn send_as(
    address: SocketAddr,
    version: Version,
    path: &str,
    token: &str,
    method: Method,
    content_type: Option<&str>,
) -> Response<Incoming> {
    let authority = format!("http://{address}");
    let (origin, host) = match version {
        Version::Http1 => ("", Some(address.to_string())),
        Version::Http2 => (&*authority, None),
    };
    let request = Request::builder().method(method).uri(format!("{origin}{path}"));
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = host.iter().fold(request, |request, host| request.header("host", host));
    let request = content_type.iter().fold(request, |request, value| request.header("content-type", *value));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let sent = async {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        match version {
            Version::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
            Version::Http2 => {
                let executor = TokioExecutor::new();
                let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        }
    };
    timeout(PATIENCE, sent).await.unwrap_or_else(|_| panic!("no answer to {path}")).unwrap()
}

/// Returns the next chunk of a body in progress.
pub(crate) async fn next(response: &mut Response<Incoming>) -> String {
    let frame = timeout(PATIENCE, response.body_mut().frame()).await.expect("no more of the body comes");
    String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
}

/// Reads the rest.
pub(crate) async fn finish(response: Response<Incoming>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let (mut read, mut trailers, mut is_whole) = (Vec::new(), None, true);
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                is_whole = false;
                break;
            };
            match frame.into_data() {
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the body doesn't end");
    let body = String::from_utf8(read).unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, trailers, is_whole }
}
