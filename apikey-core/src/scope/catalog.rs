//! The scopes a service knows, its roles, and which scopes imply others.
//!
//! Wildcards are [`ScopeSet`]'s. A catalog is used when a key is loaded or issued, never on a request whose key is
//! cached.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    name::{Scope, ScopeError},
    set::{ScopeSet, grant_covers},
};

/// The scopes of a service with their descriptions, roles and implications.
///
/// ```
/// use apikey_core::{Scope, ScopeCatalog, ScopeError, ScopeSet};
///
/// let catalog = ScopeCatalog::new()
///     .scope(Scope::from_static("keys:read"), "See keys.")
///     .scope(Scope::from_static("keys:write"), "Issue and revoke keys.")
///     .implies("keys:write", ["keys:read"])?
///     .role("operator", ["keys:write"])?;
///
/// let effective = catalog.expand(&ScopeSet::parse("operator")?);
/// assert_eq!(effective.as_str(), "keys:read keys:write operator");
/// # Ok::<(), ScopeError>(())
/// ```
///
/// [`scopes!`](crate::scopes) builds one from doc comments. [`merge`](Self::merge) combines several.
///
/// Security: a wildcard covers roles by their names. With a role `team:lead`, a grant of `team:*` includes everything
/// that the role grants. A role without `:` in its name is covered by its name and by `*` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeCatalog {
    descriptions: BTreeMap<Scope, String>,
    roles: BTreeMap<Scope, ScopeSet>,
    implications: BTreeMap<Scope, ScopeSet>,
}

impl ScopeCatalog {
    /// Creates an empty catalog.
    ///
    /// ```
    /// use apikey_core::ScopeCatalog;
    ///
    /// assert_eq!(ScopeCatalog::new().scopes().count(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scope, or replaces its description.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeCatalog};
    ///
    /// const READ: Scope = Scope::from_static("files:read");
    ///
    /// let catalog = ScopeCatalog::new().scope(READ, "List and\n  download files.");
    /// assert_eq!(catalog.scopes().next(), Some((&READ, "List and download files.")));
    /// ```
    ///
    /// Lines of a paragraph are joined; blank lines between paragraphs stay. An empty description keeps an earlier one.
    #[must_use]
    pub fn scope(mut self, scope: Scope, description: impl AsRef<str>) -> Self {
        self.describe(scope, reflow(description.as_ref()));
        self
    }

    /// Adds a role: a name that stands for several grants.
    ///
    /// ```
    /// use apikey_core::{ScopeCatalog, ScopeError, ScopeSet};
    ///
    /// let catalog = ScopeCatalog::new().role("admin", ["*"])?;
    /// assert_eq!(catalog.expand(&ScopeSet::parse("admin")?).as_str(), "* admin");
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Grants may name other roles. If the role exists already, the grants are added to it.
    ///
    /// # Errors
    ///
    /// Returns an error if the name isn't a [`Scope`] or a grant is malformed.
    pub fn role<I>(mut self, name: impl AsRef<str>, grants: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        add(&mut self.roles, name.as_ref().parse()?, &ScopeSet::from_grants(grants)?);
        Ok(self)
    }

    /// Adds an implication: a key with one scope has the others, too.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeCatalog, ScopeError, ScopeSet};
    ///
    /// let catalog = ScopeCatalog::new()
    ///     .implies("keys:admin", ["keys:write"])?
    ///     .implies("keys:write", ["keys:read"])?;
    /// let effective = catalog.expand(&ScopeSet::parse("keys:admin")?);
    /// assert!(effective.covers(&Scope::from_static("keys:read")));
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Implications are transitive, and cycles are harmless. An implication doesn't add its scopes to the catalog.
    ///
    /// # Errors
    ///
    /// Returns an error if a name isn't a [`Scope`]. For wildcards, use a role.
    pub fn implies<I>(mut self, scope: impl AsRef<str>, implied: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let implied: ScopeSet =
            implied.into_iter().map(|name| name.as_ref().parse::<Scope>()).collect::<Result<_, _>>()?;
        add(&mut self.implications, scope.as_ref().parse()?, &implied);
        Ok(self)
    }

