//! Invalid input is rejected with the field and the reason, and changes nothing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use apikey_core::Timestamp;
use apikey_manager::{
    AccountUpdate, AuditFilter, Bucket, BulkRevocation, Cursor, ImportKey, KeyFilter, KeyUpdate, ManageError, Missing,
    NewAccount, NewKey, Overlap, PageRequest, Patch, Selection, ServiceAccountId, UsageOf,
};
use serde_json::{Map, Value, json};

use crate::{
    bed::{Bed, HOUR, made},
    stage::Stage,
};

fn bad_names() -> [(String, &'static str); 16] {
    [
        (String::new(), "required"),
        ("ä".repeat(101), "too_long"),
        ("a\nb".to_owned(), "control_character"),
        ("nul\0".to_owned(), "control_character"),
        ("\u{7f}".to_owned(), "control_character"),
        ("\u{85}next".to_owned(), "control_character"),
        (" ".to_owned(), "blank"),
        ("\u{a0}\u{3000}\u{2800}".to_owned(), "blank"),
        ("prod\u{202e}gpj.exe".to_owned(), "hidden_character"),
        ("\u{2067}prod\u{2069}".to_owned(), "hidden_character"),
        ("pr\u{200b}od".to_owned(), "hidden_character"),
        ("pr\u{200d}od".to_owned(), "hidden_character"),
        ("prod\u{feff}".to_owned(), "hidden_character"),
        ("prod\u{e0041}".to_owned(), "hidden_character"),
        ("one\u{2028}two".to_owned(), "hidden_character"),
        ("\u{3164}".to_owned(), "hidden_character"),
    ]
}

/// Names have 1 to 100 characters. None is invisible or changes how others are displayed.
#[tokio::test]
async fn a_bad_name_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    for (name, code) in bad_names() {
        stage.refuses("a key of this name", keys.issue(host, NewKey::new(name.clone())), "name", code).await;
        let update = KeyUpdate::new().name(Patch::To(name.clone()));
        stage.refuses("a key's new name", keys.update(host, key.id(), update), "name", code).await;
        let made = keys.create_account(host, NewAccount::new(name.clone()));
        stage.refuses("an account of this name", made, "name", code).await;
        let update = AccountUpdate::new().name(Patch::To(name.clone()));
        let updated = keys.update_account(host, &account.id, update);
        stage.refuses("an account's new name", updated, "name", code).await;
        let row = ImportKey::hashed(name, stage.bed.digest());
        let imported = keys.import(host, "import", [row], 10, |_| {});
        let is_row = |error: &ManageError| match error {
            ManageError::Import(rows) => rows.iter().any(|row| row.error.field == "name" && row.error.code == code),
            _ => false,
        };
        stage.fails("an import of this name", imported, "its row", is_row).await;
    }
    let cleared = keys.update(host, key.id(), KeyUpdate::new().name(Patch::Clear));
    stage.refuses("a name that is cleared", cleared, "name", "required").await;
    for name in ["مفتاح", "מפתח", "می\u{200c}خواهم", "क्\u{200d}ष", "👩\u{200d}💻 ❤\u{fe0f}", "a b"]
    {
        assert_eq!(keys.issue(host, NewKey::new(name)).await.unwrap().record().name, name, "a name that people write");
    }
    let longest = "👩".repeat(100);
    assert_eq!(
        keys.issue(host, NewKey::new(longest.clone())).await.unwrap().record().name,
        longest,
        "a name of 100 characters"
    );
}

/// Descriptions and reasons have at most 500 visible characters.
#[tokio::test]
async fn a_bad_description_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let cases = [
        ("ä".repeat(501), "too_long"),
        ("a\u{1b}[31m".to_owned(), "control_character"),
        ("\u{202e}txet".to_owned(), "hidden_character"),
        ("one\u{2029}two".to_owned(), "hidden_character"),
    ];
    for (text, code) in cases {
        let issued = keys.issue(host, NewKey::new("a key").description(text.clone()));
        stage.refuses("a key of this description", issued, "description", code).await;
        let update = KeyUpdate::new().description(Patch::To(text.clone()));
        stage.refuses("a key's new description", keys.update(host, key.id(), update), "description", code).await;
        let made = keys.create_account(host, NewAccount::new("an account").description(text.clone()));
        stage.refuses("an account of this description", made, "description", code).await;
        let update = AccountUpdate::new().description(Patch::To(text.clone()));
        let updated = keys.update_account(host, &account.id, update);
        stage.refuses("an account's new description", updated, "description", code).await;
        let revoked = keys.revoke(host, key.id(), text.clone());
        stage.refuses("a revocation for this reason", revoked, "reason", code).await;
        let revoked = keys.revoke_selected(host, BulkRevocation::new(Selection::Everything).reason(text));
        stage.refuses("revocations for this reason", revoked, "reason", code).await;
    }
    let longest = "👩".repeat(500);
    let issued = keys.issue(host, NewKey::new("a key").description(longest.clone())).await.unwrap();
    assert_eq!(issued.record().description, longest, "a description of 500 characters");
}

