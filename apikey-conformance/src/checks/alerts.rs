//! The log of alerts, their receivers, and the outbox.

use std::{sync::Arc, time::Duration};

use apikey_manager::{
    Alert, AlertFilter, AlertId, AlertQuery, AlertSettings, AlertStore, Change, Claim, Claimed, DeliveryId,
    DeliveryQuery, DeliveryState, Event, KeyHead, KeyRecord, NewAlert, OrganizationId, Prune, Receiver, Settled,
    Thresholds, Timestamp, Webhook, WebhookAnswer, WebhookSecret,
};

use crate::bed::{Bed, actor, assert_conflict, insertion, made, switched};

/// More than any other check leaves in the outbox.
const ALL: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

impl Bed {
    fn log(&self) -> &dyn AlertStore {
        self.store.alerts()
    }

    /// An alert that the key is unused, since the moment of this number.
    fn unused(&self, key: &KeyRecord, since: i64) -> NewAlert {
        let event = serde_json::json!({ "event": "key.unused", "key": KeyHead::from(key), "since": self.at(since) });
        let event: Event = serde_json::from_value(event).unwrap();
        NewAlert::new(self.at(since), event, format!("key.unused {} {since}", key.id))
    }

    fn revoked(&self, key: &KeyRecord) -> NewAlert {
        let event = serde_json::json!({ "event": "key.revoked", "key": KeyHead::from(key) });
        let event: Event = serde_json::from_value(event).unwrap();
        NewAlert::new(self.at(500), event, format!("key.revoked {}", key.id))
    }

    fn webhook(&self, organization: &OrganizationId) -> Webhook {
        let id = format!("whk_{}", self.unique().replace('-', "_")).parse().unwrap();
        let secret = WebhookSecret::from_text("whsec_c2VjcmV0");
        Webhook::new(id, organization.clone(), "https://example.com/hook", secret, self.at(1), actor("someone"))
    }

    async fn write(&self, organization: &OrganizationId, changes: impl IntoIterator<Item = Change>) {
        self.commit(organization, changes).await.unwrap();
    }

    async fn tell(&self, alert: NewAlert) {
        self.write(&alert.organization().clone(), [Change::Alert(Box::new(alert))]).await;
    }

    async fn listed(&self, organization: &OrganizationId, filter: AlertFilter) -> Vec<Alert> {
        let query = AlertQuery { organization: organization.clone(), filter, after: None, limit: ALL };
        self.log().list(&query).await.unwrap()
    }

    /// Claims what is due for `organization` at `now`, for a minute.
    async fn claim(&self, organization: &OrganizationId, by: &str, now: Timestamp, for_host: bool) -> Vec<Claimed> {
        let by = by.to_owned();
        let claim = Claim { by, now, until: now + MINUTE, for_host, except: Vec::new(), limit: ALL };
        self.claimed(organization, &claim).await
    }

    async fn claimed(&self, organization: &OrganizationId, claim: &Claim) -> Vec<Claimed> {
        let mut claimed = self.log().claim(claim).await.unwrap();
        claimed.retain(|claimed| claimed.delivery.organization == *organization);
        claimed
    }
}

fn since(alert: &Alert) -> Option<Timestamp> {
    match alert.event {
        Event::Unused { since, .. } => Some(since),
        _ => None,
    }
}

fn settled(at: Timestamp, state: DeliveryState, next: Option<Timestamp>, answer: WebhookAnswer) -> Settled {
    Settled { at, state, next_attempt_at: next, answer }
}

/// An alert shares its change's fate, is in the log once, and has the event as it was given.
pub(crate) async fn an_alert_is_written_once_with_its_change(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    let changes = vec![insertion(&key), Change::Alert(Box::new(bed.unused(&key, 10))), insertion(&key)];
    assert_conflict(bed.commit(&ours, changes).await, "a key twice");
    assert_eq!(bed.listed(&ours, AlertFilter::default()).await, []);
    bed.insert([&key]).await;
    for _ in 0..2 {
        let mut alert = bed.unused(&key, 10);
        alert.for_host = true;
        bed.tell(alert).await;
    }
    bed.tell(bed.unused(&key, 11)).await;
    let listed = bed.listed(&ours, AlertFilter::default()).await;
    assert_eq!(listed.iter().map(since).collect::<Vec<_>>(), [Some(bed.at(11)), Some(bed.at(10))]);
    let first = bed.store.begin(&ours).await.unwrap().alert(listed[1].id).await.unwrap().unwrap();
    assert_eq!((first.at, &first.event, &first.acknowledged), (bed.at(10), &bed.unused(&key, 10).event, &None));
    assert!(listed[0].sequence() > listed[1].sequence());
    assert_eq!(bed.claim(&ours, &bed.unique(), bed.at(100), true).await.len(), 1);
    let references = [10, 11, 12].map(|since| bed.unused(&key, since).reference);
    let mut known = bed.log().known_alerts(&references).await.unwrap();
    known.sort();
    assert_eq!(known, references[..2]);
    let stranger = bed.organization("stranger");
    assert_eq!(bed.store.begin(&stranger).await.unwrap().alert(first.id).await.unwrap(), None);
    let alert = vec![Change::Alert(Box::new(bed.unused(&key, 13)))];
    let foreign = bed.commit(&stranger, alert).await;
    assert_conflict(foreign, "another organization's alert");
}

