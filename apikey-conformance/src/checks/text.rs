//! Text search is literal, and only ASCII letters are case-insensitive.

use std::sync::Arc;

use apikey_manager::{
    AccountQuery, Action, AuditFilter, AuditQuery, Change, Cursor, KeyFilter, KeyQuery, KeyRecord, KeyState, Reach,
    Revocation, Selection, UsageOf, UsageRow,
};

use crate::bed::{Bed, HOUR, actor, ids, insertion, made};

/// A text is searched for literally, even if the database gives it a meaning.
pub(crate) async fn wildcards_stand_for_themselves(bed: Arc<Bed>) {
    let texts = ["100% done", "100 done", "a_b", "axb", r"back\slash", "back/slash", "[ab]*", "a?b", "it's", r#"a"b"#];
    let wanted = ["%", "_", r"\", "0%", "a_b", r"k\s", "[ab]", "*", "?", "'", "\"", r"\%", "%%", "100_done", ".", "^a"];
    searches(&bed, &texts, &wanted).await
}

/// Searching ignores the case of ASCII letters only.
pub(crate) async fn only_ascii_letters_lose_their_case(bed: Arc<Bed>) {
    let texts = ["École", "école", "ECOLE", "straße", "STRASSE", "Σίσυφος", "İstanbul", "istanbul", "k", "\u{212a}"];
    let wanted =
        ["ÉCOLE", "école", "ecole", "cOLE", "STRASSE", "straSSe", "ß", "σ", "ς", "I", "İ", "i", "K", "\u{212a}"];
    searches(&bed, &texts, &wanted).await
}

/// Any Unicode is found as it was written.
pub(crate) async fn any_unicode_is_found(bed: Arc<Bed>) {
    let texts = ["e\u{301}", "é", "日本語のキー", "🔑 key 👩‍👩‍👧", "مفتاح", "a\u{200b}b", " padded ", "ﬁle", "file"];
    let wanted = ["e", "\u{301}", "é", "本", "🔑", "👩", "\u{200d}", "تا", "\u{200b}", " ", "d ", "fi", "ﬁ", "x"];
    searches(&bed, &texts, &wanted).await
}

/// A key is found by its whole id, but not by a part of it.
pub(crate) async fn only_whole_ids_are_found(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys = [bed.key(&ours), bed.key(&ours)];
    bed.insert(&keys).await;
    let id = keys[1].id.as_str();
    let upper = format!("{id}A").to_uppercase();
    for (text, expected) in [(id, vec![id]), (&id[1..], vec![]), (&id[..id.len() - 1], vec![]), (&upper, vec![])] {
        let filter = made(|it: &mut KeyFilter| it.text = Some(text.to_owned()));
        let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
        assert_eq!(ids(&bed.store.keys(&query).await.unwrap()), expected, "the keys that {text:?} finds");
        let within = bed.store.begin(&ours).await.unwrap().ids(&filter, bed.now()).await.unwrap();
        let within: Vec<_> = within.iter().map(|id| id.as_str()).collect();
        assert_eq!(within, expected, "the keys that {text:?} finds within a change");
    }
}

/// Texts with a NUL character are never stored. A query with one finds nothing, and a change with one is rejected, but
/// not as an outage.
pub(crate) async fn a_nul_finds_and_changes_nothing(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    (key.name, key.environment) = ("live".to_owned(), Some("live".to_owned()));
    let account = bed.account(&ours);
    let event = bed.event(&ours, Action::KeyIssued, &key.id);
    bed.commit(&ours, [insertion(&key), Change::InsertAccount(account.clone()), Change::Audit(event.clone())])
        .await
        .unwrap();
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await.unwrap();
    let before = bed.dump(&[&ours]).await;
    let nul = |text: &str| format!("{text}\0");
    for text in ["\0".to_owned(), nul("live"), nul(key.id.as_str())] {
        let text = || Some(text.clone());
        let cursor = || Some(Cursor { at: bed.at(HOUR), id: text().unwrap_or_default() });
        for filter in [
            made(|it: &mut KeyFilter| it.environment = text()),
            made(|it: &mut KeyFilter| it.text = text()),
            made(|it: &mut KeyFilter| it.down_to = cursor()),
        ] {
            let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
            assert_eq!(bed.store.keys(&query).await.unwrap(), [], "the keys that {filter:?} finds");
            let within = bed.store.begin(&ours).await.unwrap().ids(&filter, bed.now()).await.unwrap();
            assert_eq!(within, [], "the keys that {filter:?} finds within a change");
        }
        let query = KeyQuery { after: cursor(), ..bed.every_key(&ours) };
        assert_eq!(bed.store.keys(&query).await.unwrap(), [], "the keys after {:?}", query.after);
        assert_eq!(
            bed.store.place(&ours, cursor().as_ref(), 1).await.unwrap(),
            None,
            "the place after {:?}",
            query.after
        );
        let query = AccountQuery { after: cursor(), ..bed.every_account(&ours) };
        assert_eq!(bed.store.accounts(&query).await.unwrap(), [], "the accounts after {:?}", query.after);
        let query = AuditQuery { after: cursor(), ..bed.every_event(&ours) };
        assert_eq!(bed.store.audit(&query).await.unwrap(), [], "the events after {:?}", query.after);
        let filter = made(|it: &mut AuditFilter| it.target = text());
        assert_eq!(
            bed.store.audit(&AuditQuery { filter, ..bed.every_event(&ours) }).await.unwrap(),
            [],
            "the events about {:?}",
            text()
        );
        let of = UsageOf::Environment(text().unwrap_or_default());
        assert_eq!(bed.total(&ours, of).await, (0, 0), "the usage of {:?}", text());
        assert_eq!(bed.store.marker(&text().unwrap_or_default()).await.unwrap(), None, "the marker {:?}", text());
        let selection = Selection::Environment(text().unwrap_or_default());
        let asked = super::lineage::query(&bed, &ours, selection, true);
        assert_eq!(
            bed.store.reach(&asked).await.unwrap(),
            Reach::default(),
            "what a revocation of {:?} reaches",
            text()
        );
    }
    let changed = |change: &dyn Fn(&mut KeyRecord)| {
        let mut key = bed.key(&ours);
        change(&mut key);
        insertion(&key)
    };
    let reason = |reason: String| Some(Revocation { at: bed.now(), by: actor("carol"), reason });
    let mut renamed = key.clone();
    (renamed.name, renamed.version) = (nul("a key"), 2);
    let state = KeyState { id: key.id.clone(), version: 2, disabled: None, revoked: reason(nul("why")) };
    let mut other = bed.account(&ours);
    other.name = nul("an account");
    let mut described = account.clone();
    (described.description, described.version) = (nul("what for"), 2);
    let (mut about, mut asked) =
        (bed.event(&ours, Action::KeyIssued, nul("x")), bed.event(&ours, Action::KeyIssued, "x"));
    asked.request_id = Some(nul("req"));
    about.at = bed.at(1);
    let changes = [
        changed(&|key| key.name = nul("a key")),
        changed(&|key| key.description = nul("what for")),
        changed(&|key| key.environment = Some(nul("live"))),
        changed(&|key| key.hint = nul("tst_live_")),
        changed(&|key| key.revoked = reason(nul("why"))),
        Change::UpdateKey(Box::new(renamed)),
        Change::SetState(Box::new(state)),
        Change::InsertAccount(other),
        Change::UpdateAccount(described),
        Change::SetMarker(nul(&bed.unique()), "set".to_owned()),
        Change::SetMarker(bed.unique(), nul("set")),
        Change::Audit(about),
        Change::Audit(asked),
    ];
    for change in changes {
        let described = format!("{change:?}");
        match bed.commit(&ours, [insertion(&bed.key(&ours)), change]).await {
            Ok(_) => panic!("a text with NUL must not be kept: {described}"),
            Err(error) => assert!(!error.is_unavailable(), "NUL is no outage: {error}: {described}"),
        }
        assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after {described}");
    }
    let row = UsageRow { environment: Some(nul("live")), ..bed.used(&key, 1, 1) };
    let added = bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1), row])).await;
    assert!(added.is_err_and(|error| !error.is_unavailable()), "usage of an environment with NUL must be refused");
    let marker = bed.unique();
    for (name, to) in [(nul(&marker), "to".to_owned()), (marker.clone(), nul("to"))] {
        let advanced = bed.store.advance_marker(&name, None, &to).await;
        assert!(advanced.is_err_and(|error| !error.is_unavailable()), "a marker with NUL must be refused");
    }
    assert_eq!(bed.store.marker(&marker).await.unwrap(), None, "the marker that was not set");
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept in the end");
}

