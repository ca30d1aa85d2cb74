//! Requests without a server: straight into the layer.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::task::JoinHandle;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, RequireScopeLayer, caller, refusal};

use crate::stand::{FilesRead, Stand};

/// Answers with the caller's name.
///
/// # Errors
///
/// Never.
pub async fn whoami(request: Request<String>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match caller(request.extensions()) {
        Ok(key) => Response::new(Full::from(key.name().to_owned())),
        Err(rejection) => refusal(rejection),
    })
}

/// Creates a request with `token`.
///
/// # Panics
///
/// Panics if the token can't be part of a header.
#[must_use]
pub fn request(token: &str) -> Request<String> {
    Request::get("/").header("authorization", format!("Bearer {token}")).body(String::new()).unwrap()
}

/// Returns the status and the body of the response.
///
/// # Panics
///
/// Panics if the service fails, or if its response is not text.
pub async fn answer<S, B>(service: S, request: Request<String>) -> (u16, String)
where
    S: Service<Request<String>, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

impl Stand {
    /// Returns the status of a request with the key `name` if `files:read` is required.
    pub async fn ask(&self, name: &str) -> u16 {
        let guarded = RequireScopeLayer::of::<FilesRead>().layer(service_fn(whoami));
        answer(ApiKeyLayer::new(self.authenticator.clone()).layer(guarded), request(self.token(name))).await.0
    }

    /// Calls [`ask`](Stand::ask), and also returns the number of the store's calls.
    pub async fn ask_counted(&self, name: &str) -> (u16, usize) {
        let before = self.store.calls();
        let status = self.ask(name).await;
        (status, self.store.calls() - before)
    }

    /// Calls [`ask`](Stand::ask) in its own task.
    #[must_use]
    pub fn spawn_ask(self: &Arc<Self>, name: &str) -> JoinHandle<u16> {
        let (stand, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move { stand.ask(&name).await })
    }
}