/// Pages begin where they should, and filters hold.
pub(crate) async fn alerts_are_listed_newest_first(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys = [bed.key(&ours), bed.key(&ours)];
    bed.insert(&keys).await;
    for n in 0..6 {
        bed.tell(bed.unused(&keys[n % 2], 10 - n as i64)).await;
    }
    bed.tell(bed.revoked(&keys[0])).await;
    let all = bed.listed(&ours, AlertFilter::default()).await;
    assert_eq!(all.len(), 7);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id), "{all:?}");
    let mut read: Vec<Alert> = Vec::new();
    loop {
        let after = read.last().map(|alert| alert.id);
        let query = AlertQuery { organization: ours.clone(), filter: AlertFilter::default(), after, limit: 2 };
        let page = bed.log().list(&query).await.unwrap();
        assert!(page.len() <= 2);
        match page.is_empty() {
            true => break,
            false => read.extend(page),
        }
        assert!(read.len() <= all.len());
    }
    assert_eq!(read, all);
    bed.write(&ours, [Change::AcknowledgeAlert(all[1].id, switched(bed.at(20)))]).await;
    let all = bed.listed(&ours, AlertFilter::default()).await;
    let filters: [AlertFilter; 5] = [
        made(|filter: &mut AlertFilter| filter.acknowledged = Some(true)),
        made(|filter: &mut AlertFilter| filter.acknowledged = Some(false)),
        made(|filter: &mut AlertFilter| filter.event = Some("key.revoked".to_owned())),
        made(|filter: &mut AlertFilter| filter.key = Some(keys[0].id.clone())),
        made(|filter: &mut AlertFilter| {
            filter.key = Some(keys[1].id.clone());
            filter.acknowledged = Some(false);
        }),
    ];
    for filter in filters {
        let wanted: Vec<_> = all.iter().filter(|alert| filter.matches(alert)).cloned().collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len());
        assert_eq!(bed.listed(&ours, filter.clone()).await, wanted, "{filter:?}");
    }
    assert_eq!(bed.listed(&bed.organization("none"), AlertFilter::default()).await, []);
}

/// The first acknowledgement stays, and a key's open alerts are closed by name.
pub(crate) async fn an_alert_is_acknowledged_once(bed: Arc<Bed>) {
    let (ours, stranger) = (bed.organization("ours"), bed.organization("stranger"));
    let keys = [bed.key(&ours), bed.key(&ours)];
    bed.insert(&keys).await;
    bed.tell(bed.unused(&keys[0], 10)).await;
    bed.tell(bed.unused(&keys[0], 11)).await;
    bed.tell(bed.unused(&keys[1], 10)).await;
    bed.tell(bed.revoked(&keys[0])).await;
    let first = bed.listed(&ours, AlertFilter::default()).await.pop().unwrap().id;
    bed.write(&ours, [Change::AcknowledgeAlert(first, switched(bed.at(20)))]).await;
    bed.write(&ours, [Change::AcknowledgeAlert(first, switched(bed.at(21)))]).await;
    let acknowledge = |id| vec![Change::AcknowledgeAlert(id, switched(bed.at(22)))];
    assert_conflict(bed.commit(&stranger, acknowledge(first)).await, "a stranger's");
    assert_conflict(bed.commit(&ours, acknowledge(AlertId::new(u64::MAX >> 1))).await, "none");
    let close = |by| Change::CloseAlerts(vec![keys[0].id.clone()], &["key.unused"], by);
    bed.write(&stranger, [close(switched(bed.at(23)))]).await;
    bed.write(&ours, [close(switched(bed.at(24)))]).await;
    let listed = bed.listed(&ours, AlertFilter::default()).await;
    let at = |alert: &Alert| alert.acknowledged.as_ref().map(|by| by.at);
    let expected = [None, None, Some(bed.at(24)), Some(bed.at(20))];
    assert_eq!(listed.iter().map(at).collect::<Vec<_>>(), expected);
}

