//! What was done stays told.

use std::sync::Arc;

use apikey_core::JsonObject;
use serde_json::{Value, json};

use crate::{
    audit::{Action, AuditEvent},
    conformance::{
        bed::{Bed, actor, insertion, pages},
        outcome::{Failure, Outcome, ensure, same},
    },
    organization::OrganizationId,
    query::{AuditFilter, AuditQuery, Cursor},
    store::Change,
};

pub(in crate::conformance) async fn given_events_when_listed_then_the_newest_come_first_in_pages_without_gaps(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let events = written(&bed, &ours).await?;
    same!(bed.store.audit(&bed.every_event(&ours)).await?, events, "the events in the order of a list");
    for size in [1, 4, events.len(), events.len() + 1] {
        for filter in [AuditFilter::default(), AuditFilter { actor: Some(actor("alice")), ..AuditFilter::default() }] {
            let expected: Vec<_> = events
                .iter()
                .filter(|event| filter.actor.as_ref().is_none_or(|by| event.actor == *by))
                .cloned()
                .collect();
            let query = AuditQuery { filter: filter.clone(), limit: size, ..bed.every_event(&ours) };
            let read = |after| {
                let query = AuditQuery { after, ..query.clone() };
                let bed = &bed;
                async move { bed.store.audit(&query).await }
            };
            let place = |event: &AuditEvent| Cursor { at: event.at, id: event.id.clone() };
            let paged = pages(size, read, place).await?;
            same!(paged, expected, "all pages of {size} events");
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn given_events_when_filtered_then_each_filter_holds(bed: Arc<Bed>) -> Outcome {
    let ours = bed.organization("ours");
    let events = written(&bed, &ours).await?;
    let none = AuditFilter::default;
    let filters = [
        AuditFilter { actor: Some(actor("alice")), ..none() },
        AuditFilter { actor: Some(actor("ALICE")), ..none() },
        AuditFilter { action: Some(Action::KeyRevoked), ..none() },
        AuditFilter { target: Some("target 2".to_owned()), ..none() },
        AuditFilter { target: Some("target".to_owned()), ..none() },
        AuditFilter { from: Some(bed.at(-2)), ..none() },
        AuditFilter { to: Some(bed.at(-2)), ..none() },
        AuditFilter { from: Some(bed.at(-3)), to: Some(bed.at(-1)), ..none() },
        AuditFilter { from: Some(bed.at(-1)), to: Some(bed.at(-1)), ..none() },
        AuditFilter { actor: Some(actor("bob")), target: Some("target 1".to_owned()), ..none() },
    ];
    for filter in filters {
        let passes = |event: &&AuditEvent| {
            filter.actor.as_ref().is_none_or(|wanted| event.actor == *wanted)
                && filter.action.is_none_or(|wanted| event.action == wanted)
                && filter.target.as_ref().is_none_or(|wanted| event.target == *wanted)
                && filter.from.is_none_or(|from| from <= event.at)
                && filter.to.is_none_or(|to| event.at < to)
        };
        let expected: Vec<_> = events.iter().filter(passes).cloned().collect();
        let query = AuditQuery { filter: filter.clone(), ..bed.every_event(&ours) };
        same!(bed.store.audit(&query).await?, expected, "the events that pass {filter:?}");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_an_event_when_read_then_all_of_it_is_kept(bed: Arc<Bed>) -> Outcome {
    let ours = bed.organization("ours");
    let map = |value: Value| JsonObject::from(value.as_object().cloned().unwrap_or_default());
    let mut events = Vec::new();
    for (n, action) in Action::ALL.iter().enumerate() {
        let mut event = bed.event(&ours, *action, format!("ziel {n} ‰ \u{202e}🔑"));
        event.at = bed.at(-(n as i64));
        event.actor = actor("key:日本 e\u{301} %_\\");
        event.before = (n % 2 == 0).then(|| {
            let reserved = json!({"$serde_json::private::RawValue": "!"});
            map(json!({"name": "alt\u{2028}", "scopes": ["a:b"], "n": null, "x": [reserved]}))
        });
        event.after = (n % 3 == 0).then(JsonObject::new);
        event.request_id = (n % 4 != 0).then(|| format!("req {n} ü"));
        events.push(event);
    }
    bed.commit(&ours, events.iter().cloned().map(Change::Audit)).await?;
    same!(bed.store.audit(&bed.every_event(&ours)).await?, events, "the events as they are kept");
    Ok(())
}

pub(in crate::conformance) async fn given_an_event_when_another_has_its_id_then_the_first_stands(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let event = bed.event(&ours, Action::KeyIssued, "first");
    bed.commit(&ours, [Change::Audit(event.clone())]).await?;
    let mut forged = event.clone();
    forged.target = "second".to_owned();
    // Refused or not: what was told must not change.
    match bed.commit(&ours, [Change::Audit(forged)]).await {
        Ok(_) => {}
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    let kept = bed.store.audit(&bed.every_event(&ours)).await?;
    ensure!(kept.contains(&event), "an event was written over: {kept:?}");
    Ok(())
}

pub(in crate::conformance) async fn given_a_deleted_key_when_its_events_are_read_then_they_are_all_there(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let (key, account) = (bed.key(&ours), bed.account(&ours));
    let issued = bed.event(&ours, Action::KeyIssued, &key.id);
    let created = bed.event(&ours, Action::AccountCreated, account.id.as_str());
    let insertions = [Change::InsertAccount(account.clone()), insertion(&key)];
    bed.commit(&ours, insertions.into_iter().chain([issued.clone(), created.clone()].map(Change::Audit))).await?;
    let mut deleted = bed.event(&ours, Action::KeyDeleted, &key.id);
    deleted.at = bed.at(1);
    let deletions = [Change::DeleteKey(key.id.clone()), Change::DeleteAccount(account.id.clone())];
    bed.commit(&ours, deletions.into_iter().chain([Change::Audit(deleted.clone())])).await?;
    for (target, expected) in [(key.id.as_str(), vec![deleted, issued]), (account.id.as_str(), vec![created])] {
        let filter = AuditFilter { target: Some(target.to_owned()), ..AuditFilter::default() };
        let query = AuditQuery { filter, ..bed.every_event(&ours) };
        same!(bed.store.audit(&query).await?, expected, "the events of something that was deleted");
    }
    Ok(())
}

/// Events of every kind, some at one moment, in the order of a list.
async fn written(bed: &Bed, organization: &OrganizationId) -> Result<Vec<AuditEvent>, Failure> {
    let actions = [Action::KeyIssued, Action::KeyRevoked, Action::AccountCreated];
    let make = |n: usize| {
        let mut event = bed.event(organization, actions[n % 3], format!("target {}", n % 4));
        event.at = bed.at(-(n as i64 % 5));
        event.actor = actor(if n.is_multiple_of(2) { "alice" } else { "bob" });
        event
    };
    let mut events: Vec<_> = (0..30).map(make).collect();
    for some in events.chunks(7) {
        bed.commit(organization, some.iter().cloned().map(Change::Audit)).await?;
    }
    events.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    Ok(events)
}
