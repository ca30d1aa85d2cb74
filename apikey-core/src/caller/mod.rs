//! The caller of an accepted request: its handle, its usage and its activity.

mod activity;
mod authenticated_key;
mod usage;

pub use self::{
    activity::{ActivitySink, RequestReport},
    authenticated_key::{AuthenticatedKey, Revoked},
    usage::KeyUsage,
};
