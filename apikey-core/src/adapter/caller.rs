//! Who a layer let in: the key or the mark that it left in the request, found again by extractors and guards.

use crate::{
    caller::AuthenticatedKey,
    rejection::{Rejection, RejectionKind},
    request::Authenticator,
    telemetry,
};

/// The mark of a request that an authenticator let pass without a key: an adapter leaves it where it would have left the
/// key.
///
/// It is one type for all adapters, so that it holds across a bridge between two of them.
#[derive(Clone, Debug)]
pub struct Anonymous(Authenticator);

impl Anonymous {
    /// Marks a request that `authenticator` let pass.
    #[must_use]
    pub fn new(authenticator: Authenticator) -> Self {
        Anonymous(authenticator)
    }

    /// Refuses what needs a caller all the same: 401, as if the authenticator had not let the request pass.
    #[must_use]
    pub fn refuse(&self) -> Rejection {
        self.0.refuse(RejectionKind::MissingCredential)
    }
}

/// Returns the caller, given what stands in the request's extensions and the name of the layer that leaves it there.
///
/// # Errors
///
/// 401 if the request passed without a key; 500 if no layer covers the route.
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

/// Returns the caller as [`caller`] does, or `None` if the request passed without a key.
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
