//! Markers: for things that happen once, and for the progress of a job.

use std::sync::Arc;

use apikey_manager::Change;

use crate::bed::{Bed, affecting, assert_conflict};

/// A marker is set once, for all organizations.
pub(crate) async fn a_marker_is_set_once(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (name, other) = (bed.unique(), bed.unique());
    let set = |value: &str| [Change::SetMarker(name.clone(), value.to_owned())];
    assert_eq!(bed.store.marker(&name).await.unwrap(), None, "a marker that is not set");
    bed.commit(&ours, set("first")).await.unwrap();
    for organization in [&ours, &theirs] {
        let again = bed.commit(organization, set("second")).await;
        assert_conflict(again, "a marker that is set");
        let again = bed.commit(organization, set("first")).await;
        assert_conflict(again, "a marker that is set, to what it is");
        assert_eq!(bed.store.marker(&name).await.unwrap().as_deref(), Some("first"), "the marker");
        let mut change = bed.store.begin(organization).await.unwrap();
        assert_eq!(change.marker(&name).await.unwrap().as_deref(), Some("first"), "the marker, seen within a change");
        assert_eq!(change.marker(&other).await.unwrap(), None, "another marker, seen within a change");
    }
}

/// If several set a marker at the same time, one succeeds.
pub(crate) async fn one_of_ten_sets_the_marker(bed: Arc<Bed>) {
    let name = bed.unique();
    let wanted = name.clone();
    let set = bed
        .at_once(10, move |bed, n| {
            let name = wanted.clone();
            async move {
                let change = bed.store.begin(&bed.organization(&format!("organization {n}"))).await.unwrap();
                tokio::task::yield_now().await;
                let value = n.to_string();
                match change.commit(affecting([Change::SetMarker(name, value.clone())])).await {
                    Ok(_) => Some(value),
                    Err(error) if error.is_conflict() => None,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
        .await;
    let set: Vec<_> = set.into_iter().flatten().collect();
    assert_eq!(set.len(), 1, "how many of ten set the marker");
    assert_eq!(bed.store.marker(&name).await.unwrap().as_ref(), set.first(), "what the marker is set to");
}

/// A marker advances from its current value or not at all.
pub(crate) async fn a_marker_advances_only_from_its_value(bed: Arc<Bed>) {
    let name = bed.unique();
    let store = &bed.store;
    assert!(!store.advance_marker(&name, Some("a"), "b").await.unwrap(), "a marker that is not set is not `a`");
    assert_eq!(store.marker(&name).await.unwrap(), None, "the marker");
    assert!(store.advance_marker(&name, None, "a").await.unwrap(), "a marker that is not set can be");
    assert!(!store.advance_marker(&name, None, "b").await.unwrap(), "a marker that is set is not absent");
    assert!(!store.advance_marker(&name, Some("A"), "b").await.unwrap(), "a marker is what it is, case and all");
    assert_eq!(store.marker(&name).await.unwrap().as_deref(), Some("a"), "the marker");
    assert!(store.advance_marker(&name, Some("a"), "b").await.unwrap(), "a marker advances from what it is");
    assert!(store.advance_marker(&name, Some("b"), "b").await.unwrap(), "a marker advances to what it is already");
    assert!(!store.advance_marker(&name, Some("a"), "c").await.unwrap(), "a marker does not advance from what it was");
    assert_eq!(store.marker(&name).await.unwrap().as_deref(), Some("b"), "the marker");
    let set = [Change::SetMarker(name.clone(), "d".to_owned())];
    assert_conflict(bed.commit(&bed.organization("ours"), set).await, "a marker that has been advanced");
}

/// If several advance a marker from one value, one succeeds.
pub(crate) async fn ten_that_advance_a_marker_make_each_step_once(bed: Arc<Bed>) {
    let name = bed.unique();
    let shared = name.clone();
    let made = bed
        .at_once(10, move |bed, _| {
            let name = shared.clone();
            async move {
                let mut made = 0;
                for _ in 0..10 {
                    let before = bed.store.marker(&name).await.unwrap();
                    let next = before.as_deref().map_or(0, |text| text.parse().unwrap_or(0)) + 1;
                    tokio::task::yield_now().await;
                    made +=
                        i32::from(bed.store.advance_marker(&name, before.as_deref(), &next.to_string()).await.unwrap());
                }
                made
            }
        })
        .await;
    let steps = made.into_iter().sum::<i32>().to_string();
    assert_eq!(bed.store.marker(&name).await.unwrap(), Some(steps), "the marker, and how often it was advanced");
}
