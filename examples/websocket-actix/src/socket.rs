//! One socket, for as long as its key lives.

use std::time::Duration;

use actix_apikey::AuthenticatedKey;
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use tokio::time::timeout;

/// How long a client may take to close. A client that doesn't read must not keep the socket.
const GOODBYE: Duration = Duration::from_secs(1);

/// Talks until the client leaves or the key is dead. The wait for the key covers the whole conversation, because a
/// client that doesn't read blocks `text`, and must be cut off, too.
pub(crate) async fn serve(mut session: Session, mut messages: MessageStream, key: AuthenticatedKey) {
    let ended = tokio::select! {
        () = key.revoked() => true,
        () = converse(&mut session, &mut messages, &key) => false,
    };
    if ended {
        tracing::info!(key = %key.key_id(), "closed: the key is revoked or has expired");
        let _ = timeout(GOODBYE, close(session, messages)).await;
    }
}

/// The protocol, which your product replaces: says who calls, and then echoes.
async fn converse(session: &mut Session, messages: &mut MessageStream, key: &AuthenticatedKey) {
    if session.text(format!("hello, {}", key.key_id())).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = messages.recv().await {
        let answered = match message {
            Message::Text(text) => session.text(text).await,
            Message::Ping(bytes) => session.pong(&bytes).await,
            Message::Close(reason) => {
                let _ = session.clone().close(reason).await;
                return;
            }
            _ => Ok(()),
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Closes with 1008, a policy violation (RFC 6455 §7.4.1), and waits for the client's close.
async fn close(session: Session, mut messages: MessageStream) {
    let description = Some("the API key is not valid any more".to_owned());
    if session.close(Some(CloseReason { code: CloseCode::Policy, description })).await.is_ok() {
        while let Some(Ok(_)) = messages.recv().await {}
    }
}
