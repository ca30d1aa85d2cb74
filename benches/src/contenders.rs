//! The services that are measured: the bare service, the floor, the layer, and hand-written middleware.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tower::{Layer, Service};
use tower_apikey::{ApiKeyLayer, Authenticator};
use tower_http::{auth::AsyncRequireAuthorizationLayer, validate_request::ValidateRequestHeaderLayer};

use crate::keys;

type Body = Full<Bytes>;

/// A service under test, of any type.
pub type Contender = tower::util::BoxCloneSyncService<Request<String>, Response<()>, Infallible>;

/// The handler, which answers immediately.
#[derive(Clone, Copy, Debug)]
pub struct Bare;

impl Service<Request<String>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Full::default())))
    }
}

fn token(request: &Request<String>) -> &[u8] {
    &request.headers()[AUTHORIZATION].as_bytes()["Bearer ".len()..]
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The floor: a SHA-256 of the key, and one insert into the request's extensions.
#[derive(Clone, Debug)]
pub struct Floor(pub Arc<u64>);

impl Service<Request<String>> for Floor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<String>) -> Self::Future {
        black_box(digest(token(&request)));
        request.extensions_mut().insert(Arc::clone(&self.0));
        Bare.call(request)
    }
}

/// An ideal table: the floor, one slot at a known place, and one entry read. The request's path contains the slot's
/// number.
#[derive(Clone)]
pub struct Ideal(Arc<[ArcSwapOption<IdealEntry>]>);

struct IdealEntry {
    digest: [u8; 32],
    good_until: AtomicU64,
}

impl Ideal {
    /// Creates a table of `keys`.
    #[must_use]
    pub fn new(keys: &[String]) -> Self {
        let entry = |key: &String| IdealEntry { digest: digest(key.as_bytes()), good_until: AtomicU64::new(1) };
        Ideal(keys.iter().map(|key| ArcSwapOption::from_pointee(entry(key))).collect())
    }
}

/// Returns an ideal table's slot for the key.
#[derive(Clone, Copy, Debug)]
pub struct Slot(pub usize);

impl Service<(Slot, Request<String>)> for Ideal {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (Slot(slot), mut request): (Slot, Request<String>)) -> Self::Future {
        let digest = digest(token(&request));
        let entry = self.0[slot].load_full().expect("the slot is taken");
        assert!(entry.digest == digest && entry.good_until.load(Ordering::Acquire) > 0);
        request.extensions_mut().insert(entry);
        Bare.call(request)
    }
}

/// The hand-written peer's data about a caller.
#[derive(Clone, Debug)]
pub struct Caller(#[expect(dead_code, reason = "read by handlers")] Arc<str>);

/// Creates the cache of a hand-written middleware, with `keys` in it.
#[must_use]
pub fn peer_cache(keys: &[String]) -> Cache<[u8; 32], Caller> {
    let cache = Cache::builder().max_capacity(2 * keys.len() as u64 + 1_000).build();
    for key in keys {
        cache.insert(digest(key.as_bytes()), Caller("a name of 20 bytes..".into()));
    }
    cache.run_pending_tasks();
    cache
}

/// A typical hand-written middleware: tower-http's `AsyncRequireAuthorizationLayer`, a boxed future, moka.
pub fn peer(
    cache: Cache<[u8; 32], Caller>,
) -> impl Service<Request<String>, Response = Response<Body>, Error = Infallible> + Clone {
    type Checked = Pin<Box<dyn Future<Output = Result<Request<String>, Response<Body>>> + Send>>;
    let check = move |mut request: Request<String>| -> Checked {
        let cache = cache.clone();
        Box::pin(async move {
            let refused = || {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                response
            };
            let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(refused)?;
            let caller = cache.get(&digest(token.as_bytes())).ok_or_else(refused)?;
            request.extensions_mut().insert(caller);
            Ok(request)
        })
    };
    AsyncRequireAuthorizationLayer::new(check).layer(Bare)
}

/// tower-http's `ValidateRequestHeaderLayer`, which compares a header with one value.
pub fn validate(key: &str) -> impl Service<Request<String>, Response = Response<Body>, Error = Infallible> + Clone {
    ValidateRequestHeaderLayer::has_header_value("authorization", &format!("Bearer {key}"))
        .expect("a header value")
        .layer(Bare)
}

/// The layer, with `keys` in its cache and a little room left, so that none was displaced.
pub fn ours(keys: &[String]) -> tower_apikey::ApiKeyService<Bare> {
    ours_of(keys::authenticator(keys.len() * 5 / 4 + 10), keys)
}

/// The layer over `authenticator`, with `keys` in its cache.
pub fn ours_of(authenticator: Authenticator, keys: &[String]) -> tower_apikey::ApiKeyService<Bare> {
    let mut service = ApiKeyLayer::new(authenticator).layer(Bare);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for key in keys {
            let response = service.call(keys::request(key)).await.expect("no error");
            assert_eq!(response.status(), StatusCode::OK);
        }
    });
    service
}

impl std::fmt::Debug for Ideal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ideal")
    }
}
