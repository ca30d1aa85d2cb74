//! The extractors' rejection.

use std::fmt;

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tower_apikey::{Rejection, refusal};

/// The rejection of [`ApiKey`](crate::ApiKey) and [`RequireScope`](crate::RequireScope).
///
/// Its response is the one that the layer would give, including the layer's custom responder.
///
/// ```
/// use axum::response::{IntoResponse, Response};
/// use axum_apikey::{ApiKey, ApiKeyRejection, TestKeys};
///
/// async fn handler(key: Result<ApiKey, ApiKeyRejection>) -> Response {
///     match key {
///         Ok(key) => key.name().to_owned().into_response(),
///         Err(rejection) => (rejection.status(), rejection.body_text()).into_response(),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ApiKeyRejection(Rejection);

impl ApiKeyRejection {
    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the sentence that the client sees.
    #[must_use]
    pub fn body_text(&self) -> String {
        self.0.detail().into_owned()
    }

    /// Returns the core's rejection: its kind, challenge and problem.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        &self.0
    }
}

impl From<Rejection> for ApiKeyRejection {
    fn from(rejection: Rejection) -> Self {
        ApiKeyRejection(rejection)
    }
}

impl IntoResponse for ApiKeyRejection {
    fn into_response(self) -> Response {
        refusal(self.0).map(Body::new)
    }
}

impl fmt::Display for ApiKeyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ApiKeyRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
