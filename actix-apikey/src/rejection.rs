//! The error of extractors and handlers: the core's rejection as an actix error.

use std::{error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use apikey_core::Rejection;

use crate::response::{self, Responder};

/// The refusal of a request by an extractor or a handler.
///
/// The middleware renders it, with its `responder` if there is one.
///
/// Checks of an [`AuthenticatedKey`](crate::AuthenticatedKey) end a handler with `?`:
///
/// ```
/// use actix_apikey::{ApiKey, ApiKeyRejection};
/// use actix_web::web;
///
/// async fn show(key: ApiKey, organization: web::Path<String>) -> Result<String, ApiKeyRejection> {
///     key.require_organization(&organization)?;
///     Ok(format!("the books of {organization}"))
/// }
/// ```
///
/// A middleware that passes it on as an error instead of a response bypasses the responder: actix then renders it
/// outside all middlewares, as the default problem.
#[derive(Clone)]
pub struct ApiKeyRejection {
    rejection: Rejection,
    /// How the middleware answers, if the refusal is its own: nothing renders it after it.
    manner: Option<Manner>,
}

#[derive(Clone)]
struct Manner {
    responder: Option<Responder>,
    to_head: bool,
}

impl ApiKeyRejection {
    /// Creates the refusal of a waiting handler.
    pub(crate) fn under_way(rejection: Rejection, responder: Option<Responder>, to_head: bool) -> Self {
        ApiKeyRejection { rejection, manner: Some(Manner { responder, to_head }) }
    }

    /// Returns the status of the response.
    ///
    /// ```
    /// use actix_apikey::{ApiKeyRejection, Rejection};
    ///
    /// let rejection = ApiKeyRejection::from(Rejection::missing_layer("ApiKeyMiddleware"));
    /// assert_eq!(rejection.status(), 500);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the core's rejection: its kind, challenge and problem.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }
}

impl From<Rejection> for ApiKeyRejection {
    fn from(rejection: Rejection) -> Self {
        ApiKeyRejection { rejection, manner: None }
    }
}

impl ResponseError for ApiKeyRejection {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        match &self.manner {
            Some(Manner { responder, to_head }) => response::respond(&self.rejection, responder.as_ref(), *to_head),
            None => response::respond_within(self.rejection.clone(), false),
        }
    }
}

impl fmt::Debug for ApiKeyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiKeyRejection").field(&self.rejection).finish()
    }
}

impl fmt::Display for ApiKeyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)
    }
}

impl Error for ApiKeyRejection {}
