//! Rows that can't be read, as other programs may leave them. Each fails alone.

use std::{collections::BTreeSet, sync::Arc};

use apikey_core::{KeyFormat, KeyId, PlaintextKey};
use apikey_manager::{
    Actor, AlertFilter, AlertQuery, AuditFilter, BulkRevocation, Change, Claim, Event, Found, KeyFilter, KeyHead,
    KeyManager, KeyQuery, KeySort, KeyStore, NewAlert, NewKey, PageRequest, Selection,
};
use apikey_sqlx::SqlStore;

use crate::support::{Place, acme, at, commit, digest, id, insert, key};

const KEYS: u64 = 40;

/// Statements that make key 7's row unreadable, and that repair it.
const SPOILED: [(&str, &str); 4] = [
    (
        r#"UPDATE apikey_key SET metadata = '{"x":{"y":}}' WHERE id = 'key_00000007'"#,
        "UPDATE apikey_key SET metadata = '{}' WHERE id = 'key_00000007'",
    ),
    (
        "UPDATE apikey_key SET metadata = '[1]' WHERE id = 'key_00000007'",
        "UPDATE apikey_key SET metadata = '{}' WHERE id = 'key_00000007'",
    ),
    (
        r#"UPDATE apikey_key SET scopes = 'a"b' WHERE id = 'key_00000007'"#,
        "UPDATE apikey_key SET scopes = '' WHERE id = 'key_00000007'",
    ),
    (
        "UPDATE apikey_secret SET algorithm = 'md5' WHERE key_id = 'key_00000007'",
        "UPDATE apikey_secret SET algorithm = 'sha256' WHERE key_id = 'key_00000007'",
    ),
];

async fn filled(place: &Place) -> SqlStore {
    let store = place.open().await;
    commit(&store, (1..=KEYS).map(|n| insert(key(n)))).await.unwrap();
    store
}

fn query(limit: usize) -> KeyQuery {
    KeyQuery {
        organization: acme(),
        filter: KeyFilter::default(),
        sort: KeySort::Created,
        now: at(2_000_000),
        after: None,
        limit,
    }
}

#[tokio::test]
async fn given_a_key_that_cannot_be_read_when_looked_up_in_a_batch_then_it_fails_alone() {
    for place in Place::all() {
        let store = filled(&place).await;
        for (spoil, restore) in SPOILED {
            place.run(spoil).await.unwrap();
            let digests: Vec<_> = (1..=KEYS).map(digest).collect();
            let mut found = BTreeSet::new();
            for answer in store.find(&digests).await.unwrap().found {
                match answer {
                    Found::Key(key) => assert!(found.insert(key.id)),
                    Found::Corrupt { digest: of, error } => {
                        assert!(of == digest(7) && error.is_corrupt(), "{spoil}: {error}");
                        assert!(found.insert(id(7)));
                    }
                }
            }
            assert_eq!(found.len() as u64, KEYS, "{} {spoil}", place.name);
            assert!(matches!(store.find(&[digest(7)]).await.unwrap().found[..], [Found::Corrupt { .. }]), "{spoil}");
            place.run(restore).await.unwrap();
            assert!(matches!(store.find(&[digest(7)]).await.unwrap().found[..], [Found::Key(_)]), "{restore}");
        }
    }
}

#[tokio::test]
async fn given_keys_that_cannot_be_read_when_listed_then_pages_go_on_behind_them() {
    for place in Place::all() {
        let store = filled(&place).await;
        for (spoil, restore) in SPOILED {
            place.run(spoil).await.unwrap();
            assert!(store.key(&acme(), &id(7)).await.unwrap_err().is_corrupt(), "{spoil}");
            let all = store.keys(&query(1_000)).await.unwrap();
            assert_eq!(all.len() as u64, KEYS - 1, "{} {spoil}", place.name);
            assert_eq!(store.scan(None, 1_000).await.unwrap().len() as u64, KEYS - 1);
            // A page that would begin or end with the row is full; only the last page is shorter.
            for limit in [1, 2, 3, 7] {
                let (mut seen, mut after) = (BTreeSet::new(), None);
                loop {
                    let page = store.scan(after.as_ref(), limit).await.unwrap();
                    let is_last = page.len() < limit;
                    after = page.last().map(|key| key.id.clone());
                    seen.extend(page.into_iter().map(|key| key.id));
                    if is_last {
                        break;
                    }
                }
                assert_eq!(seen.len() as u64, KEYS - 1, "{} {spoil}", place.name);
            }
            place.run(restore).await.unwrap();
        }
        // Every key at once.
        place.run("UPDATE apikey_key SET metadata = 'broken'").await.unwrap();
        assert_eq!((store.keys(&query(5)).await.unwrap(), store.scan(None, 5).await.unwrap()), (vec![], vec![]));
        place.run("UPDATE apikey_key SET metadata = '{}'").await.unwrap();
    }
}

