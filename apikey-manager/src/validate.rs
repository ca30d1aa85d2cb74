//! What texts, times and metadata may be. Every mistake names its field.

use std::{fmt, time::SystemTime};

use serde_json::{Map, Value};

const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 500;
const MAX_REASON: usize = 500;
const MAX_METADATA_BYTES: usize = 8 * 1024;
const MAX_METADATA_DEPTH: usize = 8;
const MAX_FOREIGN_ID: usize = 128;

/// A field that can't be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field, such as `expires_at` or `scopes[2]`.
    pub field: String,
    /// For programs, such as `too_long`.
    pub code: &'static str,
    /// For people.
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

/// Collects what is wrong, so that a caller hears of all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    pub(crate) fn push(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, code, message));
    }

    pub(crate) fn finish(self) -> Result<(), Vec<FieldError>> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self.0),
        }
    }

    pub(crate) fn name(&mut self, name: &str) {
        match name.chars().count() {
            0 => self.push("name", "required", "a name has at least 1 character"),
            1..=MAX_NAME => self.no_controls("name", name),
            _ => self.push("name", "too_long", "a name has at most 100 characters"),
        }
    }

    pub(crate) fn description(&mut self, description: &str) {
        self.text("description", description, MAX_DESCRIPTION);
    }

    pub(crate) fn reason(&mut self, reason: &str) {
        self.text("reason", reason, MAX_REASON);
    }

    fn text(&mut self, field: &str, text: &str, longest: usize) {
        match text.chars().count() > longest {
            true => self.push(field, "too_long", format!("a {field} has at most {longest} characters")),
            false => self.no_controls(field, text),
        }
    }

    fn no_controls(&mut self, field: &str, text: &str) {
        if text.chars().any(char::is_control) {
            self.push(field, "control_character", "control characters are not allowed");
        }
    }

    pub(crate) fn metadata(&mut self, metadata: &Map<String, Value>) {
        // Depth first: what is too deep must not be walked by anything that recurses further.
        if !metadata.values().all(|value| is_no_deeper(value, MAX_METADATA_DEPTH - 1)) {
            self.push("metadata", "too_deep", "metadata nests at most 8 levels");
            return;
        }
        let size = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
        if size > MAX_METADATA_BYTES {
            self.push("metadata", "too_large", format!("metadata has at most 8192 bytes as JSON, this has {size}"));
        }
        // PostgreSQL keeps no NUL in text, so nobody does.
        if !metadata.iter().all(|(name, value)| !name.contains('\0') && has_no_nul(value)) {
            self.push("metadata", "control_character", "NUL characters are not allowed");
        }
    }

    /// A window's two ends, where the second was just set.
    pub(crate) fn window(
        &mut self,
        field: &str,
        not_before: Option<SystemTime>,
        expires_at: Option<SystemTime>,
        now: SystemTime,
    ) {
        if not_before.is_some_and(|not_before| not_before > last_moment()) {
            self.push("not_before", "too_late", "must be before the year 10000");
        }
        let Some(expires_at) = expires_at else { return };
        if expires_at <= now {
            self.push(field, "past", "must be in the future");
        } else if not_before.is_some_and(|not_before| expires_at <= not_before) {
            self.push(field, "before_start", "must be later than not_before");
        } else if expires_at > last_moment() {
            self.push(field, "too_late", "must be before the year 10000");
        }
    }
}

/// The last moment that RFC 3339 can write.
pub(crate) fn last_moment() -> SystemTime {
    crate::time::from_millis(253_402_300_799_000)
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

/// Ids that the host makes: of organizations, of its users.
pub(crate) fn is_foreign_id(id: &str) -> bool {
    (1..=MAX_FOREIGN_ID).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}