    /// Combines two catalogs. Roles and implications of the same name are joined; of two descriptions, `other`'s is
    /// kept.
    ///
    /// ```
    /// use apikey_core::scopes;
    ///
    /// scopes! {
    ///     Files { FilesRead = "files:read" }
    ///     Keys { KeysRead = "keys:read" }
    /// }
    ///
    /// assert_eq!(Files::catalog().merge(Keys::catalog()).scopes().count(), 2);
    /// ```
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (scope, description) in other.descriptions {
            self.describe(scope, description);
        }
        for (name, grants) in other.roles {
            add(&mut self.roles, name, &grants);
        }
        for (scope, implied) in other.implications {
            add(&mut self.implications, scope, &implied);
        }
        self
    }

    /// Returns the effective grants: the given ones, including names of roles, and everything they include.
    ///
    /// ```
    /// use apikey_core::{ScopeCatalog, ScopeError, ScopeSet};
    ///
    /// let catalog = ScopeCatalog::new().implies("keys:admin", ["keys:read", "audit:read"])?;
    /// assert_eq!(catalog.expand(&ScopeSet::parse("keys:*")?).as_str(), "audit:read keys:*");
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// A wildcard includes what the names it covers include. Grants that a wildcard of the result covers are left out;
    /// `*` stays `*`.
    ///
    /// Security: if a set [covers](ScopeSet::covers_grants) another, it still does after both are expanded. Expanding
    /// twice changes nothing.
    #[must_use]
    pub fn expand(&self, granted: &ScopeSet) -> ScopeSet {
        if self.roles.is_empty() && self.implications.is_empty() {
            return granted.clone();
        }
        let mut reached: BTreeSet<&str> = granted.iter().collect();
        let mut pending: Vec<&str> = reached.iter().copied().collect();
        while let Some(grant) = pending.pop() {
            pending.extend(self.reached_at_once(grant).filter(|next| reached.insert(next)));
        }

        let given: BTreeSet<&str> = granted.iter().collect();
        let wildcards: Vec<&str> = reached.iter().copied().filter(|grant| grant.ends_with('*')).collect();
        let adds = |grant: &str| {
            !wildcards.iter().any(|wildcard| *wildcard != grant && grant_covers(wildcard.as_bytes(), grant.as_bytes()))
        };
        ScopeSet::from_checked(reached.iter().copied().filter(|grant| given.contains(grant) || adds(grant)))
    }

    fn reached_at_once<'a>(&'a self, grant: &'a str) -> impl Iterator<Item = &'a str> {
        let edges = self.roles.iter().chain(&self.implications);
        edges
            .filter(move |(name, _)| grant_covers(grant.as_bytes(), name.as_str().as_bytes()))
            .flat_map(|(_, grants)| grants.iter())
    }

    /// Returns the grants that the catalog doesn't know, such as misspelt ones.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeCatalog, ScopeError, ScopeSet};
    ///
    /// let catalog = ScopeCatalog::new().scope(Scope::from_static("files:read"), "List files.");
    /// let granted = ScopeSet::parse("* file:* files:* files:raed files:read")?;
    /// assert_eq!(catalog.unknown(&granted), ["file:*", "files:raed"]);
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Scopes, roles, `*`, and wildcards that cover at least one known scope are known.
    #[must_use]
    pub fn unknown(&self, granted: &ScopeSet) -> Vec<String> {
        granted.iter().filter(|grant| !self.knows(grant)).map(str::to_owned).collect()
    }

    fn knows(&self, grant: &str) -> bool {
        grant == "*"
            || self.roles.contains_key(grant)
            || self.descriptions.keys().any(|scope| grant_covers(grant.as_bytes(), scope.as_str().as_bytes()))
    }

    /// Returns the scopes and their descriptions, sorted by scope.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeCatalog};
    ///
    /// let catalog = ScopeCatalog::new().scope(Scope::from_static("files:read"), "List files.");
    /// for (scope, description) in catalog.scopes() {
    ///     println!("{scope}: {description}");
    /// }
    /// ```
    pub fn scopes(&self) -> impl Iterator<Item = (&Scope, &str)> {
        self.descriptions.iter().map(|(scope, description)| (scope, description.as_str()))
    }

    /// Returns the roles and the grants of each, sorted by name.
    ///
    /// ```
    /// use apikey_core::{ScopeCatalog, ScopeError};
    ///
    /// let catalog = ScopeCatalog::new().role("admin", ["*"])?;
    /// let (name, grants) = catalog.roles().next().unwrap();
    /// assert_eq!((name, grants.as_str()), ("admin", "*"));
    /// # Ok::<(), ScopeError>(())
    /// ```
    pub fn roles(&self) -> impl Iterator<Item = (&str, &ScopeSet)> {
        self.roles.iter().map(|(name, grants)| (name.as_str(), grants))
    }

    fn describe(&mut self, scope: Scope, description: String) {
        let kept = self.descriptions.entry(scope).or_default();
        if !description.is_empty() {
            *kept = description;
        }
    }
}

fn add(edges: &mut BTreeMap<Scope, ScopeSet>, name: Scope, grants: &ScopeSet) {
    let kept = edges.entry(name).or_default();
    *kept = kept.union(grants);
}