/// Thresholds are an organization's own.
pub(crate) async fn thresholds_are_kept_for_each_organization(bed: Arc<Bed>) {
    let organizations = ["one", "two", "none"].map(|name| bed.organization(name));
    let mut settings = AlertSettings::from(&Thresholds::new());
    let mut expected = Vec::new();
    for (organization, days) in organizations.iter().zip([Some(40), None]) {
        settings.unused_days = days;
        settings.expiring_days = vec![1, 7, 30];
        bed.write(organization, [Change::SetAlertSettings(AlertSettings::from(&Thresholds::new()))]).await;
        bed.write(organization, [Change::SetAlertSettings(settings.clone())]).await;
        expected.push((organization.clone(), settings.clone()));
    }
    let mut read = bed.log().alert_settings(&organizations).await.unwrap();
    read.sort_by_key(|(organization, _)| expected.iter().position(|(wanted, _)| wanted == organization));
    assert_eq!(read, expected);
    let mut transaction = bed.store.begin(&organizations[0]).await.unwrap();
    assert_eq!(transaction.alert_settings().await.unwrap(), Some(expected[0].1.clone()));
}

/// Webhooks keep every field, and change from version to version.
pub(crate) async fn every_field_of_a_webhook_is_kept(bed: Arc<Bed>) {
    let (ours, stranger) = (bed.organization("ours"), bed.organization("stranger"));
    let (mut webhook, mut second) = (bed.webhook(&ours), bed.webhook(&ours));
    webhook.description = "für Größeres".to_owned();
    second.created_at = bed.at(2);
    let set = |webhook: &Webhook| Change::SetWebhook(Box::new(webhook.clone()));
    bed.write(&ours, [set(&second), set(&webhook)]).await;
    webhook.version = 2;
    webhook.url = "https://example.org/other".to_owned();
    webhook.events = vec!["key.expiring".to_owned(), "key.unused".to_owned()];
    webhook.is_disabled = true;
    webhook.previous_secret = Some((webhook.secret.clone(), bed.at(50)));
    webhook.secret = WebhookSecret::from_text("whsec_b3RoZXI=");
    bed.write(&ours, [set(&webhook)]).await;
    let commit = |change: Change| [change];
    assert_conflict(bed.commit(&ours, commit(set(&webhook))).await, "the same version");
    assert_conflict(bed.commit(&ours, commit(set(&second))).await, "a taken id");
    let foreign = bed.commit(&stranger, commit(Change::DeleteWebhook(webhook.id.clone()))).await;
    assert_conflict(foreign, "a stranger's");
    assert_eq!(bed.log().webhooks(&ours).await.unwrap(), [webhook.clone(), second.clone()]);
    let mut transaction = bed.store.begin(&ours).await.unwrap();
    assert_eq!(transaction.webhooks().await.unwrap(), [webhook.clone(), second.clone()]);
    drop(transaction);
    bed.write(&ours, [Change::DeleteWebhook(webhook.id.clone())]).await;
    assert_eq!(bed.log().webhooks(&ours).await.unwrap(), [second]);
    assert_eq!(bed.log().webhooks(&stranger).await.unwrap(), []);
}

