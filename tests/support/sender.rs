//! A sender of webhooks whose receivers accept everything.

use std::time::Duration;

use apikey_manager::{WebhookAnswer, WebhookMessage, WebhookSender};
use async_trait::async_trait;

/// Sends nothing. Addresses must begin with `https://`.
#[derive(Debug)]
pub struct Accepts;

#[async_trait]
impl WebhookSender for Accepts {
    fn check(&self, url: &str) -> Result<(), String> {
        match url.starts_with("https://") {
            true => Ok(()),
            false => Err("must begin with https://".to_owned()),
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, _: &WebhookMessage) -> WebhookAnswer {
        WebhookAnswer::status(204)
    }
}
