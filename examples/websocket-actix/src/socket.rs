//! One socket, for as long as its key lives.

use std::time::Duration;

use actix_apikey::AuthenticatedKey;
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use tokio::time::timeout;

/// How long a client has to take notice of the end. One that doesn't read must not keep the socket.
const GOODBYE: Duration = Duration::from_secs(1);

/// Talks until the client leaves or the key is dead. Waiting for the key stands around the whole conversation: a client
/// that doesn't read keeps a `text` waiting, and is cut off all the same.
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

/// The part of this template that your product replaces: says who calls, and then whatever it hears.
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

/// RFC 6455, 7.4.1: 1008 is for what violates a policy. Then the client's own close is waited for.
async fn close(session: Session, mut messages: MessageStream) {
    let description = Some("the API key is not valid any more".to_owned());
    if session.close(Some(CloseReason { code: CloseCode::Policy, description })).await.is_ok() {
        while let Some(Ok(_)) = messages.recv().await {}
    }
}