/// Each receiver that wants an event gets a delivery, and nobody else.
pub(crate) async fn an_alert_goes_to_each_receiver_that_wants_it(bed: Arc<Bed>) {
    let (ours, stranger) = (bed.organization("ours"), bed.organization("stranger"));
    let (key, theirs) = (bed.key(&ours), bed.key(&stranger));
    bed.insert([&key]).await;
    bed.insert([&theirs]).await;
    let hooks = [(); 5].map(|()| bed.webhook(&ours));
    let [all, unused, revoked, similar, mut off] = hooks;
    let of = |mut webhook: Webhook, events: &[&str]| {
        webhook.events = events.iter().map(|event| (*event).to_owned()).collect();
        webhook
    };
    let unused = of(unused, &["key.issued", "key.unused"]);
    let (revoked, similar) = (of(revoked, &["key.revoked"]), of(similar, &["key.unused_no"]));
    off.is_disabled = true;
    let set = [all.clone(), unused.clone(), revoked, similar, off].map(|webhook| Change::SetWebhook(Box::new(webhook)));
    bed.write(&ours, set).await;
    bed.write(&stranger, [Change::SetWebhook(Box::new(bed.webhook(&stranger)))]).await;
    bed.tell(bed.unused(&key, 10)).await;
    bed.tell(bed.unused(&theirs, 10)).await;
    let claimed = bed.claim(&ours, &bed.unique(), bed.at(20), false).await;
    let mut ids: Vec<_> = claimed.iter().map(|claimed| claimed.webhook.clone().unwrap().id).collect();
    ids.sort();
    let mut expected = [all.id.clone(), unused.id.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    let to_all = claimed.iter().find(|claimed| claimed.webhook.as_ref() == Some(&all)).unwrap();
    assert_eq!(to_all.alert.event, bed.unused(&key, 10).event);
    assert_eq!(to_all.delivery.receiver, Receiver::Webhook(all.id.clone()));
    assert_eq!((to_all.delivery.alert, to_all.delivery.event.as_str()), (to_all.alert.id, "key.unused"));
    assert_eq!((to_all.delivery.state, to_all.delivery.attempts), (DeliveryState::Pending, 0));
    assert_eq!(bed.claim(&ours, &bed.unique(), bed.at(20), true).await, []);
    bed.write(&ours, [Change::DeleteWebhook(all.id.clone())]).await;
    let later = bed.claim(&ours, &bed.unique(), bed.at(2_000), false).await;
    assert_eq!(later.len(), 1, "a deleted webhook has no deliveries");
    assert_eq!(bed.store.begin(&ours).await.unwrap().delivery(to_all.delivery.id).await.unwrap(), None);
}

/// A delivery is claimed by one at a time, and again once the claim is over or was given back.
pub(crate) async fn a_delivery_is_claimed_by_one_for_a_time(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, webhook) = (bed.key(&ours), bed.webhook(&ours));
    bed.insert([&key]).await;
    bed.write(&ours, [Change::SetWebhook(Box::new(webhook.clone()))]).await;
    bed.tell(bed.unused(&key, 10)).await;
    let names = ["one", "two", "three", "four", "five"].map(|name| format!("{name}_{}", bed.unique()));
    let now = bed.at(20);
    assert_eq!(bed.claim(&ours, &names[0], bed.at(9), false).await, [], "not due");
    let except = vec![Receiver::Webhook(webhook.id.clone())];
    let claim = Claim { by: names[0].clone(), now, until: now + MINUTE, for_host: false, except, limit: ALL };
    assert_eq!(bed.claimed(&ours, &claim).await, []);
    assert_eq!(bed.claim(&ours, &names[0], now, false).await.len(), 1);
    assert_eq!(bed.claim(&ours, &names[1], now, false).await, []);
    let [again] = bed.claim(&ours, &names[2], now + MINUTE, false).await.try_into().unwrap();
    let id = again.delivery.id;
    let done = settled(now, DeliveryState::Delivered, None, WebhookAnswer::status(200));
    assert!(!bed.log().settle(id, &names[0], &done).await.unwrap(), "its claim is over");
    assert_eq!(
        bed.store.begin(&ours).await.unwrap().delivery(id).await.unwrap().unwrap().state,
        DeliveryState::Pending
    );
    bed.log().release(&names[2]).await.unwrap();
    assert_eq!(bed.claim(&ours, &names[3], now + MINUTE, false).await.len(), 1);
    assert!(bed.log().settle(id, &names[3], &done).await.unwrap());
    assert_eq!(bed.claim(&ours, &names[4], now + MINUTE * 60, false).await, []);
}

/// Twenty that claim at once share what is due, each delivery once.
pub(crate) async fn twenty_that_claim_at_once_share(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    bed.write(&ours, [Change::SetWebhook(Box::new(bed.webhook(&ours)))]).await;
    let alerts = (0..60).map(|n| Change::Alert(Box::new(bed.unused(&key, n)))).collect::<Vec<_>>();
    bed.write(&ours, alerts).await;
    let (now, tag) = (bed.at(100), bed.unique());
    let claims = bed.at_once(20, |bed, n| {
        let by = format!("{tag}_{n}");
        async move {
            let claim = Claim { by, now, until: now + MINUTE, for_host: false, except: Vec::new(), limit: ALL };
            bed.log().claim(&claim).await.unwrap()
        }
    });
    let claimed: Vec<_> = claims.await.into_iter().flatten().collect();
    let mut ids: Vec<DeliveryId> = claimed.iter().map(|claimed| claimed.delivery.id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "claimed twice");
    let rest = bed.claim(&ours, &bed.unique(), now, false).await.len();
    let ours = claimed.iter().filter(|claimed| claimed.delivery.organization == ours).count();
    assert_eq!(ours + rest, 60);
}

