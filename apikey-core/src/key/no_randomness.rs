//! The error of an operating system that gives no random bytes.

/// The operating system gave no random bytes; trying again rarely helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[source] pub(crate) getrandom::Error);

impl NoRandomness {
    /// Fills `bytes` from the operating system.
    ///
    /// # Errors
    ///
    /// Returns an error if it gives none.
    pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(NoRandomness)
    }
}
