//! The resolver: asks the verifier for a key's record.
//!
//! It tells three things apart, and its callers depend on it: a record, "there is no such key", and whatever else happens,
//! which says nothing of the key. The last is an error, and the request is answered 503, not 401. Caching, one look-up for
//! many requests, and the decision what a record is good for are the authenticator's.

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

/// A record is smaller than this, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Keys that another service owns.
///
/// Clones share their connections.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    // For a verifier beyond this machine: a connector with TLS, such as hyper-rustls has.
    client: Client<HttpConnector, Full<Bytes>>,
    resolve: Uri,
    authorization: HeaderValue,
    timeout: Duration,
}

/// Why a key couldn't be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No connection, or it broke.
    #[error("the verifier can't be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// No answer in time.
    #[error("the verifier took longer than {0:?}")]
    TimedOut(Duration),
    /// An answer that says nothing of the key.
    #[error("the verifier answered {0}")]
    Refused(StatusCode),
    /// An answer that broke off, grew too long, or is no good record.
    #[error("the verifier's answer can't be used")]
    Unusable(#[source] BoxError),
}

impl RemoteKeys {
    /// Asks the verifier at `url`, such as `http://127.0.0.1:4000`, with the service's own key.
    ///
    /// # Errors
    ///
    /// When `url` is none.
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

    /// Sets how long the verifier may take, the connection included; two seconds unless said.
    ///
    /// Less than the authenticator's `resolver_timeout`, so that it is this error that is logged.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn look_up(&self, key: &PresentedKey) -> Result<Option<Record>, LookupError> {
        let question = Question { digests: key.digests().to_vec() };
        let body = Bytes::from(serde_json::to_vec(&question).map_err(unusable)?);
        let answer = match self.send(&body).await {
            // The verifier may have closed a kept connection just when it was used again. Asking twice does no harm.
            Err(LookupError::Unreachable(error)) if !error.is_connect() => self.send(&body).await?,
            answer => answer?,
        };
        let (parts, body) = answer.into_parts();
        // To its end, whatever it says: only then is the connection used again.
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

/// Is this the verifier's own 404?
fn is_unknown_key(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    serde_json::from_slice::<Problem>(body).is_ok_and(|problem| problem.code == UNKNOWN_KEY)
}
