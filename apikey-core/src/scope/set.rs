//! The grants of a key, and whether they cover a scope.
//!
//! Wildcards are interpreted here alone. Roles and implied scopes were expanded before, by the
//! [catalog](crate::ScopeCatalog); a set only compares bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::name::{Scope, ScopeError, defect};

/// The grants of a key, sorted and without duplicates.
///
/// ```
/// use apikey_core::{Scope, ScopeError, ScopeSet};
///
/// let granted = ScopeSet::parse("files:* keys:read")?;
/// assert!(granted.covers(&Scope::from_static("files:write")));
/// assert!(!granted.covers(&Scope::from_static("keys:write")));
/// # Ok::<(), ScopeError>(())
/// ```
///
/// There are three kinds of grants:
///
/// | grant | covers |
/// |---|---|
/// | a scope, `files:read` | that scope alone, not `files:read:own` |
/// | a scope and `:*`, `files:*` | longer scopes that start with `files:`, not `files` or `files:` |
/// | `*` | every scope |
///
/// A set is one allocation (none if empty): the sorted grants joined by spaces, as in RFC 6749 §3.3. Checks don't
/// allocate.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Box<str>);

/// Returns `true` if the grants are in a set's own form: valid, sorted, unique, separated by single spaces.
fn is_canonical(grants: &str) -> bool {
    let mut before = "";
    grants.split(' ').all(|grant| {
        let follows = before < grant;
        before = grant;
        follows && check_grant(grant).is_ok()
    })
}

impl ScopeSet {
    /// Creates a set that covers nothing.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeSet};
    ///
    /// assert!(!ScopeSet::empty().covers(&Scope::from_static("files:read")));
    /// ```
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A set that covers everything: `*`.
    ///
    /// ```
    /// use apikey_core::ScopeSet;
    ///
    /// assert_eq!(ScopeSet::everything().as_str(), "*");
    /// ```
    #[must_use]
    pub fn everything() -> Self {
        Self::from_checked(std::iter::once("*"))
    }

    /// Parses grants separated by ASCII whitespace. Without grants, the set is empty.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// assert_eq!(ScopeSet::parse("b:*  a\nb:*")?.as_str(), "a b:*");
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a grant is malformed, for example if `*` stands anywhere but alone or after a final `:`.
    pub fn parse(grants: &str) -> Result<Self, ScopeError> {
        match is_canonical(grants) {
            // The form in which stores keep it; they parse it for every key that they look up.
            true => Ok(Self(grants.into())),
            false => Self::from_grants(grants.split_ascii_whitespace()),
        }
    }

