//! Alerts: what is told about keys, and to whom it is delivered.
//!
//! An [`Alert`] is an event in an organization's log. It is written together with one [`Delivery`] for each receiver, the
//! organization's [`Webhook`]s and the host's handler. `courier.rs` delivers them.

mod alert;
mod delivery;
mod sender;
mod settings;
mod webhook;

pub(crate) use self::webhook::MOST_WEBHOOKS;
pub use self::{
    alert::{Alert, AlertFilter, AlertId, AlertQuery, NewAlert},
    delivery::{Claim, Claimed, Delivery, DeliveryId, DeliveryQuery, DeliveryState, Receiver, Settled},
    sender::{WebhookAnswer, WebhookMessage, WebhookSecret, WebhookSender},
    settings::AlertSettings,
    webhook::{Webhook, WebhookId, WebhookIdError},
};
