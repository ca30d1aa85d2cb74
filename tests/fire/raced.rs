//! Loads and changes in random order on real threads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use apikey_core::{Authenticator, Claims, KeyId, KeyStatus, PresentedKey, Resolution, resolver_with};

use crate::{
    sized,
    stand::{decide, format, unknown_keys},
};

/// A store with one key, whose name is a version. Odd versions are revoked.
async fn resolve(version: Arc<AtomicU64>, key: PresentedKey) -> Result<Option<Resolution>, apikey_core::IdError> {
    let read = version.load(Ordering::SeqCst);
    // The answer takes a while, during which the store may change.
    for _ in 0..read % 3 {
        tokio::task::yield_now().await;
    }
    let status = if read.is_multiple_of(2) { KeyStatus::Active } else { KeyStatus::Revoked };
    let claims = Claims::new(KeyId::new("k")?).with_name(read.to_string());
    Ok(Some(Resolution::new(key.digest().clone(), claims).with_status(status)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn given_100000_changes_among_loads_on_real_threads_then_nothing_loaded_before_is_served_after() {
    let changes = sized(100_000, 2_000_000);
    let keys = unknown_keys(1);
    let version = Arc::new(AtomicU64::new(0));
    let authenticator =
        Authenticator::builder(resolver_with(version.clone(), resolve)).format(format()).build().unwrap();
    // The oldest version that a new request may see. It is raised when a change returns to its caller.
    let told = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (authenticator, key, told) = (authenticator.clone(), keys[0].clone(), told.clone());
            tokio::spawn(async move {
                let (mut let_in, mut refused, mut outrun) = (0, 0, 0);
                loop {
                    let least = told.load(Ordering::SeqCst);
                    if least == u64::MAX {
                        return (let_in, refused, outrun);
                    }
                    match decide(&authenticator, &key).await {
                        Ok(Some(key)) => {
                            let seen: u64 = key.name().parse().unwrap();
                            assert!(seen >= least, "let in as of {seen}, after {least}");
                            let_in += 1;
                        }
                        Ok(None) => unreachable!("a key is required"),
                        Err(rejection) if rejection.status() == 503 => outrun += 1,
                        Err(rejection) => {
                            assert_eq!(rejection.status(), 401);
                            refused += 1;
                        }
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let writer = tokio::spawn({
        let (authenticator, told) = (authenticator.clone(), told.clone());
        async move {
            let id = KeyId::new("k").unwrap();
            for n in 1..=changes {
                version.store(n, Ordering::SeqCst);
                match n % 2 {
                    1 => authenticator.revoke(&id),
                    _ => authenticator.refresh(&id),
                }
                told.store(n, Ordering::SeqCst);
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            told.store(u64::MAX, Ordering::SeqCst);
        }
    });
    writer.await.unwrap();
    let mut seen = (0, 0);
    for reader in readers {
        let (let_in, refused, _) = reader.await.unwrap();
        seen = (seen.0 + let_in, seen.1 + refused);
    }
    assert!(seen.0 > 0 && seen.1 > 0, "both kinds of answer were seen: {seen:?}");
    // The last change was to an even version.
    assert_eq!(changes % 2, 0);
    assert!(decide(&authenticator, &keys[0]).await.unwrap().is_some());
}
