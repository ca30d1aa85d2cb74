//! Grants, the scopes that they cover, and their expansion by a catalog.
//!
//! The input's lines are the grants of one key, those of another, scopes to test, and a catalog with one entry in each
//! line: `role=grants` or `scope>implied scopes`.

use std::collections::BTreeSet;

use apikey_core::{Requirement, Scope, ScopeCatalog, ScopeSet};

/// Panics if a law of coverage, union or expansion fails for `input`.
pub(crate) fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (one, other, names) = (line(), line(), line());
    let (Some(one), Some(other)) = (parsed(one), parsed(other)) else {
        return;
    };
    let names: Vec<Scope> = names
        .split_ascii_whitespace()
        .filter_map(|name| {
            let scope = Scope::new(name.to_owned());
            assert_eq!(scope.is_ok(), is_scope(name), "{name:?}");
            scope.ok()
        })
        .collect();
    coverage_keeps_its_laws(&one, &other, &names);

    let entries: Vec<&str> = lines.take(8).collect();
    let catalog = entries.iter().fold(ScopeCatalog::new(), |catalog, entry| {
        let added = match (entry.split_once('='), entry.split_once('>')) {
            (Some((role, grants)), _) => catalog.clone().role(role, grants.split_ascii_whitespace()),
            (_, Some((scope, implied))) => catalog.clone().implies(scope, implied.split_ascii_whitespace()),
            _ => Ok(catalog.clone()),
        };
        added.unwrap_or(catalog)
    });
    expansion_keeps_its_laws(&catalog, &one, &other);
}

/// Parses grants, and compares with an explicit grammar.
fn parsed(text: &str) -> Option<ScopeSet> {
    let words: BTreeSet<&str> = text.split_ascii_whitespace().collect();
    let is_grant = |word: &&str| *word == "*" || is_scope(word.strip_suffix(":*").unwrap_or(word));
    let set = ScopeSet::parse(text);
    assert_eq!(set.is_ok(), words.iter().all(is_grant), "{text:?}");
    let set = set.ok()?;
    assert!(set.iter().eq(words.iter().copied()));
    assert_eq!((set.len(), set.is_empty()), (words.len(), words.is_empty()));
    assert_eq!(ScopeSet::parse(set.as_str()).as_ref(), Ok(&set));
    let json = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), set);
    Some(set)
}

fn is_scope(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._:-".contains(c))
}

/// Returns each grant that would cover the scope.
fn covers_by_listing(grants: &ScopeSet, scope: &str) -> bool {
    let given: BTreeSet<&str> = grants.iter().collect();
    let colons = scope.match_indices(':').map(|(at, _)| at).filter(|at| at + 1 < scope.len());
    let mut wildcards = colons.map(|at| format!("{}:*", &scope[..at]));
    given.contains("*") || given.contains(scope) || wildcards.any(|wildcard| given.contains(&*wildcard))
}

fn coverage_keeps_its_laws(one: &ScopeSet, other: &ScopeSet, names: &[Scope]) {
    for name in names {
        assert_eq!(one.covers(name), covers_by_listing(one, name.as_str()), "{one} {name}");
    }
    assert_eq!(one.covers_all(names), names.iter().all(|name| one.covers(name)));
    assert_eq!(one.covers_any(names), names.iter().any(|name| one.covers(name)));
    if let (Ok(all), Ok(any)) = (Requirement::all(names), Requirement::any(names)) {
        assert_eq!((all.is_met_by(one), any.is_met_by(one)), (one.covers_all(names), one.covers_any(names)));
    } else {
        assert!(names.is_empty());
    }

    let both = one.union(other);
    assert_eq!(both, other.union(one));
    assert_eq!((&both.union(one), &one.union(one)), (&both, one));
    assert!(both.covers_grants(one) && both.covers_grants(other));
    for name in names {
        assert_eq!(both.covers(name), one.covers(name) || other.covers(name));
        if one.covers_grants(other) {
            assert!(one.covers(name) || !other.covers(name));
        }
    }
    assert_eq!(one.covers_grants(&both), one.covers_grants(other));
    assert!(one.covers_grants(one) && one.covers_grants(&ScopeSet::empty()));
}

fn expansion_keeps_its_laws(catalog: &ScopeCatalog, one: &ScopeSet, other: &ScopeSet) {
    let [of_one, of_other, of_both] = [one, other, &one.union(other)].map(|granted| catalog.expand(granted));
    assert!(of_one.covers_grants(one));
    assert!(one.iter().all(|grant| of_one.iter().any(|kept| kept == grant)));
    assert_eq!(catalog.expand(&of_one), of_one);
    assert!(of_both.covers_grants(&of_one) && of_both.covers_grants(&of_other));
    if one.covers_grants(other) {
        assert!(of_one.covers_grants(&of_other));
    }
    if of_one.covers_grants(other) {
        assert!(of_one.covers_grants(&of_other));
    }
    for (role, grants) in catalog.roles() {
        let reached = role.parse::<Scope>().is_ok_and(|role| of_one.covers(&role));
        assert!(!reached || of_one.covers_grants(grants), "{of_one} {role}={grants}");
    }
    assert_eq!(&ScopeCatalog::new().expand(one), one);
    assert!(catalog.unknown(one).iter().all(|grant| one.iter().any(|given| given == grant)));
}
