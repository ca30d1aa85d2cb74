//! Whoever presented an accepted key: the handle that a request carries, and what callers did.

mod activity;
mod authenticated_key;
mod usage;

pub use self::{
    activity::{ActivitySink, RequestReport},
    authenticated_key::{AuthenticatedKey, Revoked},
    usage::KeyUsage,
};
