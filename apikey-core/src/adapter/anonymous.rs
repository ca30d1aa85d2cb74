//! What adapters leave in a request that an authenticator let pass without a key.

use crate::{rejection::Rejection, request::Authenticator};

/// The mark of a request that an authenticator let pass without a key: an adapter leaves it where it would have left the
/// key.
///
/// By it, an extractor that finds no key tells a caller who sent none (401) from a route that no layer covers (500). It is
/// one type for all adapters, so that it holds across a bridge between two of them.
#[derive(Clone, Debug)]
pub struct Anonymous(Authenticator);

impl Anonymous {
    /// The mark of a request that `authenticator` let pass.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Anonymous(authenticator)
    }

    /// The refusal for what needs a caller all the same: 401, as if the authenticator had not let the request pass.
    #[must_use]
    pub fn refusal(&self) -> Rejection {
        self.0.missing_credential()
    }
}
