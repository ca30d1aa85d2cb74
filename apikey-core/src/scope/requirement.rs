//! The scopes that a route requires, as a value ([`Requirement`]) and as a type ([`RequiredScopes`]).
//!
//! Middleware holds the value, extractors name the type. The answer to callers that lack a scope is
//! [`Rejection`](crate::Rejection)'s.

use std::{convert::Infallible, fmt, marker::PhantomData};

use super::{
    marker::ScopeMarker,
    name::{Scope, ScopeError},
    set::ScopeSet,
};

/// The scopes that a route requires: at least one of each group.
///
/// ```
/// use apikey_core::{Requirement, ScopeError, ScopeSet};
///
/// let tenant = Requirement::any(["tenant:acme", "tenant:any"])?;
/// let needed = Requirement::all(["files:read"])?.and(tenant);
/// assert_eq!(needed.to_string(), "files:read and (tenant:acme or tenant:any)");
/// assert!(needed.is_met_by(&ScopeSet::parse("files:* tenant:acme")?));
/// assert!(!needed.is_met_by(&ScopeSet::parse("files:*")?));
/// # Ok::<(), ScopeError>(())
/// ```
///
/// `Display` is for logs. If the scopes are known at compile time, name them as a type: see [`RequiredScopes`].
///
/// Security: a requirement is never empty, so a key without grants meets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Neither the list nor a group is ever empty.
    groups: Vec<Vec<Scope>>,
}

impl Requirement {
    /// Requires all of these scopes.
    ///
    /// ```
    /// use apikey_core::{Requirement, ScopeError, ScopeSet};
    ///
    /// let needed = Requirement::all(["files:read", "files:write"])?;
    /// assert!(!needed.is_met_by(&ScopeSet::parse("files:read")?));
    /// assert!(Requirement::all::<[&str; 0]>([]).is_err());
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if one isn't a scope or the list is empty.
    pub fn all<I>(scopes: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let scopes = parse(scopes)?;
        Ok(Self::of_groups(scopes.into_iter().map(|scope| vec![scope])))
    }

    /// Requires at least one of these scopes.
    ///
    /// ```
    /// use apikey_core::{Requirement, ScopeError, ScopeSet};
    ///
    /// let needed = Requirement::any(["files:read", "files:write"])?;
    /// assert!(needed.is_met_by(&ScopeSet::parse("files:read")?));
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub fn any<I>(scopes: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self::of_groups([parse(scopes)?]))
    }

    /// Requires what both requirements require.
    ///
    /// ```
    /// use apikey_core::{Requirement, Scope};
    ///
    /// let both = Requirement::from(Scope::from_static("a")).and(Scope::from_static("b").into());
    /// assert_eq!(both.to_string(), "a and b");
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::of_groups(self.groups.into_iter().chain(other.groups))
    }

    /// Returns `true` if a key with these grants meets the requirement.
    ///
    /// ```
    /// use apikey_core::{Requirement, ScopeError, ScopeSet};
    ///
    /// let needed = Requirement::all(["files:read"])?;
    /// assert!(needed.is_met_by(&ScopeSet::parse("files:*")?));
    /// assert!(!needed.is_met_by(&ScopeSet::empty()));
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Roles and implied scopes count only after a [`ScopeCatalog`](crate::ScopeCatalog) has expanded the set.
    #[must_use]
    pub fn is_met_by(&self, granted: &ScopeSet) -> bool {
        self.groups.iter().all(|group| granted.covers_any(group))
    }

    /// Returns the `scope` parameter of a challenge (RFC 6750 §3): the required scopes, joined by spaces.
    ///
    /// ```
    /// use apikey_core::{Requirement, ScopeError};
    ///
    /// let all = Requirement::all(["files:read", "files:write"])?;
    /// assert_eq!(all.challenge_scope().as_deref(), Some("files:read files:write"));
    /// assert_eq!(Requirement::any(["files:read", "files:write"])?.challenge_scope(), None);
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// Returns `None` if a group has alternatives: the parameter can only express "all of these". The text needs no
    /// escaping within a quoted string.
    #[must_use]
    pub fn challenge_scope(&self) -> Option<String> {
        let names: Option<Vec<&str>> = self
            .groups
            .iter()
            .map(|group| match group.as_slice() {
                [scope] => Some(scope.as_str()),
                _ => None,
            })
            .collect();
        names.map(|names| names.join(" "))
    }

    /// Returns the sets of scopes of which any one is enough.
    #[cfg(feature = "utoipa")]
    pub(crate) fn alternatives(&self) -> Vec<Vec<&str>> {
        self.groups.iter().fold(vec![Vec::new()], |chosen, group| {
            let chosen = chosen.iter();
            chosen
                .flat_map(|scopes| group.iter().map(move |scope| [scopes.as_slice(), &[scope.as_str()]].concat()))
                .collect()
        })
    }

    /// Callers pass at least one group, and at least one scope in each. Duplicates are dropped.
    fn of_groups(groups: impl IntoIterator<Item = Vec<Scope>>) -> Self {
        Self { groups: distinct(groups.into_iter().map(distinct)) }
    }
}

