//! Data is read as it was written.

use std::{sync::Arc, time::Duration};

use apikey_core::{KeyDigest, KeyId, PepperVersion, ScopeSet, Timestamp};
use apikey_manager::{Change, FoundKey, KeyRecord, OrganizationId, Revocation, SecretRecord};
use serde_json::{Map, Value, json};

use crate::bed::{Bed, actor, insertion, switched, update};

/// Every field of a key and its secrets is stored.
pub(crate) async fn every_field_of_a_key_is_kept(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let account = bed.account(&ours);
    bed.insert_account(&account).await;
    let mut key = bed.key(&ours);
    key.service_account = Some(account.id);
    key.name = "deploys".to_owned();
    key.description = "to staging".to_owned();
    key.environment = Some("live".to_owned());
    key.hint = "tsk_live_7fQ2…9dKp".to_owned();
    key.scopes = ScopeSet::parse("admin files:* keys:read").unwrap();
    key.created_by_key = Some(bed.id());
    key.not_before = Some(bed.at(1));
    key.expires_at = Some(bed.at(2));
    key.last_used_at = Some(bed.at(3));
    key.disabled = Some(switched(bed.at(4)));
    key.revoked = Some(Revocation { at: bed.at(5), by: actor("carol"), reason: "lost".to_owned() });
    key.metadata = r#"{"team":"storage"}"#.parse().unwrap();
    key.version = 7;
    let mut older = SecretRecord::new(bed.digest(), bed.at(-9));
    older.superseded_at = Some(bed.at(-8));
    older.ends_at = Some(bed.at(-7));
    older.ended_at = Some(bed.at(-5));
    older.last_used_at = Some(bed.at(-6));
    key.secrets.push(older);
    bed.insert([&key]).await;
    is_read_everywhere(&bed, &key).await
}

/// An absent value stays absent.
pub(crate) async fn a_bare_key_gains_nothing(bed: Arc<Bed>) {
    let mut key = bed.key(&bed.organization("ours"));
    key.name = String::new();
    bed.insert([&key]).await;
    is_read_everywhere(&bed, &key).await
}

/// Times are stored with milliseconds, from 1970 to the year 9999.
pub(crate) async fn times_are_kept_to_the_millisecond(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let moments = [
        Timestamp::UNIX_EPOCH,
        Timestamp::UNIX_EPOCH + Duration::from_millis(1),
        bed.now() + Duration::from_millis(999),
        Timestamp::MAX,
    ];
    for moment in moments {
        let mut key = bed.key(&ours);
        key.created_at = moment;
        (key.not_before, key.expires_at, key.last_used_at) = (Some(moment), Some(moment), Some(moment));
        key.disabled = Some(switched(moment));
        key.revoked = Some(Revocation { at: moment, by: actor("carol"), reason: String::new() });
        let secret = &mut key.secrets[0];
        secret.created_at = moment;
        (secret.superseded_at, secret.ends_at, secret.last_used_at) = (Some(moment), Some(moment), Some(moment));
        let mut account = bed.account(&ours);
        (account.created_at, account.disabled) = (moment, Some(switched(moment)));
        let mut event = bed.event(&ours, apikey_manager::Action::KeyIssued, &key.id);
        event.at = moment;
        let changes = [insertion(&key), Change::InsertAccount(account.clone()), Change::Audit(event.clone())];
        bed.commit(&ours, changes).await.unwrap();

        assert_eq!(bed.stored(&key).await, key, "the key with times at {moment:?}");
        let id = account.id.clone();
        assert_eq!(bed.store.account(&ours, &id).await.unwrap(), Some(account), "the account with times at {moment:?}");
        let events = bed.store.audit(&bed.every_event(&ours)).await.unwrap();
        let kept = events.into_iter().find(|kept| kept.id == event.id).map(|event| event.at);
        assert_eq!(kept, Some(moment), "the time of an event");
    }
}

/// Names, descriptions, reasons and ids are stored in any Unicode, unchanged.
pub(crate) async fn unicode_is_kept_as_written(bed: Arc<Bed>) {
    let texts = [
        "e\u{301} é",
        " leading and trailing ",
        "İıſß",
        "👩‍👩‍👧🇨🇭",
        "\u{202e}right to left\u{202c}",
        "日本語",
        "\u{10ffff}\u{fffd}\u{feff}",
        "'; DROP TABLE keys; --",
        "%_\\\"'`$1?:name{}",
        "a\u{a0}b\u{2028}c",
        "null",
        &"ä".repeat(500),
    ];
    for text in texts {
        let short: String = text.chars().take(60).collect();
        // An id has only visible characters.
        let id: String = short.chars().filter(|c| apikey_manager::ActorId::new(format!("a{c}a")).is_ok()).collect();
        let ours = OrganizationId::new(format!("{id} {}", bed.tag())).unwrap();
        let mut key = bed.key(&ours);
        key.name = text.chars().take(100).collect();
        key.description = text.to_owned();
        key.environment = Some(short.clone());
        key.hint = short.clone();
        key.created_by = actor(&id);
        key.disabled = Some(apikey_manager::Switched { at: bed.now(), by: actor(&id) });
        key.revoked = Some(Revocation { at: bed.now(), by: actor(&id), reason: text.to_owned() });
        key.metadata = Map::from_iter([(text.to_owned(), json!([text, {"in": text}]))]).into();
        bed.insert([&key]).await;
        is_read_everywhere(&bed, &key).await;
        let mut account = bed.account(&ours);
        (account.name, account.description) = (short.clone(), text.to_owned());
        (account.created_by, account.disabled) = (actor(&id), key.disabled.clone());
        bed.insert_account(&account).await;
        let id = account.id.clone();
        assert_eq!(bed.store.account(&ours, &id).await.unwrap(), Some(account), "the account");
        let marker = format!("{short} {}", bed.unique());
        bed.commit(&ours, [Change::SetMarker(marker.clone(), text.to_owned())]).await.unwrap();
        assert_eq!(bed.store.marker(&marker).await.unwrap().as_deref(), Some(text), "the marker");
    }
}

