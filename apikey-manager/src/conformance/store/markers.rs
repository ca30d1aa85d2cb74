//! Markers: what is to happen once, and where a job has come to.

use std::sync::Arc;

use crate::{
    conformance::{
        bed::{Bed, affecting},
        outcome::{Outcome, ensure, refused, same},
    },
    store::Change,
};

pub(in crate::conformance) async fn given_a_marker_when_set_again_then_it_is_refused(bed: Arc<Bed>) -> Outcome {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (name, other) = (bed.unique(), bed.unique());
    let set = |value: &str| [Change::SetMarker(name.clone(), value.to_owned())];
    same!(bed.store.marker(&name).await?, None, "a marker that is not set");
    bed.commit(&ours, set("first")).await?;
    for organization in [&ours, &theirs] {
        let again = bed.commit(organization, set("second")).await;
        refused!(again, "a marker that is set");
        let again = bed.commit(organization, set("first")).await;
        refused!(again, "a marker that is set, to what it is");
        same!(bed.store.marker(&name).await?.as_deref(), Some("first"), "the marker");
        let mut change = bed.store.begin(organization).await?;
        same!(change.marker(&name).await?.as_deref(), Some("first"), "the marker, seen within a change");
        same!(change.marker(&other).await?, None, "another marker, seen within a change");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_marker_when_ten_set_it_at_once_then_one_does(bed: Arc<Bed>) -> Outcome {
    let name = bed.unique();
    let wanted = name.clone();
    let set = bed
        .at_once(10, move |bed, n| {
            let name = wanted.clone();
            async move {
                let change = bed.store.begin(&bed.organization(&format!("organization {n}"))).await?;
                tokio::task::yield_now().await;
                let value = n.to_string();
                match change.commit(affecting([Change::SetMarker(name, value.clone())])).await {
                    Ok(_) => Ok(Some(value)),
                    Err(error) if error.is_conflict() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await?;
    let set: Vec<_> = set.into_iter().flatten().collect();
    same!(set.len(), 1, "how many of ten set the marker");
    same!(bed.store.marker(&name).await?.as_ref(), set.first(), "what the marker is set to");
    Ok(())
}

pub(in crate::conformance) async fn given_a_marker_when_advanced_then_only_from_what_it_is(bed: Arc<Bed>) -> Outcome {
    let name = bed.unique();
    let store = &bed.store;
    ensure!(!store.advance_marker(&name, Some("a"), "b").await?, "a marker that is not set is not `a`");
    same!(store.marker(&name).await?, None, "the marker");
    ensure!(store.advance_marker(&name, None, "a").await?, "a marker that is not set can be");
    ensure!(!store.advance_marker(&name, None, "b").await?, "a marker that is set is not absent");
    ensure!(!store.advance_marker(&name, Some("A"), "b").await?, "a marker is what it is, case and all");
    same!(store.marker(&name).await?.as_deref(), Some("a"), "the marker");
    ensure!(store.advance_marker(&name, Some("a"), "b").await?, "a marker advances from what it is");
    ensure!(store.advance_marker(&name, Some("b"), "b").await?, "a marker advances to what it is already");
    ensure!(!store.advance_marker(&name, Some("a"), "c").await?, "a marker does not advance from what it was");
    same!(store.marker(&name).await?.as_deref(), Some("b"), "the marker");
    let set = [Change::SetMarker(name.clone(), "d".to_owned())];
    refused!(bed.commit(&bed.organization("ours"), set).await, "a marker that has been advanced");
    Ok(())
}

pub(in crate::conformance) async fn given_a_marker_when_ten_advance_it_at_once_then_each_step_is_made_once(
    bed: Arc<Bed>,
) -> Outcome {
    let name = bed.unique();
    let shared = name.clone();
    let made = bed
        .at_once(10, move |bed, _| {
            let name = shared.clone();
            async move {
                let mut made = 0;
                for _ in 0..10 {
                    let before = bed.store.marker(&name).await?;
                    let next = before.as_deref().map_or(0, |text| text.parse().unwrap_or(0)) + 1;
                    tokio::task::yield_now().await;
                    made += i32::from(bed.store.advance_marker(&name, before.as_deref(), &next.to_string()).await?);
                }
                Ok(made)
            }
        })
        .await?;
    let steps = made.into_iter().sum::<i32>().to_string();
    same!(bed.store.marker(&name).await?, Some(steps), "the marker, and how often it was advanced");
    Ok(())
}