#[tokio::test]
async fn given_events_and_accounts_that_cannot_be_read_when_listed_then_the_others_are() {
    for place in Place::all() {
        let store = filled(&place).await;
        let format = KeyFormat::builder("tst").build().unwrap();
        let keys = KeyManager::builder(store).format(format).build().unwrap();
        let host = Actor::host("tests", acme()).unwrap();
        for n in 0..3 {
            keys.create_account(&host, apikey_manager::NewAccount::new(format!("a{n}"))).await.unwrap();
            keys.issue(&host, NewKey::new(format!("k{n}"))).await.unwrap();
        }
        place.run("UPDATE apikey_service_account SET disabled_by = '' WHERE name = 'a1'").await.unwrap();
        place.run("UPDATE apikey_service_account SET disabled_at = 1 WHERE name = 'a1'").await.unwrap();
        let first = || PageRequest::first().limit(1);
        let accounts = keys.accounts(&host, first()).await.unwrap();
        let second = keys.accounts(&host, PageRequest::after(accounts.next.unwrap()).limit(5)).await.unwrap();
        assert_eq!((accounts.items.len(), second.items.len(), second.next), (1, 1, None), "{}", place.name);
        // The trail is append-only.
        place
            .run(
                "INSERT INTO apikey_audit (id, at, organization, actor, action, target, state_after) \
                 VALUES ('evt_x', 9000000000000, 'acme', 'a', 'key.issued', 'k', '{'), \
                 ('evt_y', 9000000000000, 'acme', 'a', 'key.from_the_future', 'k', '{}')",
            )
            .await
            .unwrap();
        let events = keys.audit(&host, AuditFilter::default(), PageRequest::first()).await.unwrap();
        assert_eq!(events.items.len(), 6, "{}", place.name);
        let newest = keys.audit(&host, AuditFilter::default(), first()).await.unwrap();
        assert_eq!(newest.items[0], events.items[0]);
        keys.shutdown().await;
    }
}

#[tokio::test]
async fn given_alerts_that_cannot_be_read_when_listed_or_delivered_then_the_others_are() {
    for place in Place::all() {
        let store = filled(&place).await;
        for n in 1..=8 {
            let since = at(n);
            let event = Event::Unused { key: Arc::new(KeyHead::from(&key(n.unsigned_abs()))), since };
            let mut alert = NewAlert::new(since, event, format!("alert {n}"));
            alert.for_host = true;
            commit(&store, [Change::Alert(Box::new(alert))]).await.unwrap();
        }
        // Those of keys 1 to 5, which are due before the others, are of a version to come.
        place.run("UPDATE apikey_alert SET body = '{\"event\":\"key.from_the_future\"}' WHERE at <= 5").await.unwrap();
        place.run("INSERT INTO apikey_alert_settings (organization, settings) VALUES ('acme', '[]')").await.unwrap();
        let query = |after, limit| AlertQuery { organization: acme(), filter: AlertFilter::default(), after, limit };
        let first = store.alerts().list(&query(None, 2)).await.unwrap();
        let second = store.alerts().list(&query(Some(first[1].id), 2)).await.unwrap();
        assert_eq!((first.len(), second.len()), (2, 1), "{}", place.name);
        assert_eq!(store.alerts().alert_settings(&[acme()]).await.unwrap(), []);
        let mut claimed = 0;
        for n in 0..3 {
            let (now, until) = (at(1_000), at(1_000_000));
            let claim = Claim { by: format!("c{n}"), now, until, for_host: true, except: Vec::new(), limit: 4 };
            claimed += store.alerts().claim(&claim).await.unwrap().len();
        }
        assert_eq!(claimed, 3, "{}", place.name);
        let pending = "SELECT id FROM apikey_delivery WHERE state = 'pending' AND claimed_by IS NULL";
        assert_eq!(place.count(pending).await, 5, "a version that can read them delivers them later");
    }
}

