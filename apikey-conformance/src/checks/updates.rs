//! Updates replace only the previous version of a record.

use std::sync::Arc;

use apikey_core::{KeyDigest, ScopeSet};
use apikey_manager::{Change, FoundKey, KeyRecord, Revocation, SecretRecord, UsageRow};

use crate::bed::{Bed, actor, assert_conflict, insertion, switched, update};

/// An update replaces the previous version of a record, and no other.
pub(crate) async fn a_stale_version_is_refused(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (key, account) = (bed.key(&ours), bed.account(&ours));
    bed.insert([&key]).await;
    bed.insert_account(&account).await;
    bed.commit(&ours, [update(key.clone())]).await.unwrap();
    let mut second = account.clone();
    second.version = 2;
    bed.commit(&ours, [Change::UpdateAccount(second)]).await.unwrap();
    let before = bed.dump(&[&ours]).await;
    for version in [1, 2, 4, 100] {
        let mut key = key.clone();
        (key.version, key.name) = (version, "stale".to_owned());
        let what = format_args!("version {version} of a key after version 2").to_string();
        assert_conflict(bed.commit(&ours, [Change::UpdateKey(Box::new(key))]).await, &what);
        let mut account = account.clone();
        (account.version, account.name) = (version, "stale".to_owned());
        assert_conflict(bed.commit(&ours, [Change::UpdateAccount(account)]).await, &format!("{what}, an account"));
    }
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after refusals");
}

/// Missing rows can't be updated or deleted.
pub(crate) async fn changing_an_unknown_row_is_refused(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (gone, gone_account) = (bed.key(&ours), bed.account(&ours));
    bed.insert([&gone]).await;
    bed.insert_account(&gone_account).await;
    let deletions = [Change::DeleteKey(gone.id.clone()), Change::DeleteAccount(gone_account.id.clone())];
    bed.commit(&ours, deletions).await.unwrap();
    for key in [gone, bed.key(&ours)] {
        assert_conflict(bed.commit(&ours, [update(key.clone())]).await, "an update of a key that there is not");
        assert_conflict(bed.commit(&ours, [Change::DeleteKey(key.id)]).await, "a deletion of a key that there is not");
    }
    for mut account in [gone_account, bed.account(&ours)] {
        let deletion = Change::DeleteAccount(account.id.clone());
        assert_conflict(bed.commit(&ours, [deletion]).await, "a deletion of an account that there is not");
        account.version += 1;
        assert_conflict(bed.commit(&ours, [Change::UpdateAccount(account)]).await, "an update of no account");
    }
}

