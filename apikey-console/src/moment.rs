//! Moments in documents and bodies: RFC 3339, in UTC, to the millisecond.

use apikey_core::Timestamp;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Moment {
    /// Reads an RFC 3339 date and time, of any offset. `None` if it is none, or before 1970.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Moment)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        Timestamp::schema()
    }
}

impl ToSchema for Moment {}
