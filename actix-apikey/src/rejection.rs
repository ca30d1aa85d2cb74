//! The error of extractors and handlers: the core's rejection, as actix wants its errors.

use std::{error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use apikey_core::Rejection;

use crate::response::{self, Responder};

/// Why a request is refused by an extractor or a handler.
///
/// It is answered as the middleware answers: by its `responder`, if it has one.
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
/// A middleware that hands it on as an error, rather than as a response, is beyond the responder's reach: actix makes a
/// response of it after all middlewares, and that is the usual problem.
#[derive(Clone)]
pub struct ApiKeyRejection {
    rejection: Rejection,
    /// How the middleware answers, if it is the middleware's own: nothing renders it anew after it.
    manner: Option<Manner>,
}

#[derive(Clone)]
struct Manner {
    responder: Option<Responder>,
    to_head: bool,
}

impl ApiKeyRejection {
    /// The refusal of a handler under way.
    pub(crate) fn under_way(rejection: Rejection, responder: Option<Responder>, to_head: bool) -> Self {
        ApiKeyRejection { rejection, manner: Some(Manner { responder, to_head }) }
    }

    /// The status of the answer.
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

    /// What the core decided: its kind, its challenge, its problem.
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