/// A delivery is as its last attempt left it, and a parked one can be retried.
pub(crate) async fn a_delivery_is_as_its_last_attempt_left_it(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, webhook) = (bed.key(&ours), bed.webhook(&ours));
    bed.insert([&key]).await;
    bed.write(&ours, [Change::SetWebhook(Box::new(webhook.clone()))]).await;
    bed.tell(bed.unused(&key, 10)).await;
    bed.tell(bed.unused(&key, 11)).await;
    let by = bed.unique();
    let ids: Vec<_> =
        bed.claim(&ours, &by, bed.at(20), false).await.iter().map(|claimed| claimed.delivery.id).collect();
    assert_eq!(ids.len(), 2);
    let retry = settled(bed.at(21), DeliveryState::Pending, Some(bed.at(30)), WebhookAnswer::failed("gone\0 away"));
    assert!(bed.log().settle(ids[0], &by, &retry).await.unwrap());
    let parked = settled(bed.at(22), DeliveryState::Parked, None, WebhookAnswer::status(500));
    assert!(bed.log().settle(ids[1], &by, &parked).await.unwrap());
    let query = |state| DeliveryQuery {
        organization: ours.clone(),
        webhook: webhook.id.clone(),
        state,
        after: None,
        limit: ALL,
    };
    let all = bed.log().deliveries(&query(None)).await.unwrap();
    assert_eq!(all.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
    let [given_up] = bed.log().deliveries(&query(Some(DeliveryState::Parked))).await.unwrap().try_into().unwrap();
    assert_eq!((given_up.id, given_up.attempts, given_up.next_attempt_at), (ids[1], 1, None));
    assert_eq!((given_up.last_attempt_at, given_up.last_answer), (Some(bed.at(22)), Some(WebhookAnswer::status(500))));
    assert_eq!((all[1].state, all[1].next_attempt_at), (DeliveryState::Pending, Some(bed.at(30))));
    assert!(all[1].last_answer.as_ref().unwrap().error.as_ref().unwrap().starts_with("gone"));
    assert_eq!(bed.claim(&ours, &bed.unique(), bed.at(29), false).await, []);
    let again = bed.unique();
    assert_eq!(bed.claim(&ours, &again, bed.at(30), false).await.len(), 1);
    bed.log().release(&again).await.unwrap();
    bed.write(&ours, [Change::RetryDelivery(ids[1], bed.at(25))]).await;
    let retries = vec![Change::RetryDelivery(ids[0], bed.at(25))];
    assert_conflict(bed.commit(&ours, retries).await, "one that was not given up");
    let [retried] = bed.claim(&ours, &bed.unique(), bed.at(25), false).await.try_into().unwrap();
    assert_eq!((retried.delivery.id, retried.delivery.attempts), (ids[1], 1));
}

/// Old alerts go with their deliveries, except those that would be written again.
pub(crate) async fn old_alerts_are_pruned(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, gone) = (bed.key(&ours), bed.key(&ours));
    bed.insert([&key, &gone]).await;
    bed.write(&ours, [Change::SetWebhook(Box::new(bed.webhook(&ours)))]).await;
    for alert in [bed.unused(&key, 10), bed.unused(&gone, 10), bed.revoked(&key), bed.unused(&key, 900)] {
        bed.tell(alert).await;
    }
    bed.write(&ours, [Change::DeleteKey(gone.id.clone())]).await;
    let prune: Prune = made(|prune: &mut Prune| prune.alerts_before = Some(bed.at(800)));
    let pruned = bed.store.prune(&prune, bed.at(1_000)).await.unwrap();
    assert!(pruned.alerts >= 2, "{pruned:?}");
    let left = bed.listed(&ours, AlertFilter::default()).await;
    assert_eq!(left.iter().map(since).collect::<Vec<_>>(), [Some(bed.at(900)), Some(bed.at(10))]);
    let claimed = bed.claim(&ours, &bed.unique(), bed.at(1_000), false).await;
    assert_eq!(claimed.iter().map(|claimed| since(&claimed.alert)).collect::<Vec<_>>(), [Some(bed.at(900))]);
}
