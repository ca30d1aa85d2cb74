//! The name of a scope, and the error for malformed names.

use std::{borrow::Borrow, borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of one permission, such as `files:read`.
///
/// ```
/// use apikey_core::{Scope, ScopeError};
///
/// const READ: Scope = Scope::from_static("files:read");
///
/// assert_eq!(Scope::new("files:read")?, READ);
/// assert!(Scope::new("files read").is_err());
/// # Ok::<(), ScopeError>(())
/// ```
///
/// A scope has 1 to [`MAX_LEN`](Self::MAX_LEN) characters of `A–Z a–z 0–9 . _ : -`. It is compared byte for byte:
/// `Files:read` is a different scope. The alphabet is a subset of RFC 6749 §3.3's scope token, without characters that
/// need quoting in a header, a URL or a log line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// The longest a scope may be, in characters.
    ///
    /// ```
    /// use apikey_core::Scope;
    ///
    /// assert!(Scope::new("x".repeat(Scope::MAX_LEN)).is_ok());
    /// assert!(Scope::new("x".repeat(Scope::MAX_LEN + 1)).is_err());
    /// ```
    pub const MAX_LEN: usize = 128;

    /// Parses a scope.
    ///
    /// ```
    /// use apikey_core::{Scope, ScopeError};
    ///
    /// let tenant = "acme";
    /// let scope = Scope::new(format!("files:{tenant}"))?;
    /// assert_eq!(scope.as_str(), "files:acme");
    /// # Ok::<(), ScopeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the name is empty, too long or contains another character. Wildcards are grants, see
    /// [`ScopeSet`](crate::ScopeSet), and an error here.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, ScopeError> {
        let name = name.into();
        match defect(&name) {
            None => Ok(Self(name)),
            Some(defect) => Err(ScopeError::describe(&name, &name, defect)),
        }
    }

    /// Creates a scope from a literal. In a constant, a malformed one doesn't compile.
    ///
    /// ```
    /// use apikey_core::Scope;
    ///
    /// const WRITE: Scope = Scope::from_static("files:write");
    /// ```
    ///
    /// ```compile_fail,E0080
    /// use apikey_core::Scope;
    ///
    /// const WRITE: Scope = Scope::from_static("files write");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the name isn't a scope. Use [`Scope::new`] for names that aren't literals.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        match defect(name) {
            None => Self(Cow::Borrowed(name)),
            Some(Defect::Empty) => panic!("a scope has at least one character"),
            Some(Defect::TooLong) => panic!("a scope has at most 128 characters"),
            Some(Defect::Character(_)) => {
                panic!("a scope consists of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`")
            }
        }
    }

    /// Returns the name.
    ///
    /// ```
    /// use apikey_core::Scope;
    ///
    /// assert_eq!(Scope::from_static("files:read").as_str(), "files:read");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Fails the build if a group of [`scopes!`](crate::scopes) declares a scope twice.
    #[doc(hidden)]
    pub const fn assert_distinct(names: &[&str]) {
        let mut later = 1;
        while later < names.len() {
            let mut earlier = 0;
            while earlier < later {
                assert!(!same(names[earlier], names[later]), "a scope is declared twice in one group");
                earlier += 1;
            }
            later += 1;
        }
    }
}

/// The error for a malformed [`Scope`], or a malformed grant of a [`ScopeSet`](crate::ScopeSet).
///
/// ```
/// use apikey_core::Scope;
///
/// let error = Scope::new("files read").unwrap_err();
/// assert!(error.to_string().starts_with(r#"scope "files read": character ' ' is not one of"#));
/// ```
///
/// Security: the message quotes the malformed name, escaped to ASCII and truncated, so it is safe in logs and
/// terminals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ScopeError(Reason);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("a scope has at least one character")]
    Empty,
    #[error("scope \"{0}\": has more than {max} characters", max = Scope::MAX_LEN)]
    TooLong(Box<str>),
    #[error(
        "scope \"{name}\": character '{}' is not one of A-Z a-z 0-9 . _ : -",
        .character.escape_default()
    )]
    Character { name: Box<str>, character: char },
    #[error("scope \"{0}\": a `*` is for grants only, alone or at the end after a `:`")]
    Wildcard(Box<str>),
    #[error("a requirement names at least one scope")]
    NothingRequired,
}

impl ScopeError {
    const QUOTED: usize = 40;

    pub(super) const NOTHING_REQUIRED: Self = Self(Reason::NothingRequired);

    /// `name` was checked, `quoted` was written by the caller: of a wildcard grant, only the stem is checked.
    pub(super) fn describe(quoted: &str, name: &str, defect: Defect) -> Self {
        Self(match defect {
            Defect::Empty => Reason::Empty,
            Defect::TooLong => Reason::TooLong(quote(quoted)),
            Defect::Character(at) => match name[at..].chars().next() {
                Some('*') => Reason::Wildcard(quote(quoted)),
                Some(character) => Reason::Character { name: quote(quoted), character },
                None => Reason::Empty,
            },
        })
    }
}

fn quote(text: &str) -> Box<str> {
    let mut quoted: String = text.chars().take(ScopeError::QUOTED).flat_map(char::escape_default).collect();
    if text.chars().nth(ScopeError::QUOTED).is_some() {
        quoted.push_str("...");
    }
    quoted.into_boxed_str()
}

#[derive(Clone, Copy)]
pub(super) enum Defect {
    Empty,
    TooLong,
    /// Returns the byte offset of the first character outside the alphabet.
    Character(usize),
}