/// An update replaces every field of a key, and can clear it.
pub(crate) async fn an_update_replaces_every_field(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (mut key, other) = (bed.key(&ours), bed.key(&ours));
    let account = bed.account(&ours);
    bed.insert_account(&account).await;
    bed.insert([&key, &other]).await;
    key.version = 2;
    key.name = "another name".to_owned();
    key.description = "another description".to_owned();
    key.service_account = Some(account.id);
    key.environment = Some("test".to_owned());
    key.hint = "tsk_test_7fQ2…9dKp".to_owned();
    key.scopes = ScopeSet::parse("files:read files:write").unwrap();
    key.not_before = Some(bed.at(-5));
    key.expires_at = Some(bed.at(500));
    key.disabled = Some(switched(bed.at(1)));
    key.revoked = Some(Revocation { at: bed.at(2), by: actor("carol"), reason: "lost".to_owned() });
    key.metadata = r#"{"team":"storage"}"#.parse().unwrap();
    bed.commit(&ours, [Change::UpdateKey(Box::new(key.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key after an update of everything");
    assert_eq!(bed.stored(&other).await, other, "a key that was not changed");
    let mut cleared = bed.key(&ours);
    (cleared.version, cleared.secrets) = (3, key.secrets.clone());
    (cleared.id, cleared.name) = (key.id.clone(), "again".to_owned());
    bed.commit(&ours, [Change::UpdateKey(Box::new(cleared.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, cleared, "the key after everything was cleared");
}

/// An update replaces every field of a service account, and a deletion removes it.
pub(crate) async fn an_account_update_replaces_every_field(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut account = bed.account(&ours);
    bed.insert_account(&account).await;
    assert_eq!(
        bed.store.account(&ours, &account.id).await.unwrap(),
        Some(account.clone()),
        "the account as it was made"
    );
    account.version = 2;
    account.name = "another name".to_owned();
    account.description = "another description".to_owned();
    account.disabled = Some(switched(bed.at(1)));
    bed.commit(&ours, [Change::UpdateAccount(account.clone())]).await.unwrap();
    assert_eq!(
        bed.store.account(&ours, &account.id).await.unwrap(),
        Some(account.clone()),
        "the account after an update"
    );
    let mut change = bed.store.begin(&ours).await.unwrap();
    assert_eq!(change.account(&account.id).await.unwrap(), Some(account.clone()), "the account, seen within a change");
    drop(change);
    (account.version, account.disabled) = (3, None);
    bed.commit(&ours, [Change::UpdateAccount(account.clone())]).await.unwrap();
    assert_eq!(bed.store.account(&ours, &account.id).await.unwrap(), Some(account.clone()), "the account, switched on");
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await.unwrap();
    assert_eq!(bed.store.account(&ours, &account.id).await.unwrap(), None, "the account, deleted");
}

/// An update doesn't change when a key and its secrets were last used.
pub(crate) async fn an_update_keeps_the_last_use(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let used = UsageRow { last_used: vec![(key.secrets[0].digest.clone(), bed.at(60))], ..bed.used(&key, 1, 0) };
    bed.store.add_usage(&bed.batch([used])).await.unwrap();
    // A writer that read the record before the usage was written.
    let mut renamed = key.clone();
    renamed.name = "renamed".to_owned();
    bed.commit(&ours, [update(renamed)]).await.unwrap();
    let stored = bed.stored(&key).await;
    assert_eq!(stored.name, "renamed", "the name");
    assert_eq!(stored.last_used_at, Some(bed.at(60)), "when the key was last used");
    assert_eq!(stored.secrets[0].last_used_at, Some(bed.at(60)), "when its secret was last used");
    // A writer that sets another time.
    let mut claimed = stored;
    claimed.last_used_at = Some(bed.at(3_000));
    claimed.secrets[0].last_used_at = Some(bed.at(3_000));
    bed.commit(&ours, [update(claimed)]).await.unwrap();
    let stored = bed.stored(&key).await;
    let last_used = (stored.last_used_at, stored.secrets[0].last_used_at);
    assert_eq!(last_used, (Some(bed.at(60)), Some(bed.at(60))), "when key and secret were last used");
}

/// A secret that a key didn't have is added as the newest.
pub(crate) async fn the_newest_secret_comes_first(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let mut expected = key.clone();
    // All in one millisecond: their order is that of the changes.
    for _ in 0..4 {
        let secret = SecretRecord::new(bed.digest(), bed.now());
        expected.secrets.insert(0, secret.clone());
        bed.commit(&ours, [update(expected.clone())]).await.unwrap();
        expected.version += 1;
        assert_eq!(bed.stored(&key).await, expected, "the key with a new secret");
        assert_eq!(bed.found(&secret.digest).await.id, key.id, "the key that the new secret finds");
    }
    let keys = bed.store.keys(&bed.every_key(&ours)).await.unwrap();
    assert_eq!(keys[0].secrets, expected.secrets, "the secrets in a list");
    let mut change = bed.store.begin(&ours).await.unwrap();
    assert_eq!(
        change.key(&key.id).await.unwrap().map(|key| key.secrets),
        Some(expected.secrets),
        "the secrets in a change"
    );
}

/// An update sets the windows of secrets, or clears them.
pub(crate) async fn an_update_sets_the_windows_of_secrets(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key]).await;
    key.secrets[1].superseded_at = Some(bed.now());
    key.secrets[1].ends_at = Some(bed.at(300));
    key.version = 2;
    bed.commit(&ours, [Change::UpdateKey(Box::new(key.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key in an overlap");
    let found = bed.found(&key.secrets[1].digest).await;
    assert_eq!(found, FoundKey::of(&key, &key.secrets[1]), "the key, found by its older secret");
    key.secrets[1].ends_at = Some(bed.at(1));
    key.version = 3;
    bed.commit(&ours, [Change::UpdateKey(Box::new(key.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key after its overlap was ended");
    key.secrets[1].superseded_at = None;
    key.secrets[1].ends_at = None;
    key.version = 4;
    bed.commit(&ours, [Change::UpdateKey(Box::new(key.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key with windows cleared");
}

/// A retired secret is removed from its key, whose last use stays. Its digest can't be used again.
pub(crate) async fn a_retired_secret_is_never_found_again(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (mut key, other) = (bed.key(&ours), bed.key(&ours));
    let [older, oldest] = [-10, -20].map(|at| SecretRecord::new(bed.digest(), bed.at(at)));
    key.secrets.extend([older.clone(), oldest.clone()]);
    bed.insert([&key, &other]).await;
    let last_used = vec![(oldest.digest.clone(), bed.at(-3)), (older.digest.clone(), bed.at(-7))];
    bed.store.add_usage(&bed.batch([UsageRow { last_used, ..bed.used(&key, 1, 0) }])).await.unwrap();
    bed.commit(&ours, [Change::RetireSecrets(key.id.clone(), vec![oldest.digest.clone()])]).await.unwrap();
    let stored = bed.stored(&key).await;
    assert_eq!(stored.last_used_at, Some(bed.at(-3)), "when the key was last used, by a secret that is retired");
    let digests: Vec<_> = stored.secrets.iter().map(|secret| secret.digest.clone()).collect();
    assert_eq!(
        digests,
        [key.secrets[0].digest.clone(), older.digest.clone()],
        "the secrets that are left, in their order"
    );
    assert_eq!(stored.secrets[1].last_used_at, Some(bed.at(-7)), "when one that is left was last used");
    assert!(
        bed.found_by(std::slice::from_ref(&oldest.digest)).await.is_empty(),
        "nothing is found by a retired secret"
    );
    assert_eq!(bed.found(&older.digest).await.id, key.id, "the key that a secret finds which is left");
    assert_eq!(bed.stored(&other).await, other, "the other key");
    let mut copy = bed.key(&ours);
    copy.secrets = vec![oldest.clone()];
    assert_conflict(bed.commit(&ours, [insertion(&copy)]).await, "the digest of a retired secret");
    let mut rotated = stored.clone();
    rotated.secrets.insert(0, SecretRecord::new(bed.digest(), bed.now()));
    rotated.version = 2;
    bed.commit(&ours, [Change::UpdateKey(Box::new(rotated.clone()))]).await.unwrap();
    assert_eq!(bed.stored(&key).await, rotated, "the key, rotated after a secret was retired");
}

/// A key keeps at least one secret, and only its own secrets are retired.
pub(crate) async fn retiring_the_last_secret_is_refused(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (mut key, other) = (bed.key(&ours), bed.key(&theirs));
    let older = SecretRecord::new(bed.digest(), bed.at(-10));
    key.secrets.push(older.clone());
    bed.insert([&key, &other]).await;
    let all = key.secrets.iter().map(|secret| secret.digest.clone()).collect();
    let retire = |key: &KeyRecord, digests: Vec<KeyDigest>| Change::RetireSecrets(key.id.clone(), digests);
    assert_conflict(bed.commit(&ours, [retire(&key, all)]).await, "every secret of a key");
    assert_conflict(bed.commit(&ours, [retire(&key, vec![bed.digest()])]).await, "a secret that nobody has");
    let foreign = other.secrets[0].digest.clone();
    assert_conflict(bed.commit(&ours, [retire(&key, vec![foreign])]).await, "another key's secret");
    assert_conflict(
        bed.commit(&theirs, [retire(&key, vec![older.digest.clone()])]).await,
        "another organization's key",
    );
    assert_conflict(bed.commit(&ours, [retire(&bed.key(&ours), vec![older.digest])]).await, "a key that there is not");
    assert_eq!(bed.stored(&key).await, key, "the key after all this");
    assert_eq!(bed.stored(&other).await, other, "the other key after all this");
}

/// An update removes no secret.
pub(crate) async fn an_update_keeps_the_secrets_it_omits(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    let mut older = SecretRecord::new(bed.digest(), bed.at(-10));
    (older.superseded_at, older.ends_at) = (Some(bed.at(-5)), Some(bed.at(5)));
    key.secrets.push(older.clone());
    bed.insert([&key]).await;
    let mut partial = key.clone();
    partial.secrets.pop();
    bed.commit(&ours, [update(partial)]).await.unwrap();
    assert_eq!(bed.stored(&key).await.secrets, key.secrets, "the secrets after an update that names one of two");
    let found = bed.found(&older.digest).await;
    assert_eq!(found, FoundKey::of(&key, &older), "the key, found by the secret that was not named");
    let mut copy = bed.key(&ours);
    copy.secrets = vec![older];
    assert_conflict(bed.commit(&ours, [insertion(&copy)]).await, "the digest of a secret that was not named");
}