fn parse<I>(scopes: I) -> Result<Vec<Scope>, ScopeError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let scopes: Vec<Scope> = scopes.into_iter().map(|name| name.as_ref().parse()).collect::<Result<_, _>>()?;
    if scopes.is_empty() { Err(ScopeError::NOTHING_REQUIRED) } else { Ok(scopes) }
}

fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().fold(Vec::new(), |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

impl From<Scope> for Requirement {
    fn from(scope: Scope) -> Self {
        Self { groups: vec![vec![scope]] }
    }
}

/// Converts a marker's value, or a tuple of markers, into its requirement.
impl<S: RequiredScopes> From<S> for Requirement {
    fn from(_: S) -> Self {
        S::requirement()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.groups.iter().enumerate() {
            if at > 0 {
                f.write_str(" and ")?;
            }
            let names: Vec<&str> = group.iter().map(Scope::as_str).collect();
            let choice = names.join(" or ");
            if names.len() > 1 && self.groups.len() > 1 {
                write!(f, "({choice})")?;
            } else {
                f.write_str(&choice)?;
            }
        }
        Ok(())
    }
}

/// Scopes required by a type, for signatures such as `RequireScope<FilesRead>`.
///
/// ```
/// use apikey_core::{AnyOf, RequiredScopes, ScopeError, ScopeSet};
///
/// apikey_core::scopes! {
///     Files { FilesRead = "files:read", FilesWrite = "files:write", FilesAudit = "files:audit" }
/// }
///
/// type Needed = (FilesRead, AnyOf<(FilesWrite, FilesAudit)>);
///
/// assert!(Needed::met_by(&ScopeSet::parse("files:read files:audit")?));
/// assert!(!Needed::met_by(&ScopeSet::parse("files:read")?));
/// assert_eq!(Needed::requirement().to_string(), "files:read and (files:write or files:audit)");
/// # Ok::<(), ScopeError>(())
/// ```
///
/// | type | requires |
/// |---|---|
/// | a marker from [`scopes!`](crate::scopes) | its scope |
/// | a tuple of 1 to 8 of these types | all of them |
/// | [`AnyOf`] a tuple of 1 to 8 markers | at least one |
///
/// Other types may implement it. Both functions must then agree.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't name scopes that can be required",
    label = "not a scope, a tuple of scopes or `AnyOf` scopes",
    note = "declare the scope with the `scopes!` macro and name the type it makes",
    note = "`(A, B)` needs both scopes, `AnyOf<(A, B)>` one of them, up to 8 each"
)]
pub trait RequiredScopes: Send + Sync + 'static {
    /// Returns `true` if a key with these grants meets the requirement. Runs on every request and doesn't allocate.
    ///
    /// ```
    /// use apikey_core::{RequiredScopes, ScopeError, ScopeSet};
    ///
    /// apikey_core::scopes! { Files { FilesRead = "files:read" } }
    ///
    /// assert!(FilesRead::met_by(&ScopeSet::parse("files:*")?));
    /// # Ok::<(), ScopeError>(())
    /// ```
    fn met_by(granted: &ScopeSet) -> bool;

    /// Returns the requirement as a value, for the challenge and the log when it isn't met.
    ///
    /// ```
    /// use apikey_core::RequiredScopes;
    ///
    /// apikey_core::scopes! { Files { FilesRead = "files:read" } }
    ///
    /// assert_eq!(FilesRead::requirement().challenge_scope().as_deref(), Some("files:read"));
    /// ```
    fn requirement() -> Requirement;
}