/// Metadata keeps its numbers, texts and nesting.
pub(crate) async fn metadata_keeps_numbers_and_nesting(bed: Arc<Bed>) {
    let mut key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await;
    let deep = (0..7).fold(json!("bottom"), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"in": inner}) });
    let values = [
        json!({"numbers": [0, -1, i64::MIN, i64::MAX, u64::MAX, 0.1, 1.0, 1e300, 5e-324, 1.5e-7, 9_007_199_254_740_993_u64]}),
        json!({"others": [true, false, null, "", [], {}], "": "no name", "a.b": 1, "$ne": 1}),
        json!({"deep": deep}),
        json!({"escapes": "\u{1}\t\n\r\u{8}\u{c}\u{7f}\\\"/"}),
        json!({"b": 1, "a": 2, "ä": 3, "B": 4}),
        json!({"large": "x".repeat(8_000)}),
        json!({"x": {"$serde_json::private::RawValue": "!"}, "y": [[{"$serde_json::private::RawValue": "{"}]]}),
        json!({"$serde_json::private::RawValue": "1"}),
        json!({"x": {"$serde_json::private::Number": "!"}, "$serde_json::private::Number": "1"}),
        json!({}),
    ];
    for value in values {
        let Value::Object(metadata) = value else { continue };
        key.metadata = metadata.into();
        bed.commit(&key.organization, [update(key.clone())]).await.unwrap();
        key.version += 1;
        is_read_everywhere(&bed, &key).await;
    }
}

/// Ids of any length are stored, and ids that differ only in case are different.
pub(crate) async fn ids_of_any_length_and_case_are_kept(bed: Arc<Bed>) {
    let tag = bed.tag();
    for length in [17, 30, 63, 64] {
        for last in ["-", ".", "_", ":", "Z"] {
            let ours = OrganizationId::new(format!("{tag}{}", "ö".repeat(length + 48))).unwrap();
            let mut key = bed.key(&ours);
            key.id = KeyId::new(format!("{tag}{}{last}", "x".repeat(length - 17))).unwrap();
            key.created_by_key = Some(key.id.clone());
            bed.insert([&key]).await;
            is_read_everywhere(&bed, &key).await;
        }
    }
    // Ids that differ only in case.
    let ours = bed.organization("Case");
    let mut keys = [bed.key(&ours), bed.key(&bed.organization("case"))];
    keys[0].id = KeyId::new(format!("{tag}-CASE")).unwrap();
    keys[1].id = KeyId::new(format!("{tag}-case")).unwrap();
    bed.insert(&keys).await;
    for key in &keys {
        is_read_everywhere(&bed, key).await;
        assert_eq!(
            bed.store.keys(&bed.every_key(&key.organization)).await.unwrap().len(),
            1,
            "the keys of an organization"
        );
    }
}

/// Digests keep their bytes, algorithm and pepper.
pub(crate) async fn digests_of_every_algorithm_are_kept(bed: Arc<Bed>) {
    let mut key = bed.key(&bed.organization("ours"));
    let extremes = [[0; 32], [0xff; 32]].map(|mut bytes| {
        bytes[8..24].copy_from_slice(&bed.digest_bytes()[..16]);
        KeyDigest::sha256_from_bytes(bytes)
    });
    let peppered = [0, 1, 255, i32::MAX.unsigned_abs() + 1, u32::MAX]
        .map(|version| KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(version), bed.digest_bytes()));
    key.secrets.extend(extremes.into_iter().chain(peppered).map(|digest| SecretRecord::new(digest, bed.at(-1))));
    // Newest first, even if they were made in one millisecond.
    for (n, secret) in key.secrets.iter_mut().enumerate() {
        secret.created_at = bed.at(-(n as i64));
    }
    bed.insert([&key]).await;
    is_read_everywhere(&bed, &key).await
}

/// A working store passes its health check.
pub(crate) async fn a_working_store_passes_its_check(bed: Arc<Bed>) {
    bed.store.check().await.unwrap();
    let key = bed.key(&bed.organization("ours"));
    bed.insert([&key]).await;
    bed.store.check().await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key after the store was checked");
}

/// The key is the same by its id, in a list, within a transaction and by each digest.
async fn is_read_everywhere(bed: &Bed, key: &KeyRecord) {
    assert_eq!(bed.stored(key).await, *key, "the key, read by its id");
    let listed = bed.store.keys(&bed.every_key(&key.organization)).await.unwrap();
    let listed = listed.into_iter().find(|listed| listed.id == key.id);
    assert_eq!(listed.as_ref(), Some(key), "the key in a list");
    let seen = bed.store.begin(&key.organization).await.unwrap().key(&key.id).await.unwrap();
    assert_eq!(seen.as_ref(), Some(key), "the key, seen within a change");
    for secret in &key.secrets {
        let found = bed.found(&secret.digest).await;
        assert_eq!(found, FoundKey::of(key, secret), "the key, found by its digest");
    }
}