/// Times are in the future and before the year 10000; durations are positive and end by then.
#[tokio::test]
async fn a_bad_time_or_duration_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    let far = SystemTime::from(Timestamp::MAX) + Duration::from_millis(1);
    let new = || NewKey::new("a key");
    let cases = [
        ("no lifetime", new().expires_in(Duration::ZERO), "expires_in", "too_short"),
        ("the longest lifetime", new().expires_in(Duration::MAX), "expires_in", "too_late"),
        (
            "a lifetime of 9,000 years",
            new().expires_in(Duration::from_secs(9_000 * 31_556_952)),
            "expires_in",
            "too_late",
        ),
        ("an expiry now", new().expires_at(bed.now()), "expires_at", "past"),
        ("an expiry in the past", new().expires_at(bed.at(-1)), "expires_at", "past"),
        (
            "an expiry before 1970",
            new().expires_at(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            "expires_at",
            "past",
        ),
        ("an expiry in the year 10000", new().expires_at(far), "expires_at", "too_late"),
        ("a start in the past", new().not_before(bed.at(-1)), "not_before", "past"),
        ("a start in the year 10000", new().not_before(far), "not_before", "too_late"),
        ("an end at the start", new().not_before(bed.at(9)).expires_at(bed.at(9)), "expires_at", "before_start"),
        ("an end before the start", new().not_before(bed.at(9)).expires_at(bed.at(8)), "expires_at", "before_start"),
    ];
    for (what, new, field, code) in cases {
        stage.refuses(what, keys.issue(host, new), field, code).await;
    }
    let updates = [(bed.now(), "past"), (bed.at(-1), "past"), (far.into(), "too_late")];
    for (moment, code) in updates {
        let update = KeyUpdate::new().expires_at(Patch::To(moment));
        stage.refuses("a new expiry", keys.update(host, key.id(), update), "expires_at", code).await;
    }
    let update = KeyUpdate::new().not_before(Patch::To(bed.at(-1)));
    stage.refuses("a new start in the past", keys.update(host, key.id(), update), "not_before", "past").await;
    let overlaps =
        [(Duration::ZERO, "too_short"), (Duration::from_secs(367 * 86_400), "too_long"), (Duration::MAX, "too_long")];
    for (overlap, code) in overlaps {
        let rotated = keys.rotate(host, key.id(), Overlap::For(overlap));
        stage.refuses("a rotation", rotated, "overlap", code).await;
    }
}

/// A span of usage begins and ends at full hours, and its length is limited.
#[tokio::test]
async fn a_bad_span_of_usage_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(Arc::clone(&bed));
    let (keys, host) = (&stage.keys, &stage.host);
    let day = 24 * HOUR;
    let millisecond = Duration::from_millis(1);
    let cases = [
        ("that ends before it begins", bed.now(), bed.at(-HOUR), Bucket::Hour, "to", "before_start"),
        ("of no length", bed.now(), bed.now(), Bucket::Hour, "to", "before_start"),
        ("from half past the hour", bed.at(HOUR / 2), bed.at(HOUR), Bucket::Hour, "from", "not_full_hour"),
        ("up to half past the hour", bed.now(), bed.at(HOUR / 2), Bucket::Day, "to", "not_full_hour"),
        ("up to a millisecond later", bed.now(), bed.at(HOUR) + millisecond, Bucket::Hour, "to", "not_full_hour"),
        ("from a millisecond later", bed.now() + millisecond, bed.at(HOUR), Bucket::Hour, "from", "not_full_hour"),
        ("of too many hours", bed.now(), bed.at(32 * day + HOUR), Bucket::Hour, "to", "too_late"),
        ("of too many days", bed.now(), bed.at(367 * day + HOUR), Bucket::Day, "to", "too_late"),
        ("of a thousand years", bed.now(), bed.at(365_000 * day), Bucket::Day, "to", "too_late"),
    ];
    for (what, from, to, bucket, field, code) in cases {
        let usage = keys.usage(host, UsageOf::Organization, from, to, bucket);
        stage.refuses(&format!("usage {what}"), usage, field, code).await;
    }
    for (days, bucket) in [(32, Bucket::Hour), (367, Bucket::Day)] {
        keys.usage(host, UsageOf::Organization, bed.now(), bed.at(days * day), bucket).await.unwrap();
    }
}

