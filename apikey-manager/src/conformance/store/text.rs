//! Text search is literal, and folds the case of ASCII letters only.

use std::sync::Arc;

use crate::{
    audit::Action,
    conformance::{
        bed::{Bed, HOUR, actor, ids, insertion},
        outcome::{Outcome, ensure, fail, same},
    },
    query::{AccountQuery, AuditFilter, AuditQuery, Cursor, KeyFilter, KeyQuery, UsageOf, UsageRow},
    record::{KeyRecord, Revocation},
    store::Change,
};

pub(in crate::conformance) async fn given_wildcards_when_searched_for_then_they_stand_for_themselves(
    bed: Arc<Bed>,
) -> Outcome {
    let texts = ["100% done", "100 done", "a_b", "axb", r"back\slash", "back/slash", "[ab]*", "a?b", "it's", r#"a"b"#];
    let wanted = ["%", "_", r"\", "0%", "a_b", r"k\s", "[ab]", "*", "?", "'", "\"", r"\%", "%%", "100_done", ".", "^a"];
    searches(&bed, &texts, &wanted).await
}

pub(in crate::conformance) async fn given_letters_when_searched_for_then_only_ascii_ones_lose_their_case(
    bed: Arc<Bed>,
) -> Outcome {
    let texts = ["École", "école", "ECOLE", "straße", "STRASSE", "Σίσυφος", "İstanbul", "istanbul", "k", "\u{212a}"];
    let wanted =
        ["ÉCOLE", "école", "ecole", "cOLE", "STRASSE", "straSSe", "ß", "σ", "ς", "I", "İ", "i", "K", "\u{212a}"];
    searches(&bed, &texts, &wanted).await
}

pub(in crate::conformance) async fn given_any_unicode_when_searched_for_then_it_is_found(bed: Arc<Bed>) -> Outcome {
    let texts = ["e\u{301}", "é", "日本語のキー", "🔑 key 👩‍👩‍👧", "مفتاح", "a\u{200b}b", " padded ", "ﬁle", "file"];
    let wanted = ["e", "\u{301}", "é", "本", "🔑", "👩", "\u{200d}", "تا", "\u{200b}", " ", "d ", "fi", "ﬁ", "x"];
    searches(&bed, &texts, &wanted).await
}

pub(in crate::conformance) async fn given_ids_when_searched_for_then_only_whole_ones_are_found(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let keys = [bed.key(&ours), bed.key(&ours)];
    bed.insert(&keys).await?;
    let id = keys[1].id.as_str();
    let upper = format!("{id}A").to_uppercase();
    for (text, expected) in [(id, vec![id]), (&id[1..], vec![]), (&id[..id.len() - 1], vec![]), (&upper, vec![])] {
        let filter = KeyFilter { text: Some(text.to_owned()), ..KeyFilter::default() };
        let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
        same!(ids(&bed.store.keys(&query).await?), expected, "the keys that {text:?} finds");
        let within = bed.store.begin(&ours).await?.keys(&filter, bed.now()).await?;
        same!(ids(&within), expected, "the keys that {text:?} finds within a change");
    }
    Ok(())
}

/// A text that databases don't keep is as good as any: where it is asked for, nothing is found, and where it is to be kept,
/// nothing is changed.
pub(in crate::conformance) async fn given_a_text_with_nul_when_asked_for_or_kept_then_nothing_is_found_or_changed(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    (key.name, key.environment) = ("live".to_owned(), Some("live".to_owned()));
    let account = bed.account(&ours);
    let event = bed.event(&ours, Action::KeyIssued, &key.id);
    bed.commit(&ours, [insertion(&key), Change::InsertAccount(account.clone()), Change::Audit(event.clone())]).await?;
    bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1)])).await?;
    let before = bed.dump(&[&ours]).await?;
    let nul = |text: &str| format!("{text}\0");
    for text in ["\0".to_owned(), nul("live"), nul(key.id.as_str())] {
        let text = || Some(text.clone());
        let cursor = || Some(Cursor { at: bed.at(HOUR), id: text().unwrap_or_default() });
        for filter in [
            KeyFilter { environment: text(), ..KeyFilter::default() },
            KeyFilter { text: text(), ..KeyFilter::default() },
            KeyFilter { down_to: cursor(), ..KeyFilter::default() },
        ] {
            let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
            same!(bed.store.keys(&query).await?, [], "the keys that {filter:?} finds");
            let within = bed.store.begin(&ours).await?.keys(&filter, bed.now()).await?;
            same!(within, [], "the keys that {filter:?} finds within a change");
        }
        let query = KeyQuery { after: cursor(), ..bed.every_key(&ours) };
        same!(bed.store.keys(&query).await?, [], "the keys after {:?}", query.after);
        same!(bed.store.place(&ours, cursor().as_ref(), 1).await?, None, "the place after {:?}", query.after);
        let query = AccountQuery { after: cursor(), ..bed.every_account(&ours) };
        same!(bed.store.accounts(&query).await?, [], "the accounts after {:?}", query.after);
        let query = AuditQuery { after: cursor(), ..bed.every_event(&ours) };
        same!(bed.store.audit(&query).await?, [], "the events after {:?}", query.after);
        let filter = AuditFilter { target: text(), ..AuditFilter::default() };
        same!(
            bed.store.audit(&AuditQuery { filter, ..bed.every_event(&ours) }).await?,
            [],
            "the events about {:?}",
            text()
        );
        let of = UsageOf::Environment(text().unwrap_or_default());
        same!(bed.total(&ours, of).await?, (0, 0), "the usage of {:?}", text());
        same!(bed.store.marker(&text().unwrap_or_default()).await?, None, "the marker {:?}", text());
    }
    let changed = |change: &dyn Fn(&mut KeyRecord)| {
        let mut key = bed.key(&ours);
        change(&mut key);
        insertion(&key)
    };
    let reason = |reason: String| Some(Revocation { at: bed.now(), by: actor("carol"), reason });
    let mut renamed = key.clone();
    (renamed.name, renamed.version) = (nul("a key"), 2);
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
            Ok(_) => fail!("a text with NUL must not be kept: {described}"),
            Err(error) => ensure!(!error.is_unavailable(), "NUL is no outage: {error}: {described}"),
        }
        same!(bed.dump(&[&ours]).await?, before, "what is kept after {described}");
    }
    let row = UsageRow { environment: Some(nul("live")), ..bed.used(&key, 1, 1) };
    let added = bed.store.add_usage(&bed.batch([bed.used(&key, 1, 1), row])).await;
    ensure!(added.is_err_and(|error| !error.is_unavailable()), "usage of an environment with NUL must be refused");
    let marker = bed.unique();
    for (name, to) in [(nul(&marker), "to".to_owned()), (marker.clone(), nul("to"))] {
        let advanced = bed.store.advance_marker(&name, None, &to).await;
        ensure!(advanced.is_err_and(|error| !error.is_unavailable()), "a marker with NUL must be refused");
    }
    same!(bed.store.marker(&marker).await?, None, "the marker that was not set");
    same!(bed.dump(&[&ours]).await?, before, "what is kept in the end");
    Ok(())
}

/// Texts as names, descriptions and hints, and what each search finds of them.
async fn searches(bed: &Bed, texts: &[&str], wanted: &[&str]) -> Outcome {
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
    bed.insert(&keys).await?;
    keys.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    for text in texts.iter().chain(wanted) {
        let filter = KeyFilter { text: Some((*text).to_owned()), ..KeyFilter::default() };
        let query = KeyQuery { filter: filter.clone(), ..bed.every_key(&ours) };
        let names = |keys: &[crate::record::KeyRecord]| {
            keys.iter().map(|key| [key.name.clone(), key.description.clone(), key.hint.clone()]).collect::<Vec<_>>()
        };
        let expected: Vec<_> = keys.iter().filter(|key| filter.matches(key, bed.now())).cloned().collect();
        same!(names(&bed.store.keys(&query).await?), names(&expected), "the keys that {text:?} finds");
        let mut within = bed.store.begin(&ours).await?.keys(&filter, bed.now()).await?;
        within.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
        same!(names(&within), names(&expected), "the keys that {text:?} finds within a change");
    }
    Ok(())
}
