//! The first key is issued once, however often and by whichever process the service starts.

use std::sync::Arc;

use apikey_manager::{Actor, NewKey};

use crate::{bed::Bed, stage::Stage};

/// If eight processes start at once on an empty store, one of them gets the first key.
#[tokio::test]
async fn one_of_eight_that_bootstrap_gets_the_key() {
    let bed = Bed::new();
    // A store that was bootstrapped before issues no other first key.
    let is_new = bed.store.marker("bootstrap").await.unwrap().is_none();
    let issued = bed
        .at_once(8, |bed, n| async move {
            // Separate processes, half of them in other organizations, so that no lock is shared.
            let stage = Stage::new(Arc::clone(&bed));
            let organization = bed.organization(&format!("organization {}", n / 2));
            let host = Actor::host("tests", organization).unwrap();
            tokio::task::yield_now().await;
            stage.keys.bootstrap(&host, NewKey::new("first").scopes(["*"])).await.unwrap().map(|key| key.id().clone())
        })
        .await;
    let issued: Vec<_> = issued.into_iter().flatten().collect();
    assert_eq!(issued.len(), usize::from(is_new), "how many of eight got the first key");
    let mut there = 0;
    for n in 0..4 {
        let organization = bed.organization(&format!("organization {n}"));
        there += bed.store.keys(&bed.every_key(&organization)).await.unwrap().len();
        // The marker decides, rather than the absence of keys.
        let stage = Stage::new(Arc::clone(&bed));
        let host = Actor::host("tests", organization.clone()).unwrap();
        for key in bed.store.keys(&bed.every_key(&organization)).await.unwrap() {
            stage.keys.delete(&host, &key.id).await.unwrap();
        }
    }
    assert_eq!(there, issued.len(), "the keys that there are");
    let stage = Stage::new(Arc::clone(&bed));
    let again = stage.keys.bootstrap(&stage.host, NewKey::new("another").scopes(["*"])).await.unwrap();
    assert!(again.is_none(), "a store without keys is given another first key");
}
