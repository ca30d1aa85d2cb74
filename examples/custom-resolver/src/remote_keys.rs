//! The resolver, which asks the verifier for a key's record.
//!
//! It distinguishes three results: a record, an unknown key, and anything else, which says nothing about the key. The
//! last is an error, and the request is answered with 503, not 401. The authenticator caches, shares lookups between
//! requests, and decides by the record.

use std::time::Duration;

use axum_apikey::{BoxError, PlaintextKey, PresentedKey, Resolution, Resolver};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::Deserialize;

use crate::record::{Question, Record, UNKNOWN_KEY};

/// The largest size of a record in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Keys that another service owns.
///
/// Clones share their connections.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    // Beyond this machine, use a connector with TLS, such as hyper-rustls's.
    client: Client<HttpConnector, Full<Bytes>>,
    resolve: Uri,
    authorization: HeaderValue,
    timeout: Duration,
}

/// The error of a failed lookup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// There is no connection, or it was lost.
    #[error("the verifier can't be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// The answer took too long.
    #[error("the verifier took longer than {0:?}")]
    TimedOut(Duration),
    /// The answer says nothing about the key.
    #[error("the verifier answered {0}")]
    Refused(StatusCode),
    /// The answer was cut off, is too long, or is not a valid record.
    #[error("the verifier's answer can't be used")]
    Unusable(#[source] BoxError),
}

impl RemoteKeys {
    /// Creates a resolver that asks the verifier at `url`, such as `http://127.0.0.1:4000`, with the service's own key.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is malformed.
    pub fn new(url: &str, key: &PlaintextKey) -> Result<Self, http::Error> {
        let resolve: Uri = format!("{}/resolve", url.trim_end_matches('/')).parse()?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))?;
        authorization.set_sensitive(true);

        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(1)));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Ok(RemoteKeys { client, resolve, authorization, timeout: Duration::from_secs(2) })
    }

    /// Sets how long the verifier may take, including the connection. Default: two seconds.
    ///
    /// Keep it below the authenticator's `resolver_timeout`, so that this error is logged.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn look_up(&self, key: &PresentedKey) -> Result<Option<Record>, LookupError> {
        let question = Question { digests: key.digests().to_vec() };
        let body = Bytes::from(serde_json::to_vec(&question).map_err(unusable)?);
        let answer = match self.send(&body).await {
            // The verifier may close an idle connection just when it is used again. Asking twice is safe.
            Err(LookupError::Unreachable(error)) if !error.is_connect() => self.send(&body).await?,
            answer => answer?,
        };
        let (parts, body) = answer.into_parts();
        // Read to its end, because only then is the connection reused.
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(unusable)?.to_bytes();
        match parts.status {
            StatusCode::OK => serde_json::from_slice(&body).map(Some).map_err(unusable),
            StatusCode::NOT_FOUND if is_unknown_key(&body) => Ok(None),
            status => Err(LookupError::Refused(status)),
        }
    }

    async fn send(&self, body: &Bytes) -> Result<Response<Incoming>, LookupError> {
        let request = Request::post(self.resolve.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))
            .map_err(unusable)?;
        self.client.request(request).await.map_err(LookupError::Unreachable)
    }
}

impl Resolver for RemoteKeys {
    type Error = LookupError;

    async fn resolve(&self, key: &PresentedKey) -> Result<Option<Resolution>, LookupError> {
        let answered = tokio::time::timeout(self.timeout, self.look_up(key)).await;
        let record = answered.map_err(|_| LookupError::TimedOut(self.timeout))??;
        record.map(Resolution::try_from).transpose().map_err(unusable)
    }
}

fn unusable(error: impl Into<BoxError>) -> LookupError {
    LookupError::Unusable(error.into())
}

/// Returns `true` for the verifier's own 404.
fn is_unknown_key(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    serde_json::from_slice::<Problem>(body).is_ok_and(|problem| problem.code == UNKNOWN_KEY)
}
