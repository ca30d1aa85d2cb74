//! A digest finds everything that a verdict needs, from one snapshot.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use apikey_core::{KeyDigest, PepperVersion};
use apikey_manager::{Change, FoundKey, Revocation, SecretRecord};

use crate::bed::{Bed, actor, affecting, insertion, switched, update};

/// Each of many digests finds its own key and secret; unknown ones find nothing.
pub(crate) async fn each_of_many_digests_finds_its_own_key(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let mut keys: Vec<_> = (0..120).map(|n| bed.key(if n % 2 == 0 { &ours } else { &theirs })).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        if n % 3 == 0 {
            let mut older = SecretRecord::new(bed.digest(), bed.at(-100));
            (older.superseded_at, older.ends_at) = (Some(bed.now()), Some(bed.at(n as i64)));
            key.secrets.push(older);
        }
    }
    bed.insert(&keys).await;
    let expected: BTreeMap<_, _> = keys
        .iter()
        .flat_map(|key| key.secrets.iter().map(move |secret| (secret.digest.to_string(), (key, secret))))
        .collect();
    let mut asked: Vec<_> = keys.iter().flat_map(|key| &key.secrets).map(|secret| secret.digest.clone()).collect();
    asked.extend((0..200).map(|_| bed.digest()));
    let found = bed.found_by(&asked).await;
    assert_eq!(found.len(), expected.len(), "how many of the digests found a key");
    for found in &found {
        let Some((key, secret)) = expected.get(&found.digest.to_string()) else { panic!("a digest that nobody asked") };
        assert_eq!(*found, FoundKey::of(key, secret), "the key and the secret that a digest finds");
    }
    for secret in &keys[0].secrets {
        let found = bed.found(&secret.digest).await;
        assert_eq!(found, FoundKey::of(&keys[0], secret), "the key and the secret that one digest finds");
    }
    assert!(bed.found_by(&[]).await.is_empty(), "no digests find nothing");
    assert!(bed.found_by(&[bed.digest()]).await.is_empty(), "an unknown digest finds nothing");
}

/// A digest is identified by its bytes and its algorithm, including the pepper.
pub(crate) async fn equal_bytes_of_another_algorithm_find_nothing(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let bytes = bed.digest_bytes();
    let peppered = |version| KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(version), bytes);
    let digests = [KeyDigest::sha256_from_bytes(bytes), peppered(0), peppered(1), peppered(u32::MAX)];
    for (n, digest) in digests.iter().enumerate() {
        let found = bed.found_by(&digests).await;
        assert_eq!(found.len(), n, "how many of four digests with equal bytes are known");
        assert!(bed.found_by(std::slice::from_ref(digest)).await.is_empty(), "{digest:?} is not known yet");
        let mut change = bed.store.begin(&ours).await.unwrap();
        assert_eq!(
            change.taken(&digests).await.unwrap().len(),
            n,
            "how many of four digests with equal bytes are taken"
        );
        let mut key = bed.key(&ours);
        key.secrets[0].digest = digest.clone();
        change.commit(affecting([insertion(&key)])).await.unwrap();
        let found = bed.found(digest).await;
        assert_eq!(found.digest, *digest, "the digest that was found");
        assert_eq!(found, FoundKey::of(&key, &key.secrets[0]), "the key that {digest:?} finds");
    }
}

/// Keys are found in every state; the store makes no verdict.
pub(crate) async fn a_found_key_tells_why_it_is_not_live(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut revoked = bed.key(&ours);
    revoked.revoked = Some(Revocation { at: bed.now(), by: actor("carol"), reason: "leaked".to_owned() });
    let mut disabled = bed.key(&ours);
    disabled.disabled = Some(switched(bed.now()));
    let mut expired = bed.key(&ours);
    expired.expires_at = Some(bed.at(-1_000_000));
    let mut early = bed.key(&ours);
    early.not_before = Some(bed.at(1_000_000_000));
    let mut ended = bed.key(&ours);
    ended.secrets[0].ends_at = Some(bed.at(-1_000_000));
    let keys = [revoked, disabled, expired, early, ended];
    bed.insert(&keys).await;
    for key in keys {
        let found = bed.found(&key.secrets[0].digest).await;
        assert_eq!(found, FoundKey::of(&key, &key.secrets[0]), "the key as it is found");
    }
}

/// A found key tells whether its service account is disabled or deleted.
pub(crate) async fn a_found_key_tells_its_accounts_state(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (mut account, mut key, free) = (bed.account(&ours), bed.key(&ours), bed.key(&ours));
    key.service_account = Some(account.id.clone());
    bed.insert_account(&account).await;
    bed.insert([&key, &free]).await;
    let digest = &key.secrets[0].digest;
    assert!(!bed.found(digest).await.is_account_disabled, "the account is not disabled");
    (account.version, account.disabled) = (2, Some(switched(bed.now())));
    bed.commit(&ours, [Change::UpdateAccount(account.clone())]).await.unwrap();
    assert!(bed.found(digest).await.is_account_disabled, "the account is disabled");
    assert!(!bed.found(&free.secrets[0].digest).await.is_account_disabled, "a key without an account has none");
    (account.version, account.disabled) = (3, None);
    bed.commit(&ours, [Change::UpdateAccount(account.clone())]).await.unwrap();
    assert!(!bed.found(digest).await.is_account_disabled, "the account is enabled again");
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await.unwrap();
    let found = bed.found(digest).await;
    assert!(found.is_account_disabled, "an account that is gone counts as disabled");
    assert_eq!(found.service_account, Some(account.id), "the account that a key keeps after it is gone");
}

