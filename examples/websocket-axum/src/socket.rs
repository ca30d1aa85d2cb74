//! One socket, for as long as its key lives.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum_apikey::AuthenticatedKey;
use tokio::time::timeout;

/// How long a client may take to close. A client that doesn't read must not keep the socket.
const GOODBYE: Duration = Duration::from_secs(1);

/// Talks until the client leaves or the key is dead. The wait for the key covers the whole conversation, because a
/// client that doesn't read blocks `send`, and must be cut off, too.
pub(crate) async fn serve(mut socket: WebSocket, key: AuthenticatedKey) {
    let ended = tokio::select! {
        () = key.revoked() => true,
        () = converse(&mut socket, &key) => false,
    };
    if ended {
        tracing::info!(key = %key.key_id(), "closed: the key is revoked or has expired");
        let _ = timeout(GOODBYE, close(&mut socket)).await;
    }
}

/// The protocol, which your product replaces: says who calls, and then echoes.
async fn converse(socket: &mut WebSocket, key: &AuthenticatedKey) {
    if socket.send(format!("hello, {}", key.key_id()).into()).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = message
            && socket.send(Message::Text(text)).await.is_err()
        {
            return;
        }
    }
}

/// Closes with 1008, a policy violation (RFC 6455 §7.4.1), and waits for the client's close.
async fn close(socket: &mut WebSocket) {
    let frame = CloseFrame { code: close_code::POLICY, reason: "the API key is not valid any more".into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
