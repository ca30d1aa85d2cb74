//! The body of an `application/problem+json` response (RFC 9457), for refusals and for services' own errors.

use serde_json::Value;

/// Returns the JSON of a problem without a type of its own. Adapters build their `Problem` from it.
#[must_use]
pub fn problem_json(status: u16, title: &str, code: &str, detail: &str) -> String {
    // Written member by member, so that the bytes don't depend on a map's order.
    let [title, code, detail] = [title, code, detail].map(Value::from);
    format!(r#"{{"type":"about:blank","title":{title},"status":{status},"code":{code},"detail":{detail}}}"#)
}
