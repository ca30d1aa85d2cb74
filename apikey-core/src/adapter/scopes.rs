//! The scopes that a guard requires, by method.

use crate::{caller::AuthenticatedKey, rejection::Rejection, scope::Requirement};

/// Returns `true` for the methods that only read: GET and HEAD.
///
/// ```
/// use apikey_core::adapter::is_read;
///
/// assert!(is_read("HEAD") && !is_read("OPTIONS"));
/// ```
#[must_use]
pub fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// The scopes that a guard requires.
#[derive(Clone, Debug)]
pub struct ScopeRule {
    read: Requirement,
    /// `None` if all methods require the same.
    write: Option<Requirement>,
}

impl ScopeRule {
    /// Requires `requirement` for every method.
    #[must_use]
    pub fn new(requirement: Requirement) -> Self {
        ScopeRule { read: requirement, write: None }
    }

    /// Requires `read` of requests that [only read](is_read), and `write` of all others.
    #[must_use]
    pub fn per_method(read: Requirement, write: Requirement) -> Self {
        ScopeRule { read, write: Some(write) }
    }

    /// Checks the scopes of `key` for a request with `method`.
    ///
    /// # Errors
    ///
    /// 403 `insufficient_scope`.
    pub fn check(&self, key: &AuthenticatedKey, method: &str) -> Result<(), Rejection> {
        match &self.write {
            Some(write) if !is_read(method) => key.require_scopes(write),
            _ => key.require_scopes(&self.read),
        }
    }
}