    /// Collects grants, in any order.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// let granted = ScopeSet::from_grants(["files:write", "files:read"])?;
    /// assert_eq!(granted.as_str(), "files:read files:write");
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse). An item that is empty or contains a space is malformed, too.
    pub fn from_grants<I>(grants: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let grants: Vec<_> = grants.into_iter().collect();
        for grant in &grants {
            check_grant(grant.as_ref())?;
        }
        Ok(Self::from_checked(grants.iter().map(AsRef::as_ref)))
    }

    /// Creates a set from grants that were checked already.
    pub(crate) fn from_checked<'a>(grants: impl Iterator<Item = &'a str>) -> Self {
        let mut grants: Vec<&str> = grants.collect();
        grants.sort_unstable();
        grants.dedup();
        Self(grants.join(" ").into_boxed_str())
    }

    /// Returns `true` if a grant covers this scope.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeError, ScopeSet};
    ///
    /// let granted = ScopeSet::parse("files:*")?;
    /// assert!(granted.covers(&Scope::from_static("files:read:own")));
    /// assert!(!granted.covers(&Scope::from_static("filesystem:read")));
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        self.covers_grant(scope.as_str())
    }

    /// Returns `true` if all of these scopes are covered, also if there are none.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeError, ScopeSet};
    ///
    /// let wanted = [Scope::from_static("files:read"), Scope::from_static("files:write")];
    /// assert!(ScopeSet::parse("files:*")?.covers_all(&wanted));
    /// assert!(!ScopeSet::parse("files:read")?.covers_all(&wanted));
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn covers_all<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> bool {
        scopes.into_iter().all(|scope| self.covers(scope))
    }

    /// Returns `true` if at least one of these scopes is covered.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeError, ScopeSet};
    ///
    /// let wanted = [Scope::from_static("files:read"), Scope::from_static("files:write")];
    /// assert!(ScopeSet::parse("files:read")?.covers_any(&wanted));
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn covers_any<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> bool {
        scopes.into_iter().any(|scope| self.covers(scope))
    }

    /// Returns `true` if every grant of `other`, wildcards included, is covered.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// let issuer = ScopeSet::parse("files:*")?;
    /// assert!(issuer.covers_grants(&ScopeSet::parse("files:read files:own:*")?));
    /// assert!(!issuer.covers_grants(&ScopeSet::parse("*")?));
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Security: check this before one key grants rights to another. Expand both sets with
    /// [`ScopeCatalog::expand`](crate::ScopeCatalog::expand) first, because a role's name doesn't tell what it grants.
    #[must_use]
    pub fn covers_grants(&self, other: &Self) -> bool {
        other.iter().all(|grant| self.covers_grant(grant))
    }

    /// Returns the grants of both sets.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// let both = ScopeSet::parse("a b")?.union(&ScopeSet::parse("b c:*")?);
    /// assert_eq!(both.as_str(), "a b c:*");
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_checked(self.iter().chain(other.iter()))
    }

    /// Returns the grants in byte order.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// let granted = ScopeSet::parse("files:read *")?;
    /// assert_eq!(granted.iter().collect::<Vec<_>>(), ["*", "files:read"]);
    /// # Ok::<(), ScopeError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split_ascii_whitespace()
    }

    /// Returns the number of grants.
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// assert_eq!(ScopeSet::parse("a b a")?.len(), 2);
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns `true` if there are no grants, so that nothing is covered.
    ///
    /// ```
    /// use apikey_core::ScopeSet;
    ///
    /// assert!(ScopeSet::empty().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sorted grants joined by single spaces, as in a scope parameter (RFC 6749 §3.3).
    ///
    /// ```
    /// use apikey_core::{ScopeError, ScopeSet};
    ///
    /// assert_eq!(ScopeSet::parse(" b a ")?.as_str(), "a b");
    /// # Ok::<(), ScopeError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn covers_grant(&self, wanted: &str) -> bool {
        any_grant(self.0.as_bytes(), |grant| grant_covers(grant, wanted.as_bytes()))
    }
}

/// Returns `true` if a grant covers another grant or a scope.
///
/// The right side may be a scope or a wildcard: `a:*` covers `a:b:*` as it covers `a:b:c`. Only `*` covers `*`, because
/// no scope contains one.
pub(crate) fn grant_covers(grant: &[u8], wanted: &[u8]) -> bool {
    match grant.split_last() {
        Some((b'*', stem)) => wanted.len() > stem.len() && wanted.starts_with(stem),
        _ => grant == wanted,
    }
}

/// Returns `true` if `covers` holds for one of the grants.
///
/// This runs on every request. Finding the spaces eight bytes at a time takes half as long as `split` or a loop over
/// bytes.
fn any_grant(grants: &[u8], mut covers: impl FnMut(&[u8]) -> bool) -> bool {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);

    let (words, tail) = grants.as_chunks::<8>();
    let tail_at = grants.len() - tail.len();
    let mut start = 0;
    for (word, at) in words.iter().zip((0..).step_by(8)) {
        // Grants are ASCII, so each sum stays within its byte, and the top bit stays clear where
        // the byte is a space.
        let mut spaces = !((u64::from_le_bytes(*word) ^ SPACES) + LOW) & !LOW;
        while spaces != 0 {
            let end = at + (spaces.trailing_zeros() / 8) as usize;
            if covers(&grants[start..end]) {
                return true;
            }
            start = end + 1;
            spaces &= spaces - 1;
        }
    }
    for (byte, end) in tail.iter().zip(tail_at..) {
        if *byte == b' ' {
            if covers(&grants[start..end]) {
                return true;
            }
            start = end + 1;
        }
    }
    // For an empty set, this is an empty grant, which covers nothing.
    covers(&grants[start..])
}

