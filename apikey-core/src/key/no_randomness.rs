//! The error of an operating system that gives no random bytes.

/// The operating system gave no random bytes; trying again rarely helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[source] pub(crate) getrandom::Error);