#[tokio::test]
async fn given_a_key_that_cannot_be_read_when_ended_in_any_way_then_it_is_ended() {
    for place in Place::all() {
        for (spoil, _) in SPOILED {
            for way in ["revoke", "disable", "delete", "bulk", "suspend"] {
                let place = if place.name == "sqlite" { Place::sqlite() } else { Place::postgres().unwrap() };
                let store = filled(&place).await;
                place.run(spoil).await.unwrap();
                let format = KeyFormat::builder("tst").build().unwrap();
                let keys = KeyManager::builder(store.clone()).format(format).build().unwrap();
                let host = Actor::host("tests", acme()).unwrap();
                let what = format!("{} {way} {spoil}", place.name);
                match way {
                    "revoke" => assert!(keys.revoke(&host, &id(7), "").await.expect(&what).revoked.is_some()),
                    "disable" => assert!(keys.disable(&host, &id(7)).await.expect(&what).disabled.is_some()),
                    "delete" => keys.delete(&host, &id(7)).await.expect(&what),
                    "bulk" => {
                        let all = BulkRevocation::new(Selection::Everything);
                        assert_eq!(keys.revoke_selected(&host, all).await.expect(&what).keys.len() as u64, KEYS);
                    }
                    _ => assert!(keys.suspend_organization(&host).await.expect(&what).suspended.is_some()),
                }
                let ended = match way {
                    "revoke" | "bulk" => "revoked_at IS NOT NULL",
                    "disable" => "disabled_at IS NOT NULL",
                    "delete" => "FALSE",
                    _ => "TRUE",
                };
                let sql = format!("SELECT id FROM apikey_key WHERE id = 'key_00000007' AND {ended}");
                assert_eq!(place.count(&sql).await, i64::from(way != "delete"), "{what}");
                keys.shutdown().await;
            }
        }
    }
}

/// Accepted metadata is read back unchanged, although sqlx makes `serde_json` treat these names specially.
#[tokio::test]
async fn given_metadata_with_reserved_names_when_issued_then_everything_goes_on() {
    for place in Place::all() {
        let store = place.open().await;
        let format = KeyFormat::builder("tst").build().unwrap();
        let keys = KeyManager::builder(store.clone()).format(format).build().unwrap();
        let host = Actor::host("tests", acme()).unwrap();
        let mut issued: Vec<(KeyId, PlaintextKey)> = Vec::new();
        for text in [
            r#"{"x":{"$serde_json::private::RawValue":"!"}}"#,
            r#"{"x":[[{"$serde_json::private::RawValue":"{\"a\":1}"}]]}"#,
            r#"{"$serde_json::private::RawValue":"1"}"#,
            r#"{"$serde_json::private::Number":"!"}"#,
        ] {
            let metadata = apikey_core::JsonObject::read(text.as_bytes()).unwrap();
            let key = keys.issue(&host, NewKey::new("k").metadata(metadata)).await.unwrap();
            let (record, secret) = key.into_parts();
            assert_eq!(keys.get(&host, &record.id).await.unwrap().metadata.as_str(), text, "{}", place.name);
            issued.push((record.id, secret));
        }
        assert_eq!(keys.list(&host, KeyFilter::default(), PageRequest::first()).await.unwrap().items.len(), 4);
        let events = keys.audit(&host, AuditFilter::default(), PageRequest::first()).await.unwrap().items;
        assert_eq!(events.len(), 4);
        let (oldest, kept) = (events.last().unwrap(), r#"{"x":{"$serde_json::private::RawValue":"!"}}"#);
        assert!(oldest.after.as_ref().unwrap().as_str().contains(kept), "{}", place.name);
        keys.revoke(&host, &issued[0].0, "").await.unwrap();
        keys.delete(&host, &issued[1].0).await.unwrap();
        let left = keys.revoke_selected(&host, BulkRevocation::new(Selection::Everything)).await.unwrap();
        assert_eq!(left.keys.len(), 2);
        keys.shutdown().await;
    }
}

/// [`Change`] is public for stores of hosts.
#[tokio::test]
async fn given_an_ended_secret_when_a_clock_lags_behind_then_its_holder_is_not_let_in() {
    for place in Place::all() {
        let store = place.open().await;
        commit(&store, [insert(key(1))]).await.unwrap();
        let end = Change::EndSecrets(id(1), 2, vec![digest(1)], at(9_000_000_000_000));
        commit(&store, [end]).await.unwrap();
        let found = store.find(&[digest(1)]).await.unwrap().found;
        // It ends in the year 2255, but it was ended explicitly.
        assert!(matches!(&found[..], [Found::Key(key)] if key.is_secret_ended), "{}", place.name);
        let record = store.key(&acme(), &id(1)).await.unwrap().unwrap();
        assert_eq!(record.live_secrets(at(0)).count(), 0);
    }
}
