//! Many concurrent requests for a key that is not cached.

use apikey_core::Authenticator;

use crate::stand::{Gated, decide, format, unknown_keys};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn given_1000_requests_at_once_when_the_key_is_cold_then_it_is_looked_up_once() {
    let keys = unknown_keys(1);
    let store = Gated::closed(&keys);
    let authenticator = Authenticator::builder(store.clone()).format(format()).build().unwrap();
    let arrived = std::sync::Arc::new(tokio::sync::Barrier::new(1_001));
    let requests: Vec<_> = (0..1_000)
        .map(|_| {
            let (authenticator, key, arrived) = (authenticator.clone(), keys[0].clone(), arrived.clone());
            tokio::spawn(async move {
                arrived.wait().await;
                decide(&authenticator, &key).await
            })
        })
        .collect();
    arrived.wait().await;
    store.let_through();
    for request in requests {
        assert!(request.await.unwrap().unwrap().is_some());
    }
    assert_eq!(store.calls(), 1);
}
