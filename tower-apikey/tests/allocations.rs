//! A request with a cached key allocates only what an insert into its extensions needs.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service};
use tower_apikey::{ApiKeyLayer, AuthenticatedKey, FromExtensions, RequireScopeLayer, TestKeys, scopes};

scopes! {
    pub Files {
        FilesRead = "files:read",
    }
}

#[derive(Clone)]
struct Handler;

impl Service<Request<String>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(AuthenticatedKey::from_extensions(request.extensions()).is_some());
        ready(Ok(Response::new(Full::default())))
    }
}

fn request(authorization: &str) -> Request<String> {
    Request::builder().header("authorization", authorization).body(String::new()).unwrap()
}

#[tokio::test]
async fn given_a_cached_key_when_let_in_then_only_the_extensions_allocate() {
    let _ = Files::catalog();
    let keys = TestKeys::new();
    let key = keys.key(["files:read", "files:write"]);
    let authorization = key.authorization();
    let mut service = ApiKeyLayer::new(keys.authenticator()).layer(RequireScopeLayer::of::<FilesRead>().layer(Handler));
    assert_eq!(service.call(request(&authorization)).await.unwrap().status(), 200);

    let hit = request(&authorization);
    let mut status = None;
    let of_the_layer = allocation_counter::measure(|| {
        let response = pin!(service.call(hit)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(response)) = response else { panic!("a hit is decided at once") };
        status = Some(response.status());
    });
    assert_eq!(status.unwrap(), 200);

    let mut bare = request(&authorization);
    let pointer = std::sync::Arc::new(());
    let of_one_insert = allocation_counter::measure(|| {
        bare.extensions_mut().insert(pointer);
    });
    assert_eq!(of_the_layer.count_total, of_one_insert.count_total);
    assert_eq!(of_the_layer.bytes_total, of_one_insert.bytes_total);
    assert_eq!(keys.resolver_calls(), 1);
}

#[tokio::test]
async fn given_a_body_of_one_frame_when_it_is_read_then_nothing_is_allocated_for_watching_it() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let handler = tower::service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"all of it"))))
    });
    let mut service = ApiKeyLayer::new(keys.authenticator()).layer(handler);
    let mut body = pin!(service.call(request(&key.authorization())).await.unwrap().into_body());
    let reading = allocation_counter::measure(|| {
        let polled = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Some(Ok(_)))) && body.is_end_stream());
    });
    assert_eq!(reading.count_total, 0);
}