/// Returns texts for names, descriptions and hints, and what each search finds.
async fn searches(bed: &Bed, texts: &[&str], wanted: &[&str]) {
    let ours = bed.organization("ours");
    let mut keys = Vec::new();
    for text in texts {
        for field in 0..3 {
            let mut key = bed.key(&ours);
            key.name = "nnn".to_owned();
            *[&mut key.name, &mut key.description, &mut key.hint][field] = (*text).to_owned();
            keys.push(key);
        }
    }
    bed.insert(&keys).await;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for text in texts.iter().chain(wanted) {
        let filter = made(|it: &mut KeyFilter| it.text = Some((*text).to_owned()));
        let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
        let names = |keys: &[apikey_manager::KeyRecord]| {
            keys.iter().map(|key| [key.name.clone(), key.description.clone(), key.hint.clone()]).collect::<Vec<_>>()
        };
        let expected: Vec<_> = keys.iter().filter(|key| filter.matches(key, bed.now())).cloned().collect();
        assert_eq!(names(&bed.store.keys(&query).await.unwrap()), names(&expected), "the keys that {text:?} finds");
        let mut within = bed.store.begin(&ours).await.unwrap().ids(&filter, bed.now()).await.unwrap();
        let mut ids: Vec<_> = expected.into_iter().map(|key| key.id).collect();
        within.sort_unstable();
        ids.sort_unstable();
        assert_eq!(within, ids, "the keys that {text:?} finds within a change");
    }
}
