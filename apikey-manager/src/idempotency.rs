//! Digests of requests that must not be carried out twice.

use std::time::Duration;

use apikey_core::ActorId;
use sha2::{Digest, Sha256};

/// How long a request is remembered.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// The most requests that are remembered for one organization. The latest ones are kept.
pub(crate) const MOST_REMEMBERED: usize = 10_000;

/// A request that must not be carried out twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    /// Its actor, its operation and its `Idempotency-Key`.
    pub(crate) request: String,
    pub(crate) input: String,
}

impl Once {
    pub(crate) fn new(actor: &ActorId, key: &str, operation: &str, input: &[u8]) -> Self {
        Once {
            request: digest(&[actor.as_str().as_bytes(), operation.as_bytes(), key.as_bytes()]),
            input: digest(&[input]),
        }
    }
}

/// Returns the digest of `parts`, in hexadecimal. Length prefixes distinguish `["a", "b"]` from `["ab", ""]`.
fn digest(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
