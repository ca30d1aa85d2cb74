//! Access to the caller that a layer left in a request's extensions.

use apikey_core::{AuthenticatedKey, Rejection, adapter};
use http::Extensions;

const LAYER: &str = "ApiKeyLayer";

/// Adds `AuthenticatedKey::from_extensions`.
///
/// ```
/// use http::{Request, Response};
/// use tower_apikey::{AuthenticatedKey, FromExtensions};
///
/// fn greet(request: &Request<()>) -> String {
///     match AuthenticatedKey::from_extensions(request.extensions()) {
///         Some(key) => format!("hello, {}", key.name()),
///         None => "hello, stranger".to_owned(),
///     }
/// }
/// # assert_eq!(greet(&Request::new(())), "hello, stranger");
/// ```
pub trait FromExtensions {
    /// Returns the verified key from a request's extensions.
    ///
    /// Returns `None` if the layer accepted the request without a key, and also if there is no layer; [`caller`]
    /// distinguishes the two.
    fn from_extensions(extensions: &Extensions) -> Option<&Self>;
}

impl FromExtensions for AuthenticatedKey {
    fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}

/// Returns the verified caller from a request's extensions.
///
/// # Errors
///
/// 401 if an optional layer accepted the request without a key; 500 if no [`ApiKeyLayer`](crate::ApiKeyLayer) has seen
/// it. [`refusal`](crate::refusal) turns either into a response.
pub fn caller(extensions: &Extensions) -> Result<&AuthenticatedKey, Rejection> {
    adapter::caller(extensions.get(), extensions.get(), LAYER)
}

/// Returns the verified caller from a request's extensions, or `None` if an optional layer accepted it without a key.
///
/// # Errors
///
/// 500 if no [`ApiKeyLayer`](crate::ApiKeyLayer) has seen the request.
pub fn optional_caller(extensions: &Extensions) -> Result<Option<&AuthenticatedKey>, Rejection> {
    adapter::optional_caller(extensions.get(), extensions.get(), LAYER)
}
