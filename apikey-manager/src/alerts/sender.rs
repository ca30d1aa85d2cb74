//! What sends a webhook. The manager decides what is sent to whom and when, and this crate speaks no HTTP.

use std::{fmt, time::Duration};

use apikey_core::{NoRandomness, Timestamp};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Sends webhooks. `apikey-webhooks` has one over HTTPS.
#[async_trait]
pub trait WebhookSender: fmt::Debug + Send + Sync + 'static {
    /// Checks an address before it is stored, without resolving it.
    ///
    /// # Errors
    ///
    /// Returns the reason, such as `must begin with https://`.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Returns the longest time that [`send`](WebhookSender::send) takes. A delivery is claimed for a little longer.
    fn patience(&self) -> Duration;

    /// Signs and sends one message.
    async fn send(&self, message: &WebhookMessage) -> WebhookAnswer;
}

/// A message to one webhook.
#[derive(Debug)]
#[non_exhaustive]
pub struct WebhookMessage {
    /// The receiver's address.
    pub url: String,
    /// The id of the message. Repetitions have the same.
    pub id: String,
    /// The time of this attempt.
    pub at: Timestamp,
    /// The body, as JSON.
    pub body: String,
    /// The secrets that sign it: the current one, and during a rotation the previous one.
    pub secrets: Vec<WebhookSecret>,
}

impl WebhookMessage {
    /// Creates a message.
    #[must_use]
    pub fn new(
        url: impl Into<String>,
        id: impl Into<String>,
        at: Timestamp,
        body: impl Into<String>,
        secrets: Vec<WebhookSecret>,
    ) -> Self {
        WebhookMessage { url: url.into(), id: id.into(), at, body: body.into(), secrets }
    }
}

/// The outcome of an attempt: the receiver's answer, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookAnswer {
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was no answer, or why it could not be read.
    pub error: Option<String>,
}

impl WebhookAnswer {
    /// The receiver answered with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        WebhookAnswer { status: Some(status), error: None }
    }

    /// There was no answer.
    #[must_use]
    pub fn failed(error: impl Into<String>) -> Self {
        WebhookAnswer { status: None, error: Some(error.into()) }
    }

    /// Returns `true` if the receiver has accepted the message: it answered 2xx.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The secret that signs a webhook's messages, as Standard Webhooks writes it: `whsec_` and the base64 of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<String>);

impl WebhookSecret {
    const PREFIX: &str = "whsec_";

    /// Generates a secret. Fails only without a source of randomness.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 32]);
        NoRandomness::fill(&mut *bytes)?;
        Ok(WebhookSecret(Zeroizing::new(format!("{}{}", Self::PREFIX, STANDARD.encode(*bytes)))))
    }

    /// Creates a secret from its text, for stores.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        WebhookSecret(Zeroizing::new(text.into()))
    }

    /// Returns the text: to sign, to store, or to show it once.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(_)")
    }
}
