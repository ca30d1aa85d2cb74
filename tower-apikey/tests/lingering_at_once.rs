//! The limit of unread bodies that a process reads at once. It runs alone in its process, because it uses up the limit.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{ApiKeyLayer, LingerLayer, RequireScopeLayer, Requirement, TestKeys};

/// A body that sends nothing.
struct Stalled(#[expect(dead_code, reason = "counted")] Arc<()>);

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

async fn answer<B>(_: Request<B>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

#[tokio::test]
async fn given_layers_without_a_bound_of_their_own_when_they_refuse_then_they_share_64_turns() {
    let keys = TestKeys::new();
    let scope = Requirement::all(["a"]).unwrap();
    let mut bodies: Vec<Weak<()>> = Vec::new();
    let mut body = || {
        let alive = Arc::new(());
        bodies.push(Arc::downgrade(&alive));
        Request::new(Stalled(alive))
    };
    for _ in 0..30 {
        LingerLayer::new().layer(service_fn(answer)).oneshot(body()).await.unwrap();
        ApiKeyLayer::new(keys.authenticator()).layer(service_fn(answer)).oneshot(body()).await.unwrap();
        RequireScopeLayer::new(scope.clone()).layer(service_fn(answer)).oneshot(body()).await.unwrap();
    }
    assert_eq!(bodies.iter().filter(|body| body.strong_count() > 0).count(), 64);
}
