//! Foreign code that runs within ours: destructors, wakers, subscribers. It may call back.

use std::{
    sync::{Arc, Mutex, mpsc},
    task::{Context, Wake, Waker},
    time::Duration,
};

use apikey_core::{AuthenticatedKey, Authenticator, Claims, KeyId, Revoked, TestKeys, resolver_fn};
use futures_util::FutureExt;

use crate::{
    sized,
    stand::{Bearer, decide, load},
};

/// Runs `work` on its own thread, so that a deadlock fails the test instead of hanging it.
fn without_deadlock(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it is stuck"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
    }
}

#[test]
fn given_a_handle_whose_drop_is_deferred_to_an_epoch_when_unknown_keys_flood_then_nothing_deadlocks() {
    without_deadlock(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let keys = TestKeys::new();
            let authenticator = keys.authenticator();
            for _ in 0..sized(500, 20_000) {
                let key = keys.key(["a"]);
                let handle = decide(&authenticator, key.secret().expose_secret()).await.unwrap().unwrap();
                // Concurrent maps do so with removed entries. The cache of refused keys is one, and its shared
                // collector runs deferred destructors on any thread.
                crossbeam_epoch::pin().defer(move || drop(handle));
                keys.revoke(&key);
                for stranger in keys.strangers(8) {
                    assert!(decide(&authenticator, &stranger).await.is_err());
                }
            }
        });
    });
}

/// Returns new well-formed keys that the store doesn't know.
trait Strangers {
    fn strangers(&self, count: usize) -> Vec<String>;
}

impl Strangers for TestKeys {
    fn strangers(&self, count: usize) -> Vec<String> {
        let format = apikey_core::KeyFormat::builder("test").build().unwrap();
        (0..count).map(|_| format.generate().unwrap().expose_secret().to_owned()).collect()
    }
}

#[test]
fn given_a_waker_that_owns_another_waiter_when_it_is_replaced_then_nothing_deadlocks() {
    /// A task that only its waker keeps alive.
    struct Task(#[expect(dead_code, reason = "held, to be dropped with the waker")] Mutex<Option<Revoked>>);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    without_deadlock(|| {
        let key = AuthenticatedKey::fake(Claims::new(KeyId::new("k").unwrap()));
        let mut inside = key.revoked();
        assert!((&mut inside).now_or_never().is_none());
        let owner = Waker::from(Arc::new(Task(Mutex::new(Some(inside)))));
        let mut outside = key.revoked();
        assert!(outside.poll_unpin(&mut Context::from_waker(&owner)).is_pending());
        drop(owner);
        assert!(outside.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("nobody can say what is wrong")
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test]
async fn given_an_error_that_panics_when_it_is_logged_then_every_waiter_gets_its_503() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let resolver = resolver_fn(async |_| Err::<Option<apikey_core::Resolution>, _>(Unspeakable));
    let authenticator = Authenticator::builder(resolver).build().unwrap();
    let key = "a-key-of-no-format-at-all";
    let (first, second) = (load(&authenticator, key), load(&authenticator, key));
    for waiter in [first, second] {
        let decision = std::panic::AssertUnwindSafe(waiter).catch_unwind().await;
        assert_eq!(decision.expect("nothing unwinds out of a load").unwrap_err().status(), 503);
    }
    let _ = Bearer::new(key);
}