impl<M: ScopeMarker> RequiredScopes for M {
    fn met_by(granted: &ScopeSet) -> bool {
        granted.covers(&M::SCOPE)
    }

    fn requirement() -> Requirement {
        M::SCOPE.into()
    }
}

/// Requires at least one of a tuple's scopes. The type has no values.
///
/// ```
/// use apikey_core::{AnyOf, RequiredScopes, ScopeError, ScopeSet};
///
/// apikey_core::scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }
///
/// assert!(AnyOf::<(FilesRead, FilesWrite)>::met_by(&ScopeSet::parse("files:write")?));
/// # Ok::<(), ScopeError>(())
/// ```
///
/// The alternatives are markers, not tuples or further alternatives. A tuple may contain several `AnyOf`.
#[derive(Debug, Clone, Copy)]
pub struct AnyOf<T> {
    _never: Infallible,
    /// A function's result: it makes the type `Send` and `Sync` for any `T`.
    _alternatives: PhantomData<fn() -> T>,
}

macro_rules! tuples {
    ($($first:ident $($rest:ident)*,)+) => { $(
        impl<$first, $($rest),*> RequiredScopes for ($first, $($rest,)*)
        where
            $first: RequiredScopes,
            $($rest: RequiredScopes,)*
        {
            fn met_by(granted: &ScopeSet) -> bool {
                $first::met_by(granted) $(&& $rest::met_by(granted))*
            }

            fn requirement() -> Requirement {
                $first::requirement() $(.and($rest::requirement()))*
            }
        }

        impl<$first, $($rest),*> RequiredScopes for AnyOf<($first, $($rest,)*)>
        where
            $first: ScopeMarker,
            $($rest: ScopeMarker,)*
        {
            fn met_by(granted: &ScopeSet) -> bool {
                $first::met_by(granted) $(|| $rest::met_by(granted))*
            }

            fn requirement() -> Requirement {
                Requirement::of_groups([vec![$first::SCOPE, $($rest::SCOPE),*]])
            }
        }
    )+ };
}