/// A found key tells whether its organization is suspended.
pub(crate) async fn a_found_key_tells_of_a_suspension(bed: Arc<Bed>) {
    let [ours, theirs] = ["ours", "theirs"].map(|name| bed.organization(name));
    let (key, other) = (bed.key(&ours), bed.key(&theirs));
    bed.insert([&key, &other]).await;
    let mut record = bed.store.organization(&ours).await.unwrap();
    assert_eq!(record.suspended, None, "an organization that nothing is kept of");
    assert!(!bed.found(&key.secrets[0].digest).await.is_organization_suspended, "it is not suspended");
    record.suspended = Some(switched(bed.at(7)));
    bed.commit(&ours, [Change::SetOrganization(record.clone())]).await.unwrap();
    assert_eq!(bed.store.organization(&ours).await.unwrap(), record, "the organization, suspended");
    assert_eq!(
        bed.store.begin(&ours).await.unwrap().organization().await.unwrap(),
        record,
        "the same, seen within a change"
    );
    assert!(bed.found(&key.secrets[0].digest).await.is_organization_suspended, "it is suspended");
    assert!(!bed.found(&other.secrets[0].digest).await.is_organization_suspended, "the other is not");
    record.suspended = None;
    bed.commit(&ours, [Change::SetOrganization(record.clone())]).await.unwrap();
    assert_eq!(bed.store.organization(&ours).await.unwrap(), record, "the organization, resumed");
    assert!(!bed.found(&key.secrets[0].digest).await.is_organization_suspended, "it is not suspended any more");
}

/// A deleted key is not found by its digests or its id.
pub(crate) async fn a_deleted_key_is_not_found(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (mut key, other) = (bed.key(&ours), bed.key(&ours));
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    bed.insert([&key, &other]).await;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await.unwrap();
    for secret in &key.secrets {
        assert!(bed.found_by(std::slice::from_ref(&secret.digest)).await.is_empty(), "a deleted key is found");
    }
    assert_eq!(bed.store.key(&ours, &key.id).await.unwrap(), None, "a deleted key, read by its id");
    assert_eq!(bed.store.keys(&bed.every_key(&ours)).await.unwrap(), [other], "the keys that are left");
    assert_eq!(
        bed.store.begin(&ours).await.unwrap().key(&key.id).await.unwrap(),
        None,
        "a deleted key, read within a change"
    );
}

/// The result comes from one snapshot, and so does its revision.
pub(crate) async fn a_found_key_is_of_one_moment(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (account, mut key) = (bed.account(&ours), bed.key(&ours));
    (key.name, key.service_account) = ("0".to_owned(), Some(account.id.clone()));
    let start = bed.commit(&ours, [Change::InsertAccount(account.clone()), insertion(&key)]).await.unwrap();
    let Some(start) = start else { panic!("a change that affects callers has a revision") };
    let is_over = Arc::new(AtomicBool::new(false));
    let digest = key.secrets[0].digest.clone();
    let reader = tokio::spawn({
        let (bed, is_over) = (Arc::clone(&bed), Arc::clone(&is_over));
        async move {
            while !is_over.load(Ordering::Acquire) {
                let (revision, found) = bed.look_up(std::slice::from_ref(&digest)).await;
                let Some(found) = found.first() else { panic!("the key is gone") };
                // The n-th change names the key after n, and disables the account if n is odd.
                let Ok(changes) = found.name.parse::<u64>() else { panic!("a name that nobody gave: {}", found.name) };
                assert_eq!(revision, start + changes, "the revision of change {changes}");
                assert_eq!(found.is_account_disabled, changes % 2 == 1, "the account's state beside the key's");
                tokio::task::yield_now().await;
            }
        }
    });
    for n in 1..=60 {
        let mut account = account.clone();
        (account.version, account.disabled) = (n + 1, (n % 2 == 1).then(|| switched(bed.now())));
        let mut key = key.clone();
        (key.name, key.version) = (n.to_string(), n);
        bed.commit(&ours, [Change::UpdateAccount(account), update(key)]).await.unwrap();
        tokio::task::yield_now().await;
        if reader.is_finished() {
            break;
        }
    }
    is_over.store(true, Ordering::Release);
    match reader.await {
        Ok(outcome) => outcome,
        Err(panic) => panic!("the reader panicked: {panic}"),
    }
}
