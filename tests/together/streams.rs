//! What a process is sending when another ends the key.

use std::{convert::Infallible, time::Duration};

use apikey_manager::NewKey;
use axum::{Router, body::Body, routing::get};
use axum_apikey::ApiKeyLayer;
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use crate::bed::{PATIENCE, host, issue, on_each_database};

/// A body without an end.
fn ticks() -> Body {
    Body::from_stream(stream::unfold((), async |()| {
        sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"tick")), ()))
    }))
}

#[tokio::test]
async fn given_a_stream_of_one_process_when_another_revokes_its_key_then_it_breaks_off() {
    on_each_database(async |bed| {
        let (here, there) = (bed.manager().await, bed.manager().await);
        let app = Router::new().route("/", get(async || ticks())).layer(ApiKeyLayer::new(there.authenticator()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let key = issue(&here, NewKey::new("stream")).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\r\n", key.secret().expose_secret());
        client.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        while received.windows(4).filter(|window| window == b"tick").count() < 3 {
            assert!(client.read_buf(&mut received).await.unwrap() > 0, "{}", String::from_utf8_lossy(&received));
        }
        here.revoke(&host(), key.id(), "leaked").await.unwrap();
        let revoked = Instant::now();
        // The connection is reset or closed, without the chunk that ends a whole body.
        let _ = timeout(PATIENCE, client.read_to_end(&mut received)).await.expect("the stream goes on");
        println!("the stream broke off {:?} after the receipt", revoked.elapsed());
        assert!(!received.ends_with(b"0\r\n\r\n"));
        serving.abort();
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}
