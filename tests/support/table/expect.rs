//! The expected outcome of a request, and the comparison.

use serde_json::{Value, json};

use super::Outcome;
use crate::challenge::Challenge;

/// The expected outcome of a request.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The status.
    pub status: u16,
    /// The challenge's parameters, in order; `None` for no challenge.
    pub challenge: Option<&'static [(&'static str, &'static str)]>,
    /// The body.
    pub body: Body,
    /// The replacement of the default detail, in the challenge and in the problem.
    pub told: Option<&'static str>,
    /// `Cache-Control`.
    pub cache_control: Option<&'static str>,
    /// `Retry-After`.
    pub retry_after: Option<&'static str>,
    /// The number of the store's calls.
    pub resolver: usize,
    /// The number of handler calls.
    pub handler: usize,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// This text.
    Text(&'static str),
    /// A problem with this `code` and `detail`.
    Problem(&'static str, &'static str),
    /// Empty, with a declared length: the answer to HEAD.
    Withheld,
    /// The framework's own text, which is not compared between servers.
    Own,
}

impl Expect {
    /// Returns the mismatches of `outcome`.
    pub fn problems(&self, outcome: &Outcome) -> Vec<String> {
        let answer = &outcome.answer;
        let mut problems = Vec::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                problems.push(format!("{what}: {found} instead of {expected}"));
            }
        };
        compare("status", self.status.to_string(), answer.status.to_string());
        let challenge = answer.header("www-authenticate").map(Challenge::parse);
        let expected = self.challenge.map(|params| {
            let told = |name| self.told.filter(|_| name == "error_description");
            let params =
                params.iter().map(|(name, value)| ((*name).to_owned(), told(*name).unwrap_or(value).to_owned()));
            let params = params.collect();
            Ok::<_, String>(Challenge { scheme: "Bearer".to_owned(), params })
        });
        compare("challenge", format!("{expected:?}"), format!("{challenge:?}"));
        compare("Retry-After", format!("{:?}", self.retry_after), format!("{:?}", answer.header("retry-after")));
        let cache_control = answer.header("cache-control");
        compare("Cache-Control", format!("{:?}", self.cache_control), format!("{cache_control:?}"));
        compare("calls of the store", self.resolver.to_string(), outcome.resolver.to_string());
        compare("calls of a handler", self.handler.to_string(), outcome.handler.to_string());
        let content_type = format!("{:?}", answer.header("content-type"));
        let length = answer.header("content-length").unwrap_or("0");
        match self.body {
            Body::Text(text) => compare("content", text.to_owned(), answer.body.clone()),
            Body::Problem(code, detail) => {
                compare("Content-Type", "Some(\"application/problem+json\")".to_owned(), content_type);
                let detail = self.told.unwrap_or(detail).replace("{layer}", outcome.layer);
                let found = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body.clone()));
                compare("content", problem(self.status, code, &detail).to_string(), found.to_string());
            }
            Body::Withheld => compare("announced content", "true".to_owned(), (length != "0").to_string()),
            Body::Own => {}
        }
        if matches!(self.body, Body::Withheld) {
            compare("content", String::new(), answer.body.clone());
        }
        problems
    }
}

fn problem(status: u16, code: &str, detail: &str) -> Value {
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        _ => "Service Unavailable",
    };
    json!({"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail})
}
