//! Text search is literal, and folds the case of ASCII letters only.

use std::sync::Arc;

use crate::conformance::{
    bed::{Bed, ids},
    outcome::{Outcome, same},
};
use crate::query::{KeyFilter, KeyQuery};

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
        let within = bed.store.begin(&ours).await?.ids(&filter, bed.now()).await?;
        let within: Vec<_> = within.iter().map(|id| id.as_str()).collect();
        same!(within, expected, "the keys that {text:?} finds within a change");
    }
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
        let mut within = bed.store.begin(&ours).await?.ids(&filter, bed.now()).await?;
        let mut ids: Vec<_> = expected.into_iter().map(|key| key.id).collect();
        within.sort_unstable();
        ids.sort_unstable();
        same!(within, ids, "the keys that {text:?} finds within a change");
    }
    Ok(())
}
