//! The audit trail is complete and permanent.

use std::sync::Arc;

use apikey_core::JsonObject;
use apikey_manager::{Action, AuditEvent, AuditFilter, AuditQuery, Change, Cursor, OrganizationId};
use serde_json::{Value, json};

use crate::bed::{Bed, actor, insertion, made, pages};

/// Events are listed newest first, in pages without gaps.
pub(crate) async fn pages_of_events_have_no_gaps(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let events = written(&bed, &ours).await;
    assert_eq!(bed.store.audit(&bed.every_event(&ours)).await.unwrap(), events, "the events in the order of a list");
    for size in [1, 4, events.len(), events.len() + 1] {
        for filter in [AuditFilter::default(), made(|it: &mut AuditFilter| it.actor = Some(actor("alice")))] {
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
            let paged = pages(size, read, place).await;
            assert_eq!(paged, expected, "all pages of {size} events");
        }
    }
}

/// Events are filtered by actor, action, target and span of time.
pub(crate) async fn events_are_filtered(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let events = written(&bed, &ours).await;
    let filters = [
        made(|it: &mut AuditFilter| it.actor = Some(actor("alice"))),
        made(|it: &mut AuditFilter| it.actor = Some(actor("ALICE"))),
        made(|it: &mut AuditFilter| it.action = Some(Action::KeyRevoked)),
        made(|it: &mut AuditFilter| it.target = Some("target 2".to_owned())),
        made(|it: &mut AuditFilter| it.target = Some("target".to_owned())),
        made(|it: &mut AuditFilter| it.from = Some(bed.at(-2))),
        made(|it: &mut AuditFilter| it.to = Some(bed.at(-2))),
        made(|it: &mut AuditFilter| {
            it.from = Some(bed.at(-3));
            it.to = Some(bed.at(-1));
        }),
        made(|it: &mut AuditFilter| {
            it.from = Some(bed.at(-1));
            it.to = Some(bed.at(-1));
        }),
        made(|it: &mut AuditFilter| {
            it.actor = Some(actor("bob"));
            it.target = Some("target 1".to_owned());
        }),
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
        assert_eq!(bed.store.audit(&query).await.unwrap(), expected, "the events that pass {filter:?}");
    }
}

/// All of an event is stored, for every action.
pub(crate) async fn every_field_of_an_event_is_kept(bed: Arc<Bed>) {
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
    bed.commit(&ours, events.iter().cloned().map(Change::Audit)).await.unwrap();
    assert_eq!(bed.store.audit(&bed.every_event(&ours)).await.unwrap(), events, "the events as they are kept");
}

/// No event can be overwritten.
pub(crate) async fn an_event_is_never_overwritten(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let event = bed.event(&ours, Action::KeyIssued, "first");
    bed.commit(&ours, [Change::Audit(event.clone())]).await.unwrap();
    let mut forged = event.clone();
    forged.target = "second".to_owned();
    // Accepted or not, it must not change the existing event.
    let answer = bed.commit(&ours, [Change::Audit(forged)]).await;
    assert!(answer.as_ref().map_or_else(apikey_manager::StoreError::is_conflict, |_| true), "{answer:?}");
    let kept = bed.store.audit(&bed.every_event(&ours)).await.unwrap();
    assert!(kept.contains(&event), "an event was written over: {kept:?}");
}

/// Events outlive their targets.
pub(crate) async fn events_outlive_their_key(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, account) = (bed.key(&ours), bed.account(&ours));
    let issued = bed.event(&ours, Action::KeyIssued, &key.id);
    let created = bed.event(&ours, Action::AccountCreated, account.id.as_str());
    let insertions = [Change::InsertAccount(account.clone()), insertion(&key)];
    bed.commit(&ours, insertions.into_iter().chain([issued.clone(), created.clone()].map(Change::Audit)))
        .await
        .unwrap();
    let mut deleted = bed.event(&ours, Action::KeyDeleted, &key.id);
    deleted.at = bed.at(1);
    let deletions = [Change::DeleteKey(key.id.clone()), Change::DeleteAccount(account.id.clone())];
    bed.commit(&ours, deletions.into_iter().chain([Change::Audit(deleted.clone())])).await.unwrap();
    for (target, expected) in [(key.id.as_str(), vec![deleted, issued]), (account.id.as_str(), vec![created])] {
        let filter = made(|it: &mut AuditFilter| it.target = Some(target.to_owned()));
        let query = AuditQuery { filter, ..bed.every_event(&ours) };
        assert_eq!(bed.store.audit(&query).await.unwrap(), expected, "the events of something that was deleted");
    }
}

/// Returns events of every kind, some with equal times, in the order of a list.
async fn written(bed: &Bed, organization: &OrganizationId) -> Vec<AuditEvent> {
    let actions = [Action::KeyIssued, Action::KeyRevoked, Action::AccountCreated];
    let make = |n: usize| {
        let mut event = bed.event(organization, actions[n % 3], format!("target {}", n % 4));
        event.at = bed.at(-(n as i64 % 5));
        event.actor = actor(if n.is_multiple_of(2) { "alice" } else { "bob" });
        event
    };
    let mut events: Vec<_> = (0..30).map(make).collect();
    for some in events.chunks(7) {
        bed.commit(organization, some.iter().cloned().map(Change::Audit)).await.unwrap();
    }
    events.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    events
}
