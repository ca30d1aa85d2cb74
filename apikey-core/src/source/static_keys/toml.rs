//! The file form of keys: one `[[key]]` table each.

use std::path::Path;

use toml::{Spanned, value::Datetime};

use super::{Entry, Problem, StaticKeys, StaticKeysError, claims, parse_digest, parse_id};
use crate::{
    clock::Timestamp,
    key::{OrganizationId, ServiceAccountId},
    scope::ScopeSet,
    source::resolver::{KeyStatus, Resolution},
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Spanned<Row>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Spanned<String>,
    digest: Spanned<String>,
    name: Option<String>,
    organization: Option<OrganizationId>,
    service_account: Option<ServiceAccountId>,
    environment: Option<String>,
    scopes: Option<Spanned<Vec<String>>>,
    not_before: Option<Spanned<Datetime>>,
    expires_at: Option<Spanned<Datetime>>,
    #[serde(default)]
    disabled: bool,
}

impl StaticKeys {
    /// Reads keys from the TOML file at `path`, in the form of [`from_toml`](StaticKeys::from_toml).
    ///
    /// # Errors
    ///
    /// Returns an error that names the file if it can't be read, or as [`from_toml`](StaticKeys::from_toml).
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, StaticKeysError> {
        let path = path.as_ref();
        let read = std::fs::read_to_string(path)
            .map_err(|cause| StaticKeysError { cause: Some(cause), ..StaticKeysError::of(Problem::Unreadable) });
        read.and_then(|text| StaticKeys::from_toml(&text))
            .map_err(|error| StaticKeysError { file: Some(path.display().to_string()), ..error })
    }

    /// Parses keys from TOML: one `[[key]]` table each.
    ///
    /// `id` and `digest` are required. `name`, `organization`, `service_account`, `environment`, `scopes`,
    /// `not_before`, `expires_at` (date-times with an offset) and `disabled` are optional. Other fields are an error.
    ///
    /// ```
    /// let keys = apikey_core::StaticKeys::from_toml(r#"
    ///     [[key]]
    ///     id = "ci"
    ///     name = "CI pipeline"
    ///     digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    ///     scopes = ["files:read"]
    ///     expires_at = 2030-01-01T00:00:00Z
    /// "#)?;
    /// assert_eq!(keys.len(), 1);
    /// # Ok::<(), apikey_core::StaticKeysError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error that names the line if an entry is malformed or repeated, or if the list is empty.
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn from_toml(text: &str) -> Result<Self, StaticKeysError> {
        let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| {
            let problem = Problem::Syntax(error.message().to_owned());
            match error.span() {
                Some(span) => problem.at(line_of(span.start)),
                None => StaticKeysError::of(problem),
            }
        })?;
        let entries = file.key.into_iter().map(|row| {
            let line = line_of(row.span().start);
            entry(row.into_inner(), line).map_err(|(offset, problem)| problem.at(line_of(offset)))
        });
        StaticKeys::from_entries(entries.collect::<Result<_, _>>()?)
    }
}

/// Converts a row into an entry. An error carries its position in the text.
fn entry(row: Row, line: usize) -> Result<Entry, (usize, Problem)> {
    let id_at = row.id.span().start;
    let digest_at = row.digest.span().start;
    let id = parse_id(row.id.get_ref()).map_err(|problem| (id_at, problem))?;
    let digest = parse_digest(row.digest.get_ref()).map_err(|problem| (digest_at, problem))?;
    let (scopes_at, scopes) = match row.scopes {
        Some(scopes) => (scopes.span().start, scopes.into_inner()),
        None => (id_at, Vec::new()),
    };
    let mut claims = claims(id.clone(), ScopeSet::from_grants(scopes)).map_err(|problem| (scopes_at, problem))?;
    claims = claims.with_name(row.name.unwrap_or_else(|| id.as_str().to_owned()));
    if let Some(organization) = row.organization {
        claims = claims.with_organization(organization);
    }
    if let Some(service_account) = row.service_account {
        claims = claims.with_service_account(service_account);
    }
    if let Some(environment) = row.environment {
        claims = claims.with_environment(environment);
    }
    if let Some(expires_at) = row.expires_at {
        claims = claims.with_expiry(moment("expires_at", expires_at)?);
    }
    let mut resolution = Resolution::new(digest.clone(), claims);
    if let Some(not_before) = row.not_before {
        resolution = resolution.with_not_before(moment("not_before", not_before)?);
    }
    if row.disabled {
        resolution = resolution.with_status(KeyStatus::Disabled);
    }
    Ok(Entry { line, digest, resolution })
}

fn moment(field: &'static str, value: Spanned<Datetime>) -> Result<Timestamp, (usize, Problem)> {
    let at = value.span().start;
    let value = value.into_inner();
    // TOML also has local date-times. Without an offset they name no moment.
    if value.offset.is_none() {
        return Err((at, Problem::field(field, "a date, a time and an offset such as Z are needed")));
    }
    let text = value.to_string();
    text.parse().map_err(|error| (at, Problem::field(field, format!("{text}: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    #[test]
    fn given_every_field_when_read_then_the_record_has_it() {
        let text = format!(
            "[[key]]\nid = \"a\"\ndigest = \"{DIGEST}\"\nname = \"A\"\norganization = \"o\"\nservice_account = \"s\"\n\
             environment = \"live\"\nscopes = [\"x:*\"]\nnot_before = 2020-01-01T00:00:00Z\n\
             expires_at = 2030-01-01T00:00:00+02:00\ndisabled = true\n"
        );
        let keys = StaticKeys::from_toml(&text).unwrap();
        let resolution = &keys.keys[&DIGEST.parse().unwrap()];
        let json = serde_json::json!({
            "key_id": "a", "name": "A", "organization": "o", "service_account": "s", "environment": "live",
            "scopes": ["x:*"], "expires_at": "2029-12-31T22:00:00.000Z",
        });
        assert_eq!(serde_json::to_value(&resolution.claims).unwrap(), json);
        assert_eq!(resolution.status, KeyStatus::Disabled);
        assert!(resolution.not_before.is_some());
    }

    #[test]
    fn given_a_wrong_file_when_read_then_the_error_names_line_and_reason() {
        let key = |id: &str, rest: &str| format!("[[key]]\nid = \"{id}\"\ndigest = \"{DIGEST}\"\n{rest}\n");
        let cases = [
            (String::new(), "no key is listed"),
            ("[[key]]\n".into(), "line 1: missing field"),
            ("[[key]]\nid = \"a\"\ndigest = \"sha256:zz\"\n".into(), "line 3: digest: "),
            (key("a b", ""), "line 2: id: "),
            (key("a", "scope = []"), "line 4: unknown field `scope`"),
            (key("a", "organization = \"\""), "line 4: an id has 1 to 128"),
            (key("a", "scopes = [\"a b\"]"), "line 4: scopes: "),
            (key("a", "expires_at = 2030-01-01"), "line 4: expires_at: "),
            (key("a", "expires_at = 1960-01-01T00:00:00Z"), "line 4: expires_at: "),
            (key("a", "") + &key("a", ""), "line 5: the id a is listed twice"),
            (key("a", "") + &key("b", ""), "line 5: the digest of b is listed before"),
            ("[[key]\n".into(), "line 1: "),
        ];
        for (text, expected) in cases {
            let error = StaticKeys::from_toml(&text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn given_a_file_that_is_not_there_when_read_then_it_is_named() {
        let error = StaticKeys::from_file("/nonexistent/keys.toml").unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/keys.toml: the file can't be read");
    }
}
