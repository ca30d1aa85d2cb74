//! Webhooks, sent to receivers that listen on this machine.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod addresses;
mod answers;
mod limits;
mod names;
mod proxies;
mod receiver;
mod signatures;
mod tls;
mod urls;

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use apikey_manager::{Timestamp, WebhookAnswer, WebhookMessage, WebhookSecret, WebhookSender};
use apikey_webhooks::{Webhooks, WebhooksBuilder};
use tokio::{join, time::timeout};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Longer than anything takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A sender that may call 127.0.0.1, without TLS.
fn local() -> WebhooksBuilder {
    Webhooks::builder().allow_plain_http().allow_internal_addresses(|address| address == LOCAL)
}

fn message(url: impl Into<String>) -> WebhookMessage {
    message_signed_by(url, &[SECRET])
}

fn message_signed_by(url: impl Into<String>, secrets: &[&str]) -> WebhookMessage {
    let secrets = secrets.iter().map(|secret| WebhookSecret::from_text(*secret)).collect();
    WebhookMessage::new(url, "alt_1", Timestamp::now(), r#"{"type":"key.expiring"}"#, secrets)
}

/// Sends a message, and does meanwhile what its receiver does.
async fn sent<T>(
    webhooks: &Webhooks,
    message: &WebhookMessage,
    receiver: impl Future<Output = T>,
) -> (WebhookAnswer, T) {
    let both = async { join!(webhooks.send(message), receiver) };
    timeout(PATIENCE, both).await.expect("the sender and the receiver come to an end")
}
