//! One delivery of an alert to one receiver: the outbox's row.

use std::{fmt, str::FromStr, time::Duration};

use apikey_core::{OrganizationId, Timestamp};

use super::{Alert, AlertId, Webhook, WebhookAnswer, WebhookId, alert::numbered};
use crate::{
    names::names,
    query::{Cursor, CursorError, DAY},
};

/// How long an alert is delivered to a webhook again and again, from when it was written. The host gets it as long as it is
/// kept, since nobody would see that it was given up.
const GIVEN_UP_AFTER: Duration = DAY.saturating_mul(3);

/// How long after each failed attempt the next one is made, in seconds. The last one repeats.
const PAUSES: [u64; 8] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400];

numbered! {
    /// The id of a delivery, such as `dlv_00000000000000000042`.
    DeliveryId = "dlv_"
}

/// The receiver of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Receiver {
    /// The host's handler.
    Host,
    /// A webhook.
    Webhook(WebhookId),
}

impl Receiver {
    const HOST: &str = "host";

    /// Returns its name, for stores: `host`, or the webhook's id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Receiver::Host => Self::HOST,
            Receiver::Webhook(id) => id.as_str(),
        }
    }

    /// Returns the receiver of this name, if it is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            Self::HOST => Some(Receiver::Host),
            id => id.parse().ok().map(Receiver::Webhook),
        }
    }
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeliveryState {
    /// It is attempted, or will be.
    Pending,
    /// The receiver has accepted it.
    Delivered,
    /// It was given up.
    Parked,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 3] = [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Parked];

    /// Returns its name, such as `pending`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Parked => "parked",
        }
    }
}

names!(DeliveryState, "a state of a delivery");

/// The delivery of an alert to one receiver.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The id.
    pub id: DeliveryId,
    /// The organization.
    pub organization: OrganizationId,
    /// The alert.
    pub alert: AlertId,
    /// The name of its event.
    pub event: String,
    /// The receiver.
    pub receiver: Receiver,
    /// The time at which the alert was written.
    pub created_at: Timestamp,
    /// The state.
    pub state: DeliveryState,
    /// The number of attempts that have ended.
    pub attempts: u32,
    /// The time of the next attempt, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// The end of the last attempt.
    pub last_attempt_at: Option<Timestamp>,
    /// The outcome of the last attempt.
    pub last_answer: Option<WebhookAnswer>,
}

impl Delivery {
    /// Creates a delivery that was not attempted yet, for stores.
    #[must_use]
    pub fn new(
        id: DeliveryId,
        organization: OrganizationId,
        alert: AlertId,
        event: impl Into<String>,
        receiver: Receiver,
        created_at: Timestamp,
    ) -> Self {
        Delivery {
            id,
            organization,
            alert,
            event: event.into(),
            receiver,
            created_at,
            state: DeliveryState::Pending,
            attempts: 0,
            next_attempt_at: Some(created_at),
            last_attempt_at: None,
            last_answer: None,
        }
    }

    /// Returns what becomes of it after an attempt that ended at `now` with this answer.
    pub(crate) fn after(&self, answer: WebhookAnswer, now: Timestamp) -> Settled {
        let pause = PAUSES[(self.attempts as usize).min(PAUSES.len() - 1)];
        let next = now + Duration::from_secs(pause);
        let (state, next_attempt_at) = match answer.is_accepted() {
            true => (DeliveryState::Delivered, None),
            false if next > self.created_at + GIVEN_UP_AFTER && self.receiver != Receiver::Host => {
                (DeliveryState::Parked, None)
            }
            false => (DeliveryState::Pending, Some(next)),
        };
        Settled { at: now, state, next_attempt_at, answer }
    }

    /// Returns the place in a list.
    pub(crate) fn place(&self) -> Cursor {
        Cursor { at: self.created_at, id: self.id.to_string() }
    }
}

/// What has become of a delivery by an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The end of the attempt.
    pub at: Timestamp,
    /// The new state.
    pub state: DeliveryState,
    /// The time of the next attempt, if it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// The answer.
    pub answer: WebhookAnswer,
}

/// A query for a page of a webhook's deliveries, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The webhook.
    pub webhook: WebhookId,
    /// Only deliveries in this state.
    pub state: Option<DeliveryState>,
    /// Only deliveries before this one.
    pub after: Option<DeliveryId>,
    /// The largest number of rows.
    pub limit: usize,
}

/// A claim on deliveries that are due.
#[derive(Clone, Debug)]
pub struct Claim {
    /// A name that no other claim has.
    pub by: String,
    /// The time of the claim.
    pub now: Timestamp,
    /// The time from which others may claim them.
    pub until: Timestamp,
    /// `true` to claim the host's deliveries, `false` to claim those of webhooks.
    pub for_host: bool,
    /// The receivers whose deliveries are not claimed.
    pub except: Vec<Receiver>,
    /// The most deliveries.
    pub limit: usize,
}

/// A delivery that was claimed, with everything that it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The delivery.
    pub delivery: Delivery,
    /// The alert.
    pub alert: Alert,
    /// The webhook, unless the receiver is the host.
    pub webhook: Option<Webhook>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_receiver_that_never_accepts_when_attempted_then_it_is_given_up_within_three_days_and_a_bit() {
        let began = Timestamp::UNIX_EPOCH + DAY;
        let organization = OrganizationId::new("acme").unwrap();
        let id = DeliveryId::new(1);
        let receiver = Receiver::Webhook(WebhookId::generate(began).unwrap());
        let mut delivery = Delivery::new(id, organization, AlertId::new(1), "key.unused", receiver, began);
        let mut waits = Vec::new();
        let mut now = began;
        loop {
            let settled = delivery.after(WebhookAnswer::status(500), now);
            delivery.attempts += 1;
            let Some(next) = settled.next_attempt_at else {
                assert_eq!(settled.state, DeliveryState::Parked);
                break;
            };
            assert_eq!(settled.state, DeliveryState::Pending);
            waits.push(next.saturating_since(now).as_secs());
            now = next;
        }
        assert_eq!(waits[..9], [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 14_400]);
        assert!((DAY * 2..=DAY * 3).contains(&now.saturating_since(began)), "{now}");
        assert_eq!(delivery.after(WebhookAnswer::status(204), now).state, DeliveryState::Delivered);
        delivery.receiver = Receiver::Host;
        let settled = delivery.after(WebhookAnswer::status(500), now + DAY * 30);
        assert_eq!(settled.state, DeliveryState::Pending, "nobody would see that it was given up");
    }
}