/// Joins the lines of each paragraph: a doc comment's line breaks mean nothing to readers of a description.
fn reflow(text: &str) -> String {
    let mut flowed = String::new();
    let mut separator = "";
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            separator = if flowed.is_empty() { "" } else { "\n\n" };
        } else {
            flowed.push_str(separator);
            flowed.push_str(line);
            separator = " ";
        }
    }
    flowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(grants: &str) -> ScopeSet {
        ScopeSet::parse(grants).unwrap()
    }

    fn keys() -> ScopeCatalog {
        ["keys:read", "keys:write", "keys:admin", "audit:read", "files:read"]
            .into_iter()
            .fold(ScopeCatalog::new(), |catalog, name| catalog.scope(Scope::from_static(name), name))
            .implies("keys:admin", ["keys:write", "audit:read"])
            .and_then(|catalog| catalog.implies("keys:write", ["keys:read"]))
            .and_then(|catalog| catalog.role("admin", ["*"]))
            .and_then(|catalog| catalog.role("operator", ["keys:admin", "reader"]))
            .and_then(|catalog| catalog.role("reader", ["files:*"]))
            .and_then(|catalog| catalog.role("team:lead", ["operator"]))
            .unwrap()
    }

    #[test]
    fn given_grants_when_expanded_then_roles_and_implications_are_followed_to_the_end() {
        let cases = [
            ("", ""),
            ("other", "other"),
            ("keys:read", "keys:read"),
            ("keys:write", "keys:read keys:write"),
            ("keys:admin", "audit:read keys:admin keys:read keys:write"),
            ("keys:*", "audit:read keys:*"),
            ("keys:* keys:read", "audit:read keys:* keys:read"),
            ("keys:admin:*", "keys:admin:*"),
            ("reader", "files:* reader"),
            ("operator", "audit:read files:* keys:admin keys:read keys:write operator reader"),
            ("team:*", "audit:read files:* keys:admin keys:read keys:write operator reader team:*"),
            ("team", "team"),
            ("admin", "* admin"),
            ("*", "*"),
            ("* keys:admin", "* keys:admin"),
        ];
        for (granted, effective) in cases {
            assert_eq!(keys().expand(&set(granted)), set(effective), "{granted:?}");
        }
    }

    #[test]
    fn given_cycles_when_expanded_then_it_ends() {
        let catalog = ScopeCatalog::new()
            .implies("a", ["b", "a"])
            .and_then(|catalog| catalog.implies("b", ["a"]))
            .and_then(|catalog| catalog.role("r", ["s", "a"]))
            .and_then(|catalog| catalog.role("s", ["r"]))
            .unwrap();
        assert_eq!(catalog.expand(&set("b")), set("a b"));
        assert_eq!(catalog.expand(&set("s")), set("a b r s"));
    }

    #[test]
    fn given_grants_when_checked_then_those_nothing_explains_are_unknown() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("* admin keys:* keys:read team:lead", &[]),
            ("keys:raed", &["keys:raed"]),
            ("key:* keys:admin:*", &["key:*", "keys:admin:*"]),
            ("keys admin:*", &["admin:*", "keys"]),
            ("team:*", &["team:*"]),
        ];
        for (granted, unknown) in cases {
            assert_eq!(keys().unknown(&set(granted)), unknown, "{granted:?}");
        }
        assert_eq!(ScopeCatalog::new().unknown(&set("* a:* b")), ["a:*", "b"]);
        let implied = ScopeCatalog::new().implies("a", ["b"]).unwrap();
        assert_eq!(implied.unknown(&set("a b")), ["a", "b"]);
    }

    #[test]
    fn given_malformed_names_when_added_then_it_is_an_error() {
        for name in ["", "a b", "*", "a:*"] {
            assert!(ScopeCatalog::new().role(name, ["a"]).is_err(), "{name:?}");
            assert!(ScopeCatalog::new().implies(name, ["a"]).is_err(), "{name:?}");
            assert!(ScopeCatalog::new().implies("a", [name]).is_err(), "{name:?}");
        }
        assert!(ScopeCatalog::new().role("a", ["b c"]).is_err());
    }

    #[test]
    fn given_two_catalogs_when_merged_then_both_are_known_and_the_later_description_is_kept() {
        let scope = Scope::from_static;
        let first = ScopeCatalog::new().scope(scope("a"), "old").scope(scope("b"), "kept").role("r", ["a"]).unwrap();
        let second = ScopeCatalog::new().scope(scope("a"), "new").scope(scope("b"), "").scope(scope("c"), "");
        let second = second.role("r", ["b"]).unwrap().implies("a", ["c"]).unwrap();
        let merged = first.clone().merge(second);

        let scopes: Vec<_> = merged.scopes().map(|(scope, text)| (scope.as_str(), text)).collect();
        assert_eq!(scopes, [("a", "new"), ("b", "kept"), ("c", "")]);
        assert_eq!(merged.roles().collect::<Vec<_>>(), [("r", &set("a b"))]);
        assert_eq!(merged.expand(&set("r")), set("a b c r"));
        assert_eq!(first.clone().merge(ScopeCatalog::new()), first);
        assert_eq!(ScopeCatalog::new().merge(first.clone()), first);
    }

    #[test]
    fn given_a_role_or_implication_twice_when_added_then_both_hold() {
        let catalog = ScopeCatalog::new().role("r", ["a"]).unwrap().role("r", ["b"]).unwrap();
        assert_eq!(catalog.expand(&set("r")), set("a b r"));
        let catalog = ScopeCatalog::new().implies("x", ["a"]).unwrap().implies("x", ["b"]).unwrap();
        assert_eq!(catalog.expand(&set("x")), set("a b x"));
    }

    #[test]
    fn given_a_description_of_several_lines_when_added_then_paragraphs_stay_and_lines_join() {
        let cases = [
            ("", ""),
            ("  \n \n", ""),
            (" one \n two\n", "one two"),
            ("\n\none\n\n\n two\nthree\n\n", "one\n\ntwo three"),
        ];
        for (text, description) in cases {
            let catalog = ScopeCatalog::new().scope(Scope::from_static("a"), text);
            assert_eq!(catalog.scopes().next().unwrap().1, description, "{text:?}");
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        "[abc](:[abc]){0,2}"
    }

    fn any_grants() -> impl Strategy<Value = ScopeSet> {
        let grant = prop_oneof![
            6 => any_name(),
            3 => any_name().prop_map(|name| format!("{name}:*")),
            1 => Just("*".to_owned()),
        ];
        prop::collection::vec(grant, 0..4).prop_map(|grants| ScopeSet::from_grants(grants).unwrap())
    }

    fn any_catalog() -> impl Strategy<Value = ScopeCatalog> {
        let roles = prop::collection::vec((any_name(), any_grants()), 0..4);
        let implications = prop::collection::vec((any_name(), prop::collection::vec(any_name(), 0..3)), 0..5);
        (roles, implications).prop_map(|(roles, implications)| {
            let with_roles = roles
                .into_iter()
                .fold(ScopeCatalog::new(), |catalog, (name, grants)| catalog.role(name, grants.iter()).unwrap());
            implications
                .into_iter()
                .fold(with_roles, |catalog, (name, implied)| catalog.implies(name, implied).unwrap())
        })
    }

    /// Rounds over every edge until nothing changes; nothing is left out.
    fn expand_by_rounds(catalog: &ScopeCatalog, granted: &ScopeSet) -> ScopeSet {
        let mut effective = granted.clone();
        loop {
            let reached = catalog.roles.iter().chain(&catalog.implications).filter(|(name, _)| effective.covers(name));
            let next = reached.fold(effective.clone(), |all, (_, grants)| all.union(grants));
            if next == effective {
                return effective;
            }
            effective = next;
        }
    }

    proptest! {
        #[test]
        fn given_any_catalog_then_expanding_reaches_what_rounds_reach(
            catalog in any_catalog(),
            granted in any_grants(),
        ) {
            let effective = catalog.expand(&granted);
            let rounds = expand_by_rounds(&catalog, &granted);
            prop_assert!(effective.covers_grants(&rounds), "{} {}", effective, rounds);
            prop_assert!(rounds.covers_grants(&effective), "{} {}", effective, rounds);
            prop_assert_eq!(effective.union(&granted), effective);
        }

        #[test]
        fn given_any_catalog_then_expanding_twice_is_expanding_once(
            catalog in any_catalog(),
            granted in any_grants(),
        ) {
            let once = catalog.expand(&granted);
            prop_assert_eq!(catalog.expand(&once), once);
        }

        #[test]
        fn given_more_grants_when_expanded_then_no_fewer_are_effective(
            catalog in any_catalog(), more in any_grants(), fewer in any_grants(),
        ) {
            let both = more.union(&fewer);
            prop_assert!(catalog.expand(&both).covers_grants(&catalog.expand(&fewer)));
            if more.covers_grants(&fewer) {
                prop_assert!(catalog.expand(&more).covers_grants(&catalog.expand(&fewer)));
            }
        }

        #[test]
        fn given_an_effective_set_that_covers_raw_grants_then_it_covers_what_they_become(
            catalog in any_catalog(), issuer in any_grants(), handed in any_grants(),
        ) {
            let issuer = catalog.expand(&issuer);
            if issuer.covers_grants(&handed) {
                prop_assert!(issuer.covers_grants(&catalog.expand(&handed)));
            }
        }
    }
}
