//! Byte by byte: clients that send slowly, never end, disconnect halfway, or wait for `100 Continue`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tower_apikey::Lingering;

use crate::servers::{Server, World};

/// Longer than any answer takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// A short limit, for clients that never send the rest.
fn brief() -> Lingering {
    Lingering::new().max_time(Duration::from_millis(200))
}

async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> (OwnedReadHalf, OwnedWriteHalf) {
    let (reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    writer.write_all(bytes.as_ref()).await.unwrap();
    (reader, writer)
}

/// Reads until the answer is complete; its body comes last and ends with `}`.
async fn answer(reader: &mut OwnedReadHalf) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(b"}") {
            assert_ne!(reader.read_buf(&mut read).await.unwrap(), 0, "half an answer: {}", read.escape_ascii());
        }
    };
    timeout(PATIENCE, reading).await.expect("no answer");
    String::from_utf8(read).unwrap()
}

/// Reads the rest until the server closes. A reset is accepted, too.
async fn rest(mut reader: OwnedReadHalf) -> String {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, reader.read_to_end(&mut read)).await.expect("the connection stays open");
    String::from_utf8(read).unwrap()
}

fn head(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}

fn is_refused(answer: &str) -> bool {
    let lower = answer.to_ascii_lowercase();
    lower.starts_with("http/1.1 401 ") && lower.contains("\r\nconnection: close\r\n") && answer.contains("missing_cred")
}

#[tokio::test]
async fn given_a_client_that_never_sends_the_rest_when_refused_then_it_is_answered_at_once_and_cut_off_later() {
    for server in Server::ALL {
        let world = World::with(brief()).await;
        let running = server.start(&world).await;
        for (headers, part) in [
            ("Content-Length: 10000\r\n", "half"),
            ("Content-Length: 10000\r\n", ""),
            // Longer than the limit of reading.
            ("Content-Length: 10000000000\r\n", "half"),
            ("Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n"),
            ("Transfer-Encoding: chunked\r\n", "ff\r\nhalf"),
        ] {
            let (mut reader, _writer) = send(running.address, head("/guarded", headers) + part).await;
            let answer = answer(&mut reader).await;
            if server == Server::Actix && headers.starts_with("Transfer-Encoding") {
                // It keeps the connection, and waits for the rest as long as the client likes.
                assert!(answer.starts_with("HTTP/1.1 401 "), "{headers}: {answer}");
                continue;
            }
            assert!(is_refused(&answer), "{server:?}, {headers}: {answer}");
            assert_eq!(rest(reader).await, "", "{server:?}, {headers}");
        }
    }
}

#[tokio::test]
async fn given_a_client_that_sends_on_when_refused_then_what_it_sends_is_taken_until_its_body_is_over() {
    for server in Server::ALL {
        let world = World::new().await;
        let running = server.start(&world).await;
        let (mut reader, mut writer) = send(running.address, head("/guarded", "Content-Length: 300000\r\n")).await;
        assert!(is_refused(&answer(&mut reader).await), "{server:?}");
        for _ in 0..300 {
            writer.write_all(&[0; 1_000]).await.unwrap();
            tokio::task::yield_now().await;
        }
        // Closed gracefully, not reset.
        let mut none = Vec::new();
        let closed = timeout(PATIENCE, reader.read_to_end(&mut none)).await.expect("the connection stays open");
        assert_eq!(closed.unwrap(), 0, "{server:?}");
    }
}

#[tokio::test]
async fn given_a_client_that_hangs_up_halfway_when_refused_then_it_is_answered_and_the_connection_ends() {
    for server in Server::ALL {
        let world = World::new().await;
        let running = server.start(&world).await;
        let (mut reader, mut writer) = send(running.address, head("/guarded", "Content-Length: 9\r\n") + "half").await;
        writer.shutdown().await.unwrap();
        assert!(is_refused(&answer(&mut reader).await), "{server:?}");
        assert_eq!(rest(reader).await, "", "{server:?}");
    }
}

#[tokio::test]
async fn given_a_client_that_waits_to_continue_when_refused_then_it_is_not_told_to() {
    // Actix sends `100 Continue` to every client, before anything else sees the request.
    for server in [Server::Layers, Server::Axum] {
        let world = World::new().await;
        let running = server.start(&world).await;
        for path in
            ["/guarded", "/keys/v1/api-keys"].iter().filter(|path| server == Server::Axum || **path == "/guarded")
        {
            let headers = "Content-Length: 10000\r\nExpect: 100-continue\r\n";
            let (mut reader, _writer) = send(running.address, head(path, headers)).await;
            let answer = answer(&mut reader).await;
            assert!(is_refused(&answer), "{server:?}: {answer}");
            // It waits for nothing.
            assert_eq!(rest(reader).await, "", "{server:?}");
        }
    }
}

#[tokio::test]
async fn given_a_second_request_behind_a_refused_body_then_it_is_not_answered() {
    for server in [Server::Layers, Server::Axum] {
        let world = World::new().await;
        let running = server.start(&world).await;
        let first = head("/guarded", "Content-Length: 4\r\n") + "body";
        let second = format!("POST /guarded HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", "x");
        let (mut reader, _writer) = send(running.address, first + &second).await;
        assert!(is_refused(&answer(&mut reader).await), "{server:?}");
        assert_eq!(rest(reader).await, "", "{server:?}: it was told that the connection ends");
    }
}

#[tokio::test]
async fn given_an_upload_under_way_when_its_key_is_revoked_then_its_client_has_the_answer() {
    for server in [Server::Axum, Server::Actix] {
        let world = World::new().await;
        let running = server.start(&world).await;
        let key = format!("Authorization: Bearer {}\r\n", world.stand.token("reader"));
        let size = 8 << 20;
        let head = head("/waits", &format!("{key}Content-Length: {size}\r\n"));
        let (mut reader, mut writer) = send(running.address, head).await;
        world.entered().await;
        // It reads nothing before it has sent everything.
        let sending = tokio::spawn(async move { writer.write_all(&vec![0; size]).await.map(|()| writer) });
        world.stand.authenticator.revoke(&support::stand::key_id("reader"));
        let _writer = timeout(PATIENCE, sending).await.expect("nobody reads").unwrap().expect("it is cut off");
        let answer = answer(&mut reader).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{server:?}: {answer}");
    }
}