fn check_grant(grant: &str) -> Result<(), ScopeError> {
    if grant == "*" {
        return Ok(());
    }
    let stem = grant.strip_suffix(":*").unwrap_or(grant);
    match defect(stem) {
        None => Ok(()),
        Some(defect) => Err(ScopeError::describe(grant, stem, defect)),
    }
}

/// Scopes are grants, so this can't fail.
impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let scopes: Vec<Scope> = scopes.into_iter().collect();
        Self::from_checked(scopes.iter().map(Scope::as_str))
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    fn from_str(grants: &str) -> Result<Self, ScopeError> {
        Self::parse(grants)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ScopeSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of scopes such as `files:read` or `files:*`")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<ScopeSet, A::Error> {
                let mut grants: Vec<String> = Vec::new();
                while let Some(grant) = items.next_element()? {
                    grants.push(grant);
                }
                ScopeSet::from_grants(grants).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_seq(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(grants: &str) -> ScopeSet {
        ScopeSet::parse(grants).unwrap()
    }

    fn scope(name: &str) -> Scope {
        Scope::new(name.to_owned()).unwrap()
    }

    #[test]
    fn given_a_set_when_asked_about_a_scope_then_the_grammar_of_grants_decides() {
        let long = format!("{}:*", "x".repeat(Scope::MAX_LEN));
        let cases = [
            ("", "files:read", false),
            ("files:read", "files:read", true),
            ("files:read", "files:write", false),
            ("files:read", "files:rea", false),
            ("files:read", "files:reads", false),
            ("files:read", "files:read:own", false),
            ("files:read:own", "files:read", false),
            ("files:read", "Files:read", false),
            ("files:*", "files:read", true),
            ("files:*", "files:read:own", true),
            ("files:*", "files::", true),
            ("files:*", "files", false),
            ("files:*", "files:", false),
            ("files:*", "filesystem:read", false),
            ("files:*", "file:read", false),
            ("files:*", "my:files:read", false),
            ("files:read:*", "files:read:own", true),
            ("files:read:*", "files:read", false),
            ("a::*", "a::b", true),
            ("a::*", "a:b", false),
            ("*", "files:read", true),
            ("*", ":", true),
            ("a b c:* d", "b", true),
            ("a b c:* d", "c:d", true),
            ("a b c:* d", "d", true),
            ("a b c:* d", "e", false),
            ("aa bb", "a", false),
            ("aa bb", "b", false),
            ("sevench1 eightch2 ninechar3", "eightch2", true),
            ("sevench1 eightch2 ninechar3", "ninechar3", true),
            (&long, "x:y", false),
        ];
        for (grants, name, covered) in cases {
            assert_eq!(set(grants).covers(&scope(name)), covered, "{grants:?} covers {name:?}");
        }
    }

    #[test]
    fn given_grants_of_every_length_and_place_when_asked_then_each_is_found_and_no_part_of_one() {
        for first in 1..20 {
            for second in 1..20 {
                let (a, b) = ("a".repeat(first), "b".repeat(second));
                let granted = set(&format!("{b} {a}"));
                assert!(granted.covers(&scope(&a)) && granted.covers(&scope(&b)), "{granted}");
                for other in [first + 1, first - 1].into_iter().filter(|&length| length > 0) {
                    assert!(!granted.covers(&scope(&"a".repeat(other))), "{granted}");
                }
            }
        }
    }

    #[test]
    fn given_two_sets_when_asked_about_grants_then_wildcards_need_wildcards() {
        let cases = [
            ("", "", true),
            ("a", "", true),
            ("", "a", false),
            ("a b", "b", true),
            ("a", "a b", false),
            ("*", "*", true),
            ("*", "a a:* a:b", true),
            ("a:*", "*", false),
            ("a b c", "*", false),
            ("a:*", "a:*", true),
            ("a:*", "a:b:*", true),
            ("a:b:*", "a:b:*", true),
            ("a:b:*", "a:*", false),
            ("a:b", "a:b:*", false),
            ("a:b", "a:*", false),
            ("a:*", "a:b a:c:d", true),
            ("a:*", "a", false),
            ("a:*", "ab:*", false),
            ("ab:*", "a:*", false),
        ];
        for (holder, wanted, covered) in cases {
            assert_eq!(set(holder).covers_grants(&set(wanted)), covered, "{holder:?} covers {wanted:?}");
        }
    }

    #[test]
    fn given_no_scopes_when_asked_about_all_or_any_then_all_is_true_and_any_is_false() {
        assert!(ScopeSet::empty().covers_all([]));
        assert!(!set("*").covers_any([]));
    }

    #[test]
    fn given_several_scopes_when_one_is_missing_then_any_holds_and_all_does_not() {
        let wanted = [scope("files:read"), scope("keys:read")];
        assert!(set("files:*").covers_any(&wanted) && !set("files:*").covers_all(&wanted));
        assert!(set("files:* keys:read").covers_all(&wanted));
        assert!(!set("logs:read").covers_any(&wanted));
    }

    #[test]
    fn given_grants_in_any_order_when_parsed_then_they_are_sorted_and_single() {
        let cases = [
            ("", "", 0),
            (" \t\r\n ", "", 0),
            ("a", "a", 1),
            ("b a", "a b", 2),
            (" b\ta\n b ", "a b", 2),
            ("a:b a:* * a", "* a a:* a:b", 4),
        ];
        for (text, canonical, count) in cases {
            let parsed: ScopeSet = text.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.to_string().as_str()), (canonical, canonical));
            assert_eq!((parsed.len(), parsed.iter().count(), parsed.is_empty()), (count, count, count == 0));
        }
    }

    #[test]
    fn given_malformed_grants_when_collected_then_the_error_quotes_the_grant() {
        let too_long = format!("{}:*", "x".repeat(Scope::MAX_LEN + 1));
        let cases = [
            ("**", "for grants only"),
            ("*:read", "for grants only"),
            ("files*", "for grants only"),
            ("files:*:read", "\"files:*:read\""),
            ("files:**", "\"files:**\""),
            ("*:*", "\"*:*\""),
            (":*", "at least one character"),
            ("", "at least one character"),
            ("files read", "' '"),
            ("files\u{a0}read", r"'\u{a0}'"),
            (too_long.as_str(), "more than 128"),
        ];
        for (grant, part) in cases {
            let message = ScopeSet::from_grants(["fine", grant]).unwrap_err().to_string();
            assert!(message.contains(part), "{grant:?}: {message}");
        }
        assert!(ScopeSet::parse("a\u{a0}b").is_err());
    }

    #[test]
    fn given_two_sets_when_joined_then_grants_of_both_are_there_once() {
        let cases = [("", "", ""), ("a", "", "a"), ("", "a", "a"), ("c a", "b c", "a b c"), ("a:b", "a:*", "a:* a:b")];
        for (left, right, both) in cases {
            assert_eq!(set(left).union(&set(right)), set(both));
        }
    }

    #[test]
    fn given_scopes_when_collected_then_they_are_a_set() {
        assert_eq!([scope("b"), scope("a")].into_iter().collect::<ScopeSet>(), set("a b"));
    }

    #[test]
    fn given_a_set_when_shown_for_debugging_then_it_is_a_list() {
        assert_eq!(format!("{:?}", set("b a:*")), r#"["a:*", "b"]"#);
    }

    #[test]
    fn given_a_set_when_serialized_then_it_is_an_array_of_strings_both_ways() {
        for (grants, json) in [("", "[]"), ("b a:* *", r#"["*","a:*","b"]"#)] {
            assert_eq!(serde_json::to_string(&set(grants)).unwrap(), json);
            assert_eq!(serde_json::from_str::<ScopeSet>(json).unwrap(), set(grants));
        }
        assert_eq!(serde_json::from_str::<ScopeSet>(r#"["b", "a", "b"]"#).unwrap(), set("a b"));
        for malformed in [r#""a""#, r#"["a b"]"#, r#"[""]"#, "[1]", "null", "{}", r#"["a*"]"#] {
            assert!(serde_json::from_str::<ScopeSet>(malformed).is_err(), "{malformed}");
        }
        let message = serde_json::from_str::<ScopeSet>("1").unwrap_err().to_string();
        assert!(message.contains("expected a list of scopes such as"), "{message}");
    }

    /// Few letters, so that generated scopes and grants meet often.
    fn any_scope() -> impl Strategy<Value = String> {
        prop_oneof!["[ab:]{1,6}", "[ab](:[ab]){0,3}", "[ab]{1,3}:[ab]{7,10}"]
    }

    fn any_grants() -> impl Strategy<Value = Vec<String>> {
        let grant = prop_oneof![
            8 => any_scope(),
            6 => any_scope().prop_map(|scope| format!("{scope}:*")),
            1 => Just("*".to_owned()),
        ];
        prop::collection::vec(grant, 0..8)
    }

    /// The grants that would cover a scope, listed, instead of a comparison with each grant.
    fn covers_by_listing(grants: &BTreeSet<String>, scope: &str) -> bool {
        let colons = scope.match_indices(':').map(|(at, _)| at);
        let inner = colons.filter(|at| at + 1 < scope.len());
        let mut wildcards = inner.map(|at| format!("{}:*", &scope[..at]));
        grants.contains("*") || grants.contains(scope) || wildcards.any(|wildcard| grants.contains(&wildcard))
    }

    proptest! {
        #[test]
        fn given_any_set_and_scope_then_coverage_is_that_of_the_listing(
            grants in any_grants(),
            name in any_scope(),
        ) {
            let listed: BTreeSet<String> = grants.iter().cloned().collect();
            let granted = ScopeSet::from_grants(&grants).unwrap();
            prop_assert_eq!(granted.covers(&scope(&name)), covers_by_listing(&listed, &name));
            prop_assert_eq!(granted.iter().map(str::to_owned).collect::<BTreeSet<_>>(), listed);
        }

        #[test]
        fn given_any_set_when_displayed_and_parsed_then_it_is_the_same(grants in any_grants()) {
            let granted = ScopeSet::from_grants(&grants).unwrap();
            prop_assert_eq!(&granted.to_string().parse::<ScopeSet>().unwrap(), &granted);
            let json = serde_json::to_string(&granted).unwrap();
            prop_assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), granted);
        }

        #[test]
        fn given_any_text_when_parsed_then_it_is_refused_or_canonical(
            text in "[ab:* \\t]{0,12}|\\PC{0,6}",
        ) {
            if let Ok(granted) = ScopeSet::parse(&text) {
                prop_assert!(granted.as_str().is_ascii());
                prop_assert_eq!(ScopeSet::parse(granted.as_str()).unwrap(), granted);
            }
        }

        #[test]
        fn given_a_set_that_covers_another_then_it_covers_each_scope_of_it(
            holder in any_grants(),
            wanted in any_grants(),
            names in prop::collection::vec(any_scope(), 1..20),
        ) {
            let holder = ScopeSet::from_grants(holder).unwrap();
            let wanted = ScopeSet::from_grants(wanted).unwrap();
            prop_assert!(holder.union(&wanted).covers_grants(&wanted));
            if holder.covers_grants(&wanted) {
                let names = names.iter().map(|name| scope(name));
                for name in names.filter(|name| wanted.covers(name)) {
                    prop_assert!(holder.covers(&name), "{} {} {}", holder, wanted, name);
                }
            }
        }
    }
}
