//! Organizations with a month of usage, and with many keys and events.

use std::time::Duration;

use apikey_core::Timestamp;
use apikey_manager::{
    Action, Actor, AuditEvent, Change, Changes, KeyManager, KeyStore, MemoryStore, NewAccount, NewKey, OrganizationId,
    ServiceAccountId, UsageBatch, UsageRow,
};

const HOUR: Duration = Duration::from_secs(3_600);
const KEYS: usize = 10_000;
const EVENTS: usize = 100_000;

fn host_of(organization: &str) -> Actor {
    Actor::host("seed", OrganizationId::new(organization).unwrap()).unwrap()
}

/// An organization with accounts and keys, and a month of usage in which one hour is a spike.
pub(super) async fn seed_usage(keys: &KeyManager, store: &MemoryStore) {
    let host = host_of("acme");
    let mut accounts = Vec::new();
    for (name, purpose) in [("website", "The public website"), ("nightly export", "Copies files to the archive")] {
        let account = NewAccount::new(name).description(purpose);
        accounts.push(keys.create_account(&host, account).await.unwrap().id);
    }
    let of = |name: &str, account: Option<&ServiceAccountId>, days: Option<u32>, scopes: &[&str]| {
        let mut key = NewKey::new(name).scopes(scopes.iter().copied());
        if let Some(account) = account {
            key = key.service_account(account.clone());
        }
        if let Some(days) = days {
            key = key.expires_at(Timestamp::now().saturating_add(days * 24 * HOUR));
        }
        key
    };
    let wanted = [
        (of("website, production", Some(&accounts[0]), None, &["files:read", "files:write"]), 40),
        (of("website, preview", Some(&accounts[0]), Some(9), &["files:read"]), 6),
        (of("nightly export", Some(&accounts[1]), Some(200), &["files:read"]), 12),
        (of("CI of the website", None, Some(80), &["files:read"]), 3),
        (of("invoices to the bookkeeper", None, Some(5), &["billing:read"]), 1),
        (of("Dana's laptop", None, None, &["files:*"]).environment("test"), 0),
    ];
    let now = Timestamp::now();
    let last = Timestamp::from_millis(now.as_millis() / 3_600_000 * 3_600_000).unwrap();
    let mut rows = Vec::new();
    for (key, each) in wanted {
        let issued = keys.issue(&host, key).await.unwrap();
        let record = keys.get(&host, issued.id()).await.unwrap();
        for back in 0..30 * 24_u64 {
            // Days have their mornings and evenings; two hours ago was a spike.
            let swing = [1, 1, 2, 4, 6, 7, 8, 8, 7, 5, 3, 2][(back / 2 % 12) as usize];
            let spike = if back == 2 && each == 40 { 9_000 } else { 0 };
            let hour = last.saturating_sub(u32::try_from(back).unwrap() * HOUR);
            if each > 0 {
                rows.push(UsageRow {
                    key: record.id.clone(),
                    organization: record.organization.clone(),
                    service_account: record.service_account.clone(),
                    environment: record.environment.clone(),
                    hour,
                    ok: each * swing + spike,
                    refused: each * swing / 40,
                    last_used: vec![(record.secrets[0].digest.clone(), hour)],
                });
            }
        }
    }
    rows.sort_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
    assert!(store.add_usage(&UsageBatch { id: "seed".to_owned(), at: now, rows }).await.unwrap());
}

/// An organization with many keys and a long audit trail.
pub(super) async fn seed_many(keys: &KeyManager, store: &MemoryStore) {
    let host = host_of("large");
    let mut target = String::new();
    for n in 0..KEYS {
        let issued = keys.issue(&host, NewKey::new(format!("key {n}")).scopes(["files:read"])).await.unwrap();
        target = issued.id().to_string();
    }
    let actor = host.id().clone();
    let now = Timestamp::now().saturating_sub(HOUR);
    let events = (KEYS..EVENTS).map(|n| {
        let at = now.saturating_sub(Duration::from_secs(60) * u32::try_from(n).unwrap());
        let id = format!("evt_seed{n:08}");
        Change::Audit(AuditEvent::new(id, at, host.organization().clone(), actor.clone(), Action::KeyUpdated, &target))
    });
    let transaction = store.begin(host.organization()).await.unwrap();
    transaction.commit(Changes { changes: events.collect(), ..Changes::default() }).await.unwrap();
}
