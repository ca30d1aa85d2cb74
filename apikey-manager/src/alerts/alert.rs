//! One alert: an event in an organization's log, and whether somebody has acknowledged it.

use std::{fmt, str::FromStr};

use apikey_core::{KeyId, OrganizationId, Timestamp};

use crate::{
    events::Event,
    organization::Switched,
    query::{Cursor, CursorError},
};

/// The number of a row: of an alert, or of a delivery. Later ones are greater.
macro_rules! numbered {
    ($(#[doc = $doc:literal])+ $name:ident = $prefix:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Creates an id, for stores.
            #[must_use]
            pub fn new(number: u64) -> Self {
                $name(number)
            }

            /// Returns the number, for stores.
            #[must_use]
            pub fn number(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:020}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = CursorError;

            fn from_str(text: &str) -> Result<Self, CursorError> {
                let number = text.strip_prefix($prefix).filter(|number| number.len() == 20);
                let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
                // No database has a greater number.
                let number = number.and_then(|number| number.parse::<i64>().ok());
                number.and_then(|number| number.try_into().ok()).map($name).ok_or(CursorError(()))
            }
        }
    };
}
pub(super) use numbered;

numbered! {
    /// The id of an alert, such as `alt_00000000000000000042`. Repeated deliveries of an alert have the same.
    AlertId = "alt_"
}

/// An event in an organization's log.
///
/// Each event is in the log once, however many processes find it, and is delivered at least once to each receiver.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// The id, to tell repeated deliveries.
    pub id: AlertId,
    /// The time at which it was written.
    pub at: Timestamp,
    /// The event, with the key as it was.
    pub event: Event,
    /// Who has acknowledged it, and when. Issued and revoked keys are acknowledged by whoever did it.
    pub acknowledged: Option<Switched>,
}

impl Alert {
    /// Creates an alert that nobody has acknowledged, for stores.
    #[must_use]
    pub fn new(id: AlertId, at: Timestamp, event: Event) -> Self {
        Alert { id, at, event, acknowledged: None }
    }

    /// Returns a number that is greater for later alerts. Receivers order a key's alerts by it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.id.0
    }

    /// Returns the place in a list.
    pub(crate) fn place(&self) -> Cursor {
        Cursor { at: self.at, id: self.id.to_string() }
    }
}

/// An alert that is written, unless its organization's log has it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewAlert {
    /// The time at which it is written.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
    /// Equal for equal events, and only for these.
    pub reference: String,
    /// Who has acknowledged it already.
    pub acknowledged: Option<Switched>,
    /// `true` if it is delivered to the host, too.
    pub for_host: bool,
}

impl NewAlert {
    /// Creates an alert for an event that is known by `reference`.
    #[must_use]
    pub fn new(at: Timestamp, event: Event, reference: impl Into<String>) -> Self {
        NewAlert { at, event, reference: reference.into(), acknowledged: None, for_host: false }
    }

    /// Returns the organization in whose log it is.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        self.event.organization()
    }
}

/// A filter of alerts. An alert must match everything that is set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AlertFilter {
    /// `true` for acknowledged alerts, `false` for open ones.
    pub acknowledged: Option<bool>,
    /// Only events with this name, such as `key.expiring`.
    pub event: Option<String>,
    /// Only alerts about this key.
    pub key: Option<KeyId>,
}

impl AlertFilter {
    /// Returns `true` if `alert` matches: the specification of the filter for every store.
    #[must_use]
    pub fn matches(&self, alert: &Alert) -> bool {
        self.acknowledged.is_none_or(|acknowledged| alert.acknowledged.is_some() == acknowledged)
            && self.event.as_ref().is_none_or(|event| alert.event.name() == event)
            && self.key.as_ref().is_none_or(|key| alert.event.key().id == *key)
    }
}

/// A query for a page of alerts, newest first.
#[derive(Clone, Debug)]
pub struct AlertQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// The filter.
    pub filter: AlertFilter,
    /// Only alerts before this one.
    pub after: Option<AlertId>,
    /// The largest number of rows.
    pub limit: usize,
}
