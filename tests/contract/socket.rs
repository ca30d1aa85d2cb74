//! A WebSocket that ends with its key, for both templates that have one.

use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    http::{PATIENCE, Request},
    patience::{CLIENT_TIMEOUT, assert_heads_are_bounded},
    service::{Folder, Service},
};
use crate::keys;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket. Returns the status if it is refused.
async fn open(service: &Service, key: Option<&str>) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/live", service.address).into_client_request().unwrap();
    if let Some(key) = key {
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    match timeout(PATIENCE, connect_async(request)).await.unwrap() {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn hear(socket: &mut Socket) -> Option<Message> {
    timeout(PATIENCE, socket.next()).await.expect("nothing comes").map(Result::unwrap)
}

/// Opens a socket and waits for its greeting, after which it is served.
async fn greeted(service: &Service, key: &str, id: &str) -> Socket {
    let mut socket = open(service, Some(key)).await.unwrap();
    assert_eq!(hear(&mut socket).await, Some(Message::text(format!("hello, {id}"))));
    socket
}

async fn assert_closed(socket: &mut Socket) {
    let reason = "the API key is not valid any more".into();
    let frame = CloseFrame { code: CloseCode::Policy, reason };
    assert_eq!(hear(socket).await, Some(Message::Close(Some(frame))));
    assert_eq!(hear(socket).await, None);
}

async fn assert_echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(hear(socket).await, Some(Message::text(text)));
}

#[tokio::test]
async fn given_callers_when_they_open_the_socket_then_only_those_who_may_are_served() {
    let folder = Folder::new();
    folder.start().stop();
    let (live, other) = (keys::add(&folder, "live", &["live"]), keys::add(&folder, "other", &["other"]));
    let service = folder.start();
    assert_eq!(open(&service, None).await.err(), Some(401));
    assert_eq!(open(&service, Some("demo_live_mistyped")).await.err(), Some(401));
    assert_eq!(open(&service, Some(&other)).await.err(), Some(403));
    let mut socket = greeted(&service, &live, "live").await;
    assert_echoes(&mut socket, "one").await;
    assert_echoes(&mut socket, "two").await;
    assert_eq!(service.send(&Request::new("DELETE", "/keys/live").bearer(&live)).status, 403);
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn given_open_sockets_when_a_key_is_revoked_then_its_sockets_are_closed_with_1008_and_no_others() {
    let folder = Folder::new();
    let service = folder.start();
    let admin = service.key.clone().unwrap();
    service.stop();
    let (live, other) = (keys::add(&folder, "live", &["live"]), keys::add(&folder, "other", &["live"]));
    let service = folder.start();
    let mut sockets = [greeted(&service, &live, "live").await, greeted(&service, &live, "live").await];
    let mut bystander = greeted(&service, &other, "other").await;
    let revoke = |id: &str| service.send(&Request::new("DELETE", &format!("/keys/{id}")).bearer(&admin));
    assert_eq!(revoke("live").status, 204);
    for socket in &mut sockets {
        assert_closed(socket).await;
    }
    assert_eq!(open(&service, Some(&live)).await.err(), Some(401));
    assert_echoes(&mut bystander, "still here").await;
    assert_eq!((revoke("live").status, revoke("nobody").status, revoke("no%20id").status), (204, 204, 204));
    assert_echoes(&mut bystander, "still here").await;
}

#[tokio::test]
async fn given_the_administrator_s_own_key_when_it_revokes_itself_then_it_is_answered_and_its_socket_closed() {
    let folder = Folder::new();
    let service = folder.start();
    let admin = service.key.clone().unwrap();
    let mut socket = greeted(&service, &admin, "bootstrap").await;
    assert_eq!(service.send(&Request::new("DELETE", "/keys/bootstrap").bearer(&admin)).status, 204);
    assert_closed(&mut socket).await;
    assert_eq!(service.send(&Request::new("DELETE", "/keys/bootstrap").bearer(&admin)).status, 401);
}

#[tokio::test]
async fn given_an_open_socket_when_its_key_expires_then_it_is_closed_with_1008() {
    let folder = Folder::new();
    folder.start().stop();
    let live = keys::add(&folder, "live", &["live"]);
    let end = humantime::format_rfc3339_millis(SystemTime::now() + Duration::from_secs(20));
    let file = std::fs::read_to_string(folder.store()).unwrap();
    std::fs::write(folder.store(), format!("{file}expires_at = {end}\n")).unwrap();
    let service = folder.start();
    let mut socket = greeted(&service, &live, "live").await;
    assert_closed(&mut socket).await;
    assert_eq!(open(&service, Some(&live)).await.err(), Some(401));
}

#[test]
fn given_clients_that_do_not_finish_their_request_then_they_are_cut_off() {
    let folder = Folder::new();
    let service = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), CLIENT_TIMEOUT]).ready();
    assert_heads_are_bounded(&service.address, crate::BOUNDS);
}

#[test]
fn given_the_page_then_it_names_what_the_service_has() {
    for said in ["/live", "/keys/", "1008", "API_KEYS_FILE", "ADDR", "CLIENT_TIMEOUT", "LOG"] {
        assert!(crate::README.contains(said), "{said}");
    }
}