/// Scopes must be in the catalog, and environments in the format. Each mistake is named.
#[tokio::test]
async fn each_unknown_scope_is_named() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let cases = [
        (["files:read", "files:delete"], "scopes[1]", "unknown"),
        (["writer", "files:read"], "scopes[0]", "unknown"),
        (["files:read", "not a scope"], "scopes[1]", "malformed"),
        (["", "files:read"], "scopes[0]", "malformed"),
    ];
    for (scopes, field, code) in cases {
        let issued = keys.issue(host, NewKey::new("a key").scopes(scopes));
        stage.refuses("a key with these scopes", issued, field, code).await;
        let update = KeyUpdate::new().scopes(Patch::To(scopes.map(str::to_owned).to_vec()));
        stage.refuses("a key's new scopes", keys.update(host, key.id(), update), field, code).await;
    }
    let issued = keys.issue(host, NewKey::new("a key").environment("staging"));
    stage.refuses("a key of an unknown environment", issued, "environment", "unknown").await;
    let both = keys.issue(host, NewKey::new("").scopes(["files:delete"]));
    let is_both = |error: &ManageError| error.is_about("name") && error.is_about("scopes[0]");
    stage.fails("a key with two mistakes", both, "both fields", is_both).await;
}

/// Fifty mistakes are reported and the rest counted. A key has at most 200 scopes.
#[tokio::test]
async fn fifty_mistakes_are_told_and_the_others_counted() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    // The longest scope, and a longer one.
    let unknown = |count: usize| (0..count).map(|n| format!("{n:0>100}")).collect::<Vec<_>>();
    let malformed = |count: usize| (0..count).map(|n| format!("{n:0>10000}")).collect::<Vec<_>>();
    for (scopes, told) in [(unknown(50), 50), (unknown(51), 51), (unknown(200), 51), (malformed(200), 51)] {
        let count = scopes.len();
        let is_bounded = |error: &ManageError| match error {
            ManageError::Invalid(fields) => {
                let more = fields.last().filter(|last| last.field == "*" && last.code == "more");
                fields.len() == told
                    && (count == told || more.is_some_and(|last| last.message.contains(&(count - 50).to_string())))
                    && error.to_string().len() < 20_000
            }
            _ => false,
        };
        let expected = format!("{told} mistakes, the last of them the number of those that are not told");
        let issued = keys.issue(host, NewKey::new("a key").scopes(scopes.clone()));
        stage.fails("a key with unknown scopes", issued, &expected, is_bounded).await;
        let update = KeyUpdate::new().scopes(Patch::To(scopes));
        stage.fails("a key's unknown scopes", keys.update(host, key.id(), update), &expected, is_bounded).await;
    }
    let many = unknown(201);
    let issued = keys.issue(host, NewKey::new("a key").scopes(many.clone()));
    stage.refuses("a key with too many scopes", issued, "scopes", "too_many").await;
    let update = KeyUpdate::new().scopes(Patch::To(many.clone()));
    stage.refuses("too many new scopes", keys.update(host, key.id(), update), "scopes", "too_many").await;
    let row = ImportKey::hashed("a key", stage.bed.digest()).scopes(many);
    let imported = keys.import(host, "import", [row], 10, |_| {});
    let is_one = |error: &ManageError| matches!(error, ManageError::Import(rows) if rows.len() == 1);
    stage.fails("an import with too many scopes", imported, "one mistake", is_one).await
}

