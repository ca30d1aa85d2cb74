//! Requests in progress when their key is revoked: all of them fail.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request as HttpRequest, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    contract::{
        http::{Answer, PATIENCE, Request, connect},
        patience::{CLIENT_TIMEOUT, assert_bodies_are_bounded},
        service::Folder,
    },
    stand::Stand,
};

/// More than all buffers between the service and its client hold.
const SIZE: usize = 32 << 20;
const FILE: &str = "/v1/environments/site/files/big/content";

#[derive(Clone, Copy, Debug)]
enum Version {
    Http1,
    Http2,
}

/// Requests the big file, and waits for the head of the response.
async fn download(stand: &Stand, version: Version, key: &str) -> Response<Incoming> {
    let address: SocketAddr = stand.service.address.parse().unwrap();
    let uri = format!("http://{address}{FILE}");
    let request =
        HttpRequest::get(uri).header("host", address.to_string()).header("authorization", format!("Bearer {key}"));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let sent = async {
        match version {
            Version::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
            Version::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        }
    };
    timeout(PATIENCE, sent).await.unwrap().unwrap()
}

/// Reads the rest. Returns the number of bytes, and whether the body was complete.
async fn rest(mut response: Response<Incoming>) -> (usize, bool) {
    let mut size = 0;
    while let Some(frame) = timeout(PATIENCE, response.frame()).await.unwrap() {
        match frame {
            Ok(frame) => size += frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return (size, false),
        }
    }
    (size, true)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_download_under_way_when_its_key_is_revoked_then_its_client_sees_a_failure() {
    let stand = Stand::new();
    stand.upload("site", "big", &"x".repeat(SIZE));
    for version in [Version::Http1, Version::Http2] {
        let [key, other] = ["reader", "bystander"].map(|name| stand.issue(name, &["files:read"]));
        let mut cut = download(&stand, version, &key.secret).await;
        let whole = download(&stand, version, &other.secret).await;
        assert_eq!((cut.status().as_u16(), whole.status().as_u16()), (200, 200));
        assert_eq!(cut.headers()["content-length"], SIZE.to_string(), "{version:?}");
        let first = timeout(PATIENCE, cut.frame()).await.unwrap().unwrap().unwrap();
        let first = first.data_ref().map_or(0, Bytes::len);
        assert!(first > 0, "{version:?}");

        stand.revoke(&key);
        let (came, is_whole) = rest(cut).await;
        assert!(!is_whole && first + came < SIZE, "{version:?}: {came} bytes came");
        assert_eq!(rest(whole).await, (SIZE, true), "{version:?}: another key's download is not touched");
    }
}

#[test]
fn given_an_upload_under_way_when_its_key_is_revoked_then_it_is_refused_and_there_is_no_file() {
    let stand = Stand::new();
    stand.upload("site", "old", "hello");
    let key = stand.issue("writer", &["files:write"]);
    let path = "/v1/environments/site/files/new";
    let head = Request { body: "never sent".into(), ..Request::new("PUT", &format!("{path}/content")) };
    let head = head.bearer(&key.secret).header("Expect", "100-continue").head(&stand.service.address);
    let mut stream = connect(&stand.service.address);
    stream.write_all(head.as_bytes()).unwrap();
    // Servers send this once the body is read: the handler runs and waits.
    let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, expected);

    stand.revoke(&key);
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"), "{answer:?}");
    assert_eq!(stand.status(&stand.admin, path), 404);
}

#[test]
fn given_a_key_that_was_just_let_in_when_it_is_revoked_then_its_next_request_is_refused() {
    let stand = Stand::new();
    for _ in 0..20 {
        let key = stand.issue("reader", &["environments:read"]);
        assert_eq!(stand.status(&key.secret, "/v1/environments"), 200);
        stand.revoke(&key);
        assert_eq!(stand.status(&key.secret, "/v1/environments"), 401);
    }
}

#[test]
fn given_the_only_administrator_when_it_revokes_itself_then_it_is_answered_and_another_can_be_issued() {
    let stand = Stand::new();
    let ended = stand.send(&stand.admin, "POST", "/keys/v1/self-revoke", "");
    assert!((200..300).contains(&ended.status), "{ended:?}");
    assert_eq!(stand.status(&stand.admin, "/v1/environments"), 401);
    let folder: &Folder = &stand.folder;
    let next = crate::keys::add(folder, "admin", &["*"]);
    assert_eq!(stand.status(&next, "/v1/environments"), 200);
}

#[test]
fn given_an_upload_that_stands_still_then_it_is_answered_and_there_is_no_file() {
    let folder = Folder::new();
    let service = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), CLIENT_TIMEOUT]).ready();
    let admin = service.key.clone().unwrap();
    let made = Request::new("PUT", "/v1/environments/site").bearer(&admin).json(r#"{"description":"for a test"}"#);
    assert_eq!(service.send(&made).status, 201);
    let late = ("HTTP/1.1 408 ", r#""code":"request_timeout""#);
    assert_bodies_are_bounded(&service.address, &Request::new("PUT", FILE).bearer(&admin), crate::BOUNDS, late);
    assert_eq!(service.send(&Request::new("GET", FILE).bearer(&admin)).status, 404);
}