pub(super) const fn defect(name: &str) -> Option<Defect> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some(Defect::Empty);
    }
    // Checked before the characters, so that a hostile megabyte isn't read.
    if bytes.len() > Scope::MAX_LEN {
        return Some(Defect::TooLong);
    }
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-') {
            return Some(Defect::Character(at));
        }
        at += 1;
    }
    None
}

/// Compares strings: `==` is not `const`.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.as_str())
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Scope {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(name: &str) -> Result<Self, ScopeError> {
        // Checked before it is copied.
        match defect(name) {
            None => Ok(Self(Cow::Owned(name.to_owned()))),
            Some(defect) => Err(ScopeError::describe(name, name, defect)),
        }
    }
}

impl TryFrom<&str> for Scope {
    type Error = ScopeError;

    fn try_from(name: &str) -> Result<Self, ScopeError> {
        name.parse()
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(name: String) -> Result<Self, ScopeError> {
        Self::new(name)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Scope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scope such as `files:read`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Scope, E> {
                name.parse().map_err(E::custom)
            }

            fn visit_string<E: de::Error>(self, name: String) -> Result<Scope, E> {
                Scope::new(name).map_err(E::custom)
            }
        }

        deserializer.deserialize_string(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_of_the_grammar_when_made_then_each_is_kept_byte_for_byte() {
        let longest = "x".repeat(Scope::MAX_LEN);
        for name in ["a", "files:read", "Files.Read_all-2", ":", "files:", "9", &longest] {
            let scope = Scope::new(name.to_owned()).unwrap();
            assert_eq!(scope.as_str(), name);
            assert_eq!(scope.to_string(), name);
            assert_eq!(name.parse::<Scope>().as_ref(), Ok(&scope));
            assert_eq!(Scope::try_from(name).as_ref(), Ok(&scope));
            assert_eq!(Scope::try_from(name.to_owned()).as_ref(), Ok(&scope));
        }
    }

    #[test]
    fn given_names_outside_the_grammar_when_made_then_the_error_says_which_and_why() {
        let too_long = "x".repeat(Scope::MAX_LEN + 1);
        let cases = [
            ("", "at least one character"),
            (too_long.as_str(), "more than 128"),
            ("files read", "' '"),
            ("files\nread", r"'\n'"),
            ("files\"read", r#"files\"read"#),
            ("größe", r"'\u{f6}'"),
            ("a\u{202e}b", r"'\u{202e}'"),
            ("a\\b", r"'\\'"),
            ("a,b", "','"),
            ("*", "for grants only"),
            ("files:*", "for grants only"),
        ];
        for (name, part) in cases {
            for error in [Scope::new(name.to_owned()).unwrap_err(), name.parse::<Scope>().unwrap_err()] {
                let message = error.to_string();
                assert!(message.contains(part), "{name:?}: {message}");
                assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message:?}");
                assert!(message.len() < 150, "{message:?}");
            }
        }
    }

    #[test]
    fn given_hostile_characters_when_quoted_then_the_message_stays_short() {
        let message = Scope::new("\u{10ffff}".repeat(30)).unwrap_err().to_string();
        assert!(message.is_ascii());
        let message = Scope::new("\u{10ffff}".repeat(1_000_000)).unwrap_err().to_string();
        assert!(message.len() < 500, "{}", message.len());
    }

    #[test]
    fn given_scopes_that_differ_in_case_when_compared_then_they_differ() {
        assert_ne!(Scope::from_static("files:read"), Scope::from_static("Files:read"));
    }

    #[test]
    #[should_panic(expected = "a scope consists of")]
    fn given_a_malformed_name_when_made_from_static_at_run_time_then_it_panics() {
        let _ = Scope::from_static("files read");
    }

    #[test]
    #[should_panic(expected = "declared twice")]
    fn given_a_name_twice_when_asserted_distinct_then_it_panics() {
        Scope::assert_distinct(&["a", "b", "a"]);
    }

    #[test]
    fn given_different_names_when_asserted_distinct_then_nothing_happens() {
        Scope::assert_distinct(&[]);
        Scope::assert_distinct(&["a", "A", "ab", "b"]);
    }

    #[test]
    fn given_a_scope_when_serialized_then_it_is_a_string_both_ways() {
        let scope = Scope::from_static("files:read");
        assert_eq!(serde_json::to_string(&scope).unwrap(), r#""files:read""#);
        assert_eq!(serde_json::from_str::<Scope>(r#""files:read""#).unwrap(), scope);
        assert_eq!(serde_json::from_str::<Scope>(r#""files\u003aread""#).unwrap(), scope);
        for malformed in [r#""files read""#, r#""""#, r#""*""#, "1", "null", r#"["files:read"]"#] {
            assert!(serde_json::from_str::<Scope>(malformed).is_err(), "{malformed}");
        }
        let message = serde_json::from_str::<Scope>("1").unwrap_err().to_string();
        assert!(message.contains("expected a scope such as `files:read`"), "{message}");
    }

    #[test]
    fn given_a_scope_when_shown_for_debugging_then_it_is_its_name() {
        assert_eq!(format!("{:?}", Scope::from_static("files:read")), r#"Scope("files:read")"#);
    }

    #[test]
    fn given_a_scope_when_looked_up_by_its_name_then_it_is_found() {
        let known = std::collections::HashSet::from([Scope::from_static("files:read")]);
        assert!(known.contains("files:read"));
    }
}
