//! Reservations of `poll_ready`: used by the call that they were made for, and released by a call that is refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use support::{
    calls::request,
    stand::{FilesWrite, Setting, Stand},
    store::Behaviour,
};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, limit::GlobalConcurrencyLimitLayer};
use tower_apikey::{ApiKeyLayer, RequireScopeLayer};

type Failing = Result<Response<String>, String>;

/// Panics if it is called without having been polled ready. Its clones don't inherit readiness.
struct MustBeReady {
    is_ready: bool,
    fails: Arc<AtomicBool>,
}

impl MustBeReady {
    fn new() -> Self {
        MustBeReady { is_ready: false, fails: Arc::default() }
    }
}

impl Clone for MustBeReady {
    fn clone(&self) -> Self {
        MustBeReady { is_ready: false, fails: Arc::clone(&self.fails) }
    }
}

impl Service<Request<String>> for MustBeReady {
    type Response = Response<String>;
    type Error = String;
    type Future = std::future::Ready<Failing>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without having been polled ready");
        std::future::ready(match self.fails.load(Ordering::SeqCst) {
            true => Err("as it came".to_owned()),
            false => Ok(Response::new(String::new())),
        })
    }
}

fn layer(stand: &Stand) -> ApiKeyLayer {
    ApiKeyLayer::new(stand.authenticator.clone())
}

fn limit(permits: &Arc<Semaphore>) -> GlobalConcurrencyLimitLayer {
    GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(permits))
}

#[tokio::test(start_paused = true)]
async fn given_one_service_when_called_for_misses_hits_and_refusals_then_the_inner_one_is_always_ready() {
    let stand = Stand::new(Setting::Plain);
    let guarded = RequireScopeLayer::of::<FilesWrite>().layer(MustBeReady::new());
    let mut service = layer(&stand).layer(guarded);
    for _ in 0..2 {
        for (name, status) in
            [("admin", 200), ("admin", 200), ("unknown", 401), ("reader", 403), ("mistyped", 401), ("writer", 200)]
        {
            let ready = service.ready().await.unwrap();
            assert_eq!(ready.call(request(stand.token(name))).await.unwrap().status(), status, "{name}");
            let clone = service.clone();
            assert_eq!(clone.oneshot(request(stand.token(name))).await.unwrap().status(), status, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn given_an_inner_service_that_fails_when_called_for_a_miss_and_a_hit_then_its_error_is_as_it_came() {
    let stand = Stand::new(Setting::Plain);
    let inner = MustBeReady::new();
    inner.fails.store(true, Ordering::SeqCst);
    let service = layer(&stand).layer(inner);
    for _ in 0..2 {
        let error: String = service.clone().oneshot(request(stand.token("reader"))).await.unwrap_err();
        assert_eq!(error, "as it came");
    }
    assert_eq!(stand.store.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_inside_when_a_request_is_refused_then_its_permit_is_back_before_the_answer_is_awaited() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let mut service = layer(&stand).layer(limit(&permits).layer(MustBeReady::new()));
    for name in ["mistyped", "of-test"] {
        let ready = service.ready().await.unwrap();
        assert_eq!(permits.available_permits(), 0);
        let refused = ready.call(request(stand.token(name)));
        assert_eq!(permits.available_permits(), 1, "a refused call keeps what was reserved for it");
        assert_eq!(refused.await.unwrap().status(), 401);
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_inside_a_guard_when_a_request_lacks_the_scope_then_its_permit_is_back() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let guard = RequireScopeLayer::of::<FilesWrite>();
    let mut service = layer(&stand).layer(guard.layer(limit(&permits).layer(MustBeReady::new())));
    // First loaded, then cached.
    for _ in 0..2 {
        let refused = service.ready().await.unwrap().call(request(stand.token("reader")));
        assert_eq!(refused.await.unwrap().status(), 403);
        assert_eq!(permits.available_permits(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_inside_when_a_hit_or_a_miss_is_let_in_then_it_holds_its_permit_until_it_has_an_answer() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let mut service = layer(&stand).layer(limit(&permits).layer(MustBeReady::new()));
    for _ in ["a miss", "a hit"] {
        let called = service.ready().await.unwrap().call(request(stand.token("reader")));
        assert_eq!(permits.available_permits(), 0);
        assert_eq!(called.await.unwrap().status(), 200);
        assert_eq!(permits.available_permits(), 1);
    }
    assert_eq!(stand.store.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_inside_when_a_miss_is_refused_by_the_store_or_dropped_then_its_permit_is_back() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let mut service = layer(&stand).layer(limit(&permits).layer(MustBeReady::new()));
    let refused = service.ready().await.unwrap().call(request(stand.token("unknown")));
    assert_eq!(permits.available_permits(), 0);
    assert_eq!(refused.await.unwrap().status(), 401);
    assert_eq!(permits.available_permits(), 1);

    stand.store.behave(Behaviour::Hold);
    let mut held = Box::pin(service.ready().await.unwrap().call(request(stand.token("reader"))));
    tokio::select! {
        biased;
        _ = &mut held => panic!("the store holds it"),
        () = stand.store.entered() => {}
    }
    assert_eq!(permits.available_permits(), 0);
    drop(held);
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_inside_when_a_refused_call_is_still_alive_then_the_next_one_gets_in() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let mut service = layer(&stand).layer(limit(&permits).layer(MustBeReady::new()));
    let refused = service.ready().await.unwrap().call(request(stand.token("mistyped")));
    let accepted = service.ready().await.unwrap().call(request(stand.token("reader")));
    assert_eq!(accepted.await.unwrap().status(), 200);
    assert_eq!(refused.await.unwrap().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn given_a_limit_outside_when_requests_are_answered_or_dropped_then_every_permit_is_back() {
    let stand = Stand::new(Setting::Plain);
    let permits = Arc::new(Semaphore::new(1));
    let service = limit(&permits).layer(layer(&stand).layer(MustBeReady::new()));
    for (name, status) in [("reader", 200), ("reader", 200), ("unknown", 401), ("mistyped", 401)] {
        assert_eq!(service.clone().oneshot(request(stand.token(name))).await.unwrap().status(), status);
        assert_eq!(permits.available_permits(), 1);
    }
    stand.store.behave(Behaviour::Hold);
    let mut held = Box::pin(service.oneshot(request(stand.token("admin"))));
    tokio::select! {
        biased;
        _ = &mut held => panic!("the store holds it"),
        () = stand.store.entered() => {}
    }
    assert_eq!(permits.available_permits(), 0);
    drop(held);
    assert_eq!(permits.available_permits(), 1);
}
