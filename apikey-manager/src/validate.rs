//! Validates texts, times and metadata. Every mistake names its field.

use std::fmt;

use apikey_core::{Timestamp, text};
use serde_json::{Map, Value};

use crate::query::Cursor;

const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 500;
const MAX_REASON: usize = 500;
/// The most mistakes that are reported for one request.
const MAX_ERRORS: usize = 50;
const MAX_ID: usize = 128;
const MAX_METADATA_BYTES: usize = 8 * 1024;
const MAX_METADATA_DEPTH: usize = 8;

/// An invalid field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field, such as `expires_at` or `scopes[2]`. `*` with the code `more` says how many mistakes are omitted.
    pub field: String,
    /// The kind of mistake for programs, such as `too_long`.
    pub code: &'static str,
    /// The message for people.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), code, message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Collects mistakes, so that a caller receives all of them at once: the first fifty, and the number of others.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    errors: Vec<FieldError>,
    untold: usize,
}

impl Fields {
    pub(crate) fn push(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        match self.errors.len() < MAX_ERRORS {
            true => self.errors.push(FieldError::new(field, code, message)),
            false => self.untold += 1,
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), Vec<FieldError>> {
        if self.untold > 0 {
            self.errors.push(FieldError::new("*", "more", format!("and {} more", self.untold)));
        }
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(self.errors),
        }
    }

    pub(crate) fn name(&mut self, name: &str) {
        match name.is_empty() {
            true => self.push("name", "required", "a name has at least 1 character"),
            false => self.label("name", name),
        }
    }

    /// Validates a label, which must have a visible character.
    pub(crate) fn label(&mut self, field: &str, label: &str) {
        match text::is_blank(label) && text::hidden(label).is_none() {
            true => self.push(field, "blank", "at least one visible character is required"),
            false => self.text(field, label, MAX_NAME),
        }
    }

    pub(crate) fn description(&mut self, description: &str) {
        self.text("description", description, MAX_DESCRIPTION);
    }

    pub(crate) fn reason(&mut self, reason: &str) {
        self.text("reason", reason, MAX_REASON);
    }

    fn text(&mut self, field: &str, text: &str, longest: usize) {
        if text.chars().nth(longest).is_some() {
            self.push(field, "too_long", format!("at most {longest} characters are allowed"));
        } else if let Some(hidden) = text::hidden(text) {
            let number = u32::from(hidden);
            match hidden.is_control() {
                true => self.push(
                    field,
                    "control_character",
                    format!("the control character U+{number:04X} is not allowed"),
                ),
                false => self.push(
                    field,
                    "hidden_character",
                    format!(
                        "U+{number:04X} is invisible here or changes how other text is displayed, and is not allowed"
                    ),
                ),
            }
        }
    }

    /// Validates a search text.
    pub(crate) fn wanted(&mut self, field: &str, wanted: Option<&str>) {
        self.wanted_of(field, wanted, MAX_NAME);
    }

    /// Validates an id to search for: of a key, an account or an organization.
    pub(crate) fn wanted_id(&mut self, field: &str, wanted: Option<&str>) {
        self.wanted_of(field, wanted, MAX_ID);
    }

    /// Rejects a search for a value that nothing can have. It never reaches a store, because it may be of any length or
    /// contain characters that a database can't take.
    fn wanted_of(&mut self, field: &str, wanted: Option<&str>, longest: usize) {
        let Some(wanted) = wanted else { return };
        if wanted.chars().nth(longest).is_some() {
            self.push(field, "too_long", format!("at most {longest} characters are allowed"));
        } else if let Some(control) = wanted.chars().find(|c| c.is_control()) {
            let number = u32::from(control);
            self.push(field, "control_character", format!("the control character U+{number:04X} is not allowed"));
        }
    }

    /// Validates the beginning of a page.
    pub(crate) fn cursor(&mut self, cursor: Option<&Cursor>) {
        if cursor.is_some_and(|cursor| !cursor.is_written()) {
            self.push("cursor", "malformed", "not a cursor from a page");
        }
    }

    pub(crate) fn metadata(&mut self, metadata: &Map<String, Value>) {
        // Checks the depth first, because the other checks recurse.
        if !metadata.values().all(|value| is_no_deeper(value, MAX_METADATA_DEPTH - 1)) {
            self.push("metadata", "too_deep", "metadata nests at most 8 levels");
            return;
        }
        let size = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
        if size > MAX_METADATA_BYTES {
            self.push("metadata", "too_large", format!("metadata has at most 8192 bytes as JSON, this has {size}"));
        }
        // PostgreSQL stores no NUL in text, so no store does.
        if !metadata.iter().all(|(name, value)| !name.contains('\0') && has_no_nul(value)) {
            self.push("metadata", "control_character", "NUL characters are not allowed");
        }
    }

    /// Validates the two ends of a validity period, of which the second was just set. Times past the year 9999 were
    /// replaced by the last moment.
    pub(crate) fn window(
        &mut self,
        field: &str,
        not_before: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        if not_before.is_some_and(|not_before| not_before == Timestamp::MAX) {
            self.push("not_before", "too_late", "must be before the year 10000");
        }
        let Some(expires_at) = expires_at else { return };
        if expires_at <= now {
            self.push(field, "past", "must be in the future");
        } else if not_before.is_some_and(|not_before| expires_at <= not_before) {
            self.push(field, "before_start", "must be later than not_before");
        } else if expires_at == Timestamp::MAX {
            self.push(field, "too_late", "must be before the year 10000");
        }
    }
}

fn is_no_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_no_deeper(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_no_deeper(field, levels - 1)),
        _ => true,
    }
}

fn has_no_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(has_no_nul),
        Value::Object(fields) => fields.iter().all(|(name, field)| !name.contains('\0') && has_no_nul(field)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use apikey_core::OrganizationId;

    use crate::Actor;

    #[test]
    fn given_any_id_of_a_request_when_named_then_it_can_be_kept_and_seen() {
        let acme = OrganizationId::new("acme").unwrap();
        let host = Actor::host("tests", acme).unwrap();
        let named = |id: &str| host.clone().with_request_id(id).request_id.unwrap();
        assert_eq!(named("req-1"), "req-1");
        assert_eq!(named("a\0b \u{202e}ü\n"), "a?b????");
        assert_eq!(named(&"x".repeat(1_000)), "x".repeat(128));
    }
}
