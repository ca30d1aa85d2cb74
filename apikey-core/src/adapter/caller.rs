//! The caller of a request: extractors and guards find the key, or the mark of an anonymous request.

use crate::{
    caller::AuthenticatedKey,
    rejection::{Rejection, RejectionKind},
    request::Authenticator,
    telemetry,
};

/// Marks a request that an authenticator accepted without a key. An adapter stores it where it would store the key.
///
/// All adapters use this one type, so that a bridge between two of them preserves the mark.
#[derive(Clone, Debug)]
pub struct Anonymous(Authenticator);

impl Anonymous {
    /// Marks a request that `authenticator` accepted without a key.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Anonymous(authenticator)
    }

    /// Returns the refusal for code that requires a caller: 401, as if the authenticator required a key.
    #[must_use]
    pub fn refuse(&self) -> Rejection {
        self.0.refuse(RejectionKind::MissingCredential)
    }
}

/// Returns the caller from a request's extensions. `layer` names the layer that puts it there.
///
/// # Errors
///
/// 401 if the request was accepted without a key; 500 if no layer covers the route.
pub fn caller<'a>(
    key: Option<&'a AuthenticatedKey>,
    anonymous: Option<&Anonymous>,
    layer: &'static str,
) -> Result<&'a AuthenticatedKey, Rejection> {
    optional_caller(key, anonymous, layer)?.ok_or_else(|| match anonymous {
        Some(anonymous) => anonymous.refuse(),
        None => missing_layer(layer),
    })
}

/// Returns the caller as [`caller`] does, or `None` if the request was accepted without a key.
///
/// # Errors
///
/// 500 if no layer covers the route.
pub fn optional_caller<'a>(
    key: Option<&'a AuthenticatedKey>,
    anonymous: Option<&Anonymous>,
    layer: &'static str,
) -> Result<Option<&'a AuthenticatedKey>, Rejection> {
    match key.is_some() || anonymous.is_some() {
        true => Ok(key),
        false => Err(missing_layer(layer)),
    }
}

fn missing_layer(layer: &'static str) -> Rejection {
    let rejection = Rejection::missing_layer(layer);
    telemetry::layer_missing(&rejection, layer);
    rejection
}
