//! The first key is issued once, whoever starts how often.

use std::sync::Arc;

use super::stage::Stage;
use crate::{
    Actor, NewKey,
    conformance::{
        bed::Bed,
        outcome::{Outcome, ensure, same},
    },
};

pub(in crate::conformance) async fn given_eight_that_start_at_once_when_each_bootstraps_then_one_gets_the_key(
    bed: Arc<Bed>,
) -> Outcome {
    // A store that has been bootstrapped before has none left to give.
    let is_new = bed.store.marker("bootstrap").await?.is_none();
    let issued = bed
        .at_once(8, |bed, n| async move {
            // Processes of their own, half of them in other organizations: no lock that they share.
            let stage = Stage::new(Arc::clone(&bed))?;
            let organization = bed.organization(&format!("organization {}", n / 2));
            let host = Actor::host("tests", organization)?;
            tokio::task::yield_now().await;
            Ok(stage.keys.bootstrap(&host, NewKey::new("first").scopes(["*"])).await?.map(|key| key.id().clone()))
        })
        .await?;
    let issued: Vec<_> = issued.into_iter().flatten().collect();
    same!(issued.len(), usize::from(is_new), "how many of eight got the first key");
    let mut there = 0;
    for n in 0..4 {
        let organization = bed.organization(&format!("organization {n}"));
        there += bed.store.keys(&bed.every_key(&organization)).await?.len();
        // Not that there are no keys decides.
        let stage = Stage::new(Arc::clone(&bed))?;
        let host = Actor::host("tests", organization.clone())?;
        for key in bed.store.keys(&bed.every_key(&organization)).await? {
            stage.keys.delete(&host, &key.id).await?;
        }
    }
    same!(there, issued.len(), "the keys that there are");
    let stage = Stage::new(Arc::clone(&bed))?;
    let again = stage.keys.bootstrap(&stage.host, NewKey::new("another").scopes(["*"])).await?;
    ensure!(again.is_none(), "a store without keys is given another first key");
    Ok(())
}