/// A filter that can't match, for its length or a control character, never reaches the store.
#[tokio::test]
async fn a_filter_that_nothing_can_match_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(Arc::clone(&bed));
    let (keys, host) = (&stage.keys, &stage.host);
    stage.issue().await.unwrap();
    let (from, to) = (bed.now(), bed.at(HOUR));
    for (text, code) in [
        ("\0".to_owned(), "control_character"),
        ("live\0".to_owned(), "control_character"),
        ("a\u{85}b".to_owned(), "control_character"),
        ("x".repeat(129), "too_long"),
        ("x".repeat(1_000_000), "too_long"),
    ] {
        let filter = made(|it: &mut KeyFilter| it.environment = Some(text.clone()));
        stage.refuses("a list", keys.list(host, filter, PageRequest::first()), "environment", code).await;
        let searched = keys.list(host, KeyFilter::containing(text.clone()), PageRequest::first());
        stage.refuses("a search", searched, "text", code).await;
        let filter = made(|it: &mut AuditFilter| it.target = Some(text.clone()));
        stage.refuses("events", keys.audit(host, filter, PageRequest::first()), "target", code).await;
        let of = UsageOf::Environment(text.clone());
        stage.refuses("usage", keys.usage(host, of, from, to, Bucket::Hour), "environment", code).await;
        let revoked = keys.revoke_selected(host, BulkRevocation::new(Selection::Environment(text)));
        stage.refuses("revocations", revoked, "environment", code).await;
    }
    for id in ["", "\0", "key_\0", "a b", "ä", &"x".repeat(65)] {
        let cursor = Cursor { at: bed.now(), id: id.to_owned() };
        let page = || PageRequest::after(cursor.clone());
        stage.refuses("a list", keys.list(host, KeyFilter::default(), page()), "cursor", "malformed").await;
        let filter = made(|it: &mut KeyFilter| it.down_to = Some(cursor.clone()));
        stage.refuses("a list", keys.list(host, filter, PageRequest::first()), "cursor", "malformed").await;
        stage.refuses("accounts", keys.accounts(host, page()), "cursor", "malformed").await;
        stage.refuses("events", keys.audit(host, AuditFilter::default(), page()), "cursor", "malformed").await;
        let key = bed.id();
        let activity = keys.activity(host, &key, from..to, page());
        stage.refuses("activity", activity, "cursor", "malformed").await;
    }
    for name in ["", " ", "a\0", "\u{202e}a", &"x".repeat(129)] {
        let imported = keys.import(host, name, [], 10, |_| {});
        stage.refuses("an import of this name", imported, "name", "malformed").await;
    }
    for (environment, code) in [("\0", "control_character"), ("\u{200b}", "hidden_character"), (" ", "blank")] {
        let row = ImportKey::hashed("a key", bed.digest()).environment(environment);
        let is_row = |error: &ManageError| match error {
            ManageError::Import(rows) => {
                rows.iter().any(|row| row.error.field == "environment" && row.error.code == code)
            }
            _ => false,
        };
        let imported = keys.import(host, "import", [row], 10, |_| {});
        stage.fails("an import into this environment", imported, "its row", is_row).await;
    }
}

/// Metadata has at most 8 KiB as JSON, and 8 levels.
#[tokio::test]
async fn large_or_deep_metadata_is_refused() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let map = |value: Value| Map::from_iter([("m".to_owned(), value)]);
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    // `{"m":"…"}` has 8 bytes besides the text.
    let cases = [
        (map(json!("x".repeat(8_185))), "too_large"),
        (map(nested(8)), "too_deep"),
        (map(nested(1_000)), "too_deep"),
        (map(json!("a\0b")), "control_character"),
        (map(json!({"a\0b": 1})), "control_character"),
    ];
    for (metadata, code) in cases {
        let issued = keys.issue(host, NewKey::new("a key").metadata(metadata.clone()));
        stage.refuses("a key with this metadata", issued, "metadata", code).await;
        let update = KeyUpdate::new().metadata(Patch::To(metadata));
        stage.refuses("a key's new metadata", keys.update(host, key.id(), update), "metadata", code).await;
    }
    for metadata in [map(json!("x".repeat(8_184))), map(nested(7))] {
        let issued = keys.issue(host, NewKey::new("a key").metadata(metadata.clone())).await.unwrap();
        assert_eq!(stage.stored(issued.id()).await.metadata.to_map(), metadata, "metadata that is just small enough");
    }
}

