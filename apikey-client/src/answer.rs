//! Answers that every caller must tell apart, as errors.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use crate::error::Error;

/// Turns a 401, 429 or 503 into its error.
pub(crate) fn typed(response: Response) -> Result<Response, Error> {
    let headers = response.headers();
    match response.status() {
        StatusCode::UNAUTHORIZED => Err(Error::Rejected { challenge: challenge(headers) }),
        StatusCode::TOO_MANY_REQUESTS => {
            Err(Error::TooManyRequests { retry_after: retry_after(headers, SystemTime::now()) })
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(Error::Unavailable { retry_after: retry_after(headers, SystemTime::now()) })
        }
        _ => Ok(response),
    }
}

/// Turns an answer that isn't a success into an error with the problem's detail (RFC 9457).
pub(crate) async fn successful(response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem = response.json::<Problem>().await.unwrap_or_default();
    Err(Error::Refused { status, detail: problem.detail })
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    detail: String,
}

fn challenge(headers: &HeaderMap) -> Option<String> {
    headers.get(WWW_AUTHENTICATE)?.to_str().ok().map(str::to_owned)
}

/// Reads `Retry-After`, in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_retry_after_when_read_then_seconds_and_dates_count() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:17 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
