//! The record of a webhook: an address that an organization's alerts are sent to.

use std::{fmt, str::FromStr};

use apikey_core::{ActorId, KeyId, NoRandomness, OrganizationId, Timestamp};

use super::WebhookSecret;

/// The most webhooks of an organization.
pub(crate) const MOST_WEBHOOKS: usize = 20;

/// The id of a webhook, such as `whk_01k…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(String);

/// The error for a text that is not the id of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a webhook")]
pub struct WebhookIdError(());

impl WebhookId {
    const PREFIX: &str = "whk_";

    pub(crate) fn generate(now: Timestamp) -> Result<Self, NoRandomness> {
        let id = KeyId::generate(now)?;
        let random = id.as_str().strip_prefix("key_").unwrap_or(id.as_str());
        Ok(WebhookId(format!("{}{random}", Self::PREFIX)))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookId {
    type Err = WebhookIdError;

    fn from_str(text: &str) -> Result<Self, WebhookIdError> {
        match text.starts_with(Self::PREFIX) && KeyId::new(text).is_ok() {
            true => Ok(WebhookId(text.to_owned())),
            false => Err(WebhookIdError(())),
        }
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that an organization's alerts are sent to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Webhook {
    /// The id.
    pub id: WebhookId,
    /// The organization.
    pub organization: OrganizationId,
    /// The address.
    pub url: String,
    /// The purpose, up to 500 characters.
    pub description: String,
    /// The names of the events that are sent, such as `key.expiring`; none for all.
    pub events: Vec<String>,
    /// `true` if nothing is sent.
    pub is_disabled: bool,
    /// The secret that signs messages.
    pub secret: WebhookSecret,
    /// The previous secret, which signs messages, too, until this time.
    pub previous_secret: Option<(WebhookSecret, Timestamp)>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: ActorId,
    /// The version: the number of changes, from 1.
    pub version: u64,
}

impl Webhook {
    /// Creates a webhook for all events, for stores.
    #[must_use]
    pub fn new(
        id: WebhookId,
        organization: OrganizationId,
        url: impl Into<String>,
        secret: WebhookSecret,
        created_at: Timestamp,
        created_by: ActorId,
    ) -> Self {
        Webhook {
            id,
            organization,
            url: url.into(),
            description: String::new(),
            events: Vec::new(),
            is_disabled: false,
            secret,
            previous_secret: None,
            created_at,
            created_by,
            version: 1,
        }
    }

    /// Returns `true` if events of this name are sent to it: the specification for every store.
    #[must_use]
    pub fn wants(&self, event: &str) -> bool {
        !self.is_disabled && (self.events.is_empty() || self.events.iter().any(|wanted| wanted == event))
    }

    /// Returns the secrets that sign a message at `now`, the current one first.
    pub(crate) fn secrets(&self, now: Timestamp) -> Vec<WebhookSecret> {
        let previous = self.previous_secret.iter().filter(|(_, ends_at)| now < *ends_at).map(|(secret, _)| secret);
        [&self.secret].into_iter().chain(previous).cloned().collect()
    }
}