/// Unknown objects are not found.
#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let id = stage.bed.id();
    let is_key = |error: &ManageError| matches!(error, ManageError::NotFound(Missing::Key));
    let named = || KeyUpdate::new().name(Patch::To("other".to_owned()));
    stage.fails("get", keys.get(host, &id), "no such key", is_key).await;
    stage.fails("update", keys.update(host, &id, named()), "no such key", is_key).await;
    stage.fails("rotate", keys.rotate(host, &id, Overlap::None), "no such key", is_key).await;
    stage.fails("end_overlap", keys.end_overlap(host, &id), "no such key", is_key).await;
    stage.fails("disable", keys.disable(host, &id), "no such key", is_key).await;
    stage.fails("enable", keys.enable(host, &id), "no such key", is_key).await;
    stage.fails("revoke", keys.revoke(host, &id, ""), "no such key", is_key).await;
    let cascade = keys.revoke_with_descendants(host, &id, "");
    stage.fails("revoke_with_descendants", cascade, "no such key", is_key).await;
    stage.fails("duplicate", keys.duplicate(host, &id), "no such key", is_key).await;
    stage.fails("delete", keys.delete(host, &id), "no such key", is_key).await;

    let id = ServiceAccountId::new(stage.bed.unique()).unwrap();
    let is_account = |error: &ManageError| matches!(error, ManageError::NotFound(Missing::ServiceAccount));
    let what = "no such account";
    stage.fails("account", keys.account(host, &id), what, is_account).await;
    let update = AccountUpdate::new().name(Patch::To("other".to_owned()));
    stage.fails("update_account", keys.update_account(host, &id, update), what, is_account).await;
    stage.fails("disable_account", keys.disable_account(host, &id), what, is_account).await;
    stage.fails("enable_account", keys.enable_account(host, &id), what, is_account).await;
    stage.fails("rotate_account", keys.rotate_account(host, &id, Overlap::None), what, is_account).await;
    stage.fails("delete_account", keys.delete_account(host, &id), what, is_account).await;
    let issued = keys.issue(host, NewKey::new("a key").service_account(id));
    stage.refuses("a key of an unknown account", issued, "service_account", "unknown").await;

    for limit in [0, 201, usize::MAX] {
        let listed = keys.list(host, KeyFilter::default(), PageRequest::first().limit(limit));
        stage.refuses("a page of this length", listed, "limit", "out_of_range").await;
    }
}

/// A change of an older version is rejected, and of several changes of one version, one is made.
#[tokio::test]
async fn a_stale_version_is_told_the_current_one() {
    let bed = Bed::new();
    let stage = Stage::new(Arc::clone(&bed));
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let named = |version, name: &str| KeyUpdate::new().if_version(version).name(Patch::To(name.to_owned()));
    keys.update(host, key.id(), named(1, "second")).await.unwrap();
    for version in [0, 1, 3, u64::MAX] {
        let update = keys.update(host, key.id(), named(version, "stale"));
        let is_stale = |error: &ManageError| matches!(error, ManageError::StaleVersion { current: 2 });
        stage.fails("a stale update", update, "version 2 is the current one", is_stale).await;
    }
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let update = AccountUpdate::new().if_version(7).name(Patch::To("stale".to_owned()));
    let is_stale = |error: &ManageError| matches!(error, ManageError::StaleVersion { current: 1 });
    let updated = keys.update_account(host, &account.id, update);
    stage.fails("a stale update of an account", updated, "version 1 is the current one", is_stale).await;

    // Ten changes of version 2: one is made, and the others learn of version 3. They come from ten processes, because
    // within one process, changes queue before they reach the store.
    let managers: Vec<_> = (0..10).map(|_| Stage::new(Arc::clone(&bed)).keys).collect();
    let (host, id) = (host.clone(), key.id().clone());
    let outcomes = stage
        .bed
        .at_once(10, move |_, n| {
            let (manager, host, id) = (managers[n].clone(), host.clone(), id.clone());
            async move {
                let update = KeyUpdate::new().if_version(2).name(Patch::To(format!("name {n}")));
                match manager.update(&host, &id, update).await {
                    Ok(_) => true,
                    Err(ManageError::StaleVersion { current: 3 }) => false,
                    Err(other) => panic!("a concurrent update must succeed or be stale, but: {other:?}"),
                }
            }
        })
        .await;
    assert_eq!(
        outcomes.into_iter().filter(|is_done| *is_done).count(),
        1,
        "how many of ten concurrent updates were made"
    );
}

/// A deleted object can't be deleted again.
#[tokio::test]
async fn a_deleted_key_can_not_be_deleted_again() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    keys.delete(host, key.id()).await.unwrap();
    let is_key = |error: &ManageError| matches!(error, ManageError::NotFound(Missing::Key));
    stage.fails("a second deletion", keys.delete(host, key.id()), "no such key", is_key).await;
    stage.fails("a revocation of it", keys.revoke(host, key.id(), ""), "no such key", is_key).await;
    stage.fails("a read of it", keys.get(host, key.id()), "no such key", is_key).await;
    keys.delete_account(host, &account.id).await.unwrap();
    let is_account = |error: &ManageError| matches!(error, ManageError::NotFound(Missing::ServiceAccount));
    let again = keys.delete_account(host, &account.id);
    stage.fails("a second deletion of an account", again, "no such account", is_account).await;
    assert!(
        keys.list(host, KeyFilter::default(), PageRequest::first()).await.unwrap().items.is_empty(),
        "no key is left"
    );
}
