//! The body of an `application/problem+json` (RFC 9457), written in one place for refusals and for services' own errors.

use serde_json::Value;

/// Writes a problem without a type of its own. Adapters make their `Problem` of it.
#[must_use]
pub fn problem_json(status: u16, title: &str, code: &str, detail: &str) -> String {
    // Member by member: the bytes must not depend on how a map is ordered.
    let [title, code, detail] = [title, code, detail].map(Value::from);
    format!(r#"{{"type":"about:blank","title":{title},"status":{status},"code":{code},"detail":{detail}}}"#)
}