tuples! {
    A,
    A B,
    A B C,
    A B C D,
    A B C D E,
    A B C D E F,
    A B C D E F G,
    A B C D E F G H,
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::scopes! {
        Letters { A = "a", B = "b", C = "c", D = "d", E = "e", F = "f", G = "g", H = "h" }
    }

    fn set(grants: &str) -> ScopeSet {
        ScopeSet::parse(grants).unwrap()
    }

    #[test]
    fn given_requirements_when_asked_then_one_scope_of_each_group_is_needed() {
        let all = Requirement::all(["a", "b"]).unwrap();
        let any = Requirement::any(["a", "b"]).unwrap();
        let both = Requirement::all(["c"]).unwrap().and(any.clone());
        let cases = [
            (&all, "a b", true),
            (&all, "*", true),
            (&all, "a", false),
            (&all, "", false),
            (&any, "a", true),
            (&any, "b", true),
            (&any, "c", false),
            (&any, "", false),
            (&both, "c b", true),
            (&both, "c", false),
            (&both, "a b", false),
        ];
        for (requirement, grants, met) in cases {
            assert_eq!(requirement.is_met_by(&set(grants)), met, "{requirement} met by {grants:?}");
        }
    }

    #[test]
    fn given_no_scopes_or_malformed_ones_when_required_then_it_is_an_error() {
        assert_eq!(Requirement::all::<[&str; 0]>([]), Err(ScopeError::NOTHING_REQUIRED));
        assert_eq!(Requirement::any::<[&str; 0]>([]), Err(ScopeError::NOTHING_REQUIRED));
        assert_eq!(ScopeError::NOTHING_REQUIRED.to_string(), "a requirement names at least one scope");
        for malformed in ["", "a b", "*", "files:*"] {
            assert!(Requirement::all(["fine", malformed]).is_err(), "{malformed:?}");
            assert!(Requirement::any(["fine", malformed]).is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn given_requirements_when_shown_then_the_challenge_is_left_out_where_there_is_a_choice() {
        let all = |scopes: &[&str]| Requirement::all(scopes).unwrap();
        let any = |scopes: &[&str]| Requirement::any(scopes).unwrap();
        let cases = [
            (all(&["files:read"]), "files:read", Some("files:read")),
            (all(&["b", "a", "b"]), "b and a", Some("b a")),
            (any(&["a"]), "a", Some("a")),
            (any(&["a", "a"]), "a", Some("a")),
            (any(&["b", "a"]), "b or a", None),
            (all(&["a"]).and(all(&["a", "b"])), "a and b", Some("a b")),
            (all(&["files:read"]).and(any(&["a", "b"])), "files:read and (a or b)", None),
            (any(&["a", "b"]).and(any(&["c", "d"])), "(a or b) and (c or d)", None),
            (any(&["a", "b"]).and(any(&["a", "b"])), "a or b", None),
        ];
        for (requirement, text, challenge) in cases {
            assert_eq!(requirement.to_string(), text);
            assert_eq!(requirement.challenge_scope().as_deref(), challenge, "{text}");
        }
    }

    fn check<S: RequiredScopes>(text: &str, cases: &[(&str, bool)]) {
        assert_eq!(S::requirement().to_string(), text);
        for (grants, met) in cases {
            assert_eq!(S::met_by(&set(grants)), *met, "{text} met by {grants:?}");
            assert_eq!(S::requirement().is_met_by(&set(grants)), *met, "{text} met by {grants:?}");
        }
    }

    #[test]
    fn given_types_when_asked_then_they_say_what_their_requirement_says() {
        check::<A>("a", &[("a", true), ("*", true), ("b", false), ("", false)]);
        check::<(A,)>("a", &[("a", true), ("b", false)]);
        check::<AnyOf<(A,)>>("a", &[("a", true), ("b", false)]);
        check::<(A, B)>("a and b", &[("a b", true), ("a", false), ("b", false)]);
        check::<AnyOf<(A, B)>>("a or b", &[("a", true), ("b", true), ("c", false), ("", false)]);
        check::<(A, AnyOf<(B, C)>)>("a and (b or c)", &[("a b", true), ("a c", true), ("a", false), ("b c", false)]);
        check::<((A, B), (B, C))>("a and b and c", &[("a b c", true), ("a b", false), ("b c", false)]);
    }

    #[test]
    fn given_the_longest_tuples_when_asked_then_each_place_counts() {
        type All = (A, B, C, D, E, F, G, H);
        let everything = "a b c d e f g h";
        assert!(Letters::catalog().unknown(&set(everything)).is_empty());
        assert!(All::met_by(&set(everything)));
        for letter in everything.split(' ') {
            assert!(!All::met_by(&set(&everything.replace(letter, ""))), "without {letter}");
            assert!(AnyOf::<All>::met_by(&set(letter)), "{letter} alone");
        }
        assert!(!AnyOf::<All>::met_by(&set("i")));
        assert_eq!(All::requirement().challenge_scope().as_deref(), Some(everything));
        assert_eq!(AnyOf::<All>::requirement().to_string(), everything.replace(' ', " or "));
    }
}
