//! What an extractor refuses with, as axum's own rejections are.

use std::fmt;

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tower_apikey::{Rejection, refusal};

/// The rejection of [`ApiKey`](crate::ApiKey) and [`RequireScope`](crate::RequireScope).
///
/// As a response it is the one the layer itself would give, in the form of the layer's custom responder if it has one.
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
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What a client is told, in one sentence.
    #[must_use]
    pub fn body_text(&self) -> String {
        self.0.detail().into_owned()
    }

    /// The rejection itself: its kind, challenge and problem.
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
