//! Turns the service's response into the client's: adds headers, rewrites refusals of inner layers, and decides whether
//! the body ends with the key.

use std::borrow::Cow;

use super::{admission::Exchange, messages::ResponseMut};
use crate::{
    caller::Revoked,
    in_flight::{LastFrame, OnRevoked},
    rejection::Rejection,
};

/// How to send the service's response.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// Send it to its end, even if the key dies.
    Free,
    /// Send it while the key is live.
    WhileLive(Revoked, Option<LastFrame>),
    /// Replace it: an inner layer refused the request, and this layer renders the refusal.
    Refused(Rejection),
}

impl Exchange {
    /// Decides how the service's response is sent.
    ///
    /// Set `rewords` if the layer renders refusals itself, with a custom responder or in a form that the request's
    /// method requires.
    #[inline]
    pub fn finish(&mut self, response: &mut impl ResponseMut, rewords: bool) -> Answer {
        self.answered(response.status());
        if let Some(expires_at) = self.expiring.take().and_then(|key| key.expires_at()) {
            response.set_expiry(&format!("{expires_at:.0}"));
        }
        // Taken out even if it is not rendered again, so that no layer further out does so.
        if let Some(rejection) = response.take::<Rejection>() {
            return if rewords { Answer::Refused(rejection) } else { Answer::Free };
        }
        if self.is_private {
            response.set_private();
        }
        match self.in_flight.take_revoked() {
            Some(revoked) if response.get() != Some(OnRevoked::Finish) => Answer::WhileLive(revoked, response.get()),
            _ => Answer::Free,
        }
    }

    /// Records the status for the activity sink.
    #[inline]
    pub fn answered(&mut self, status: u16) {
        if let Some(mut record) = self.record.take() {
            record.status = status;
        }
    }
}

/// Returns the headers of the answer to `rejection` that a custom responder can't change. `None` removes a header.
#[must_use]
pub fn fixed_headers(rejection: &Rejection) -> [(&'static str, Option<Cow<'static, str>>); 5] {
    [
        ("cache-control", Some("no-store".into())),
        ("www-authenticate", rejection.challenge().map(Cow::Owned)),
        ("retry-after", rejection.retry_after().map(|seconds| seconds.to_string().into())),
        // The body determines these.
        ("content-length", None),
        ("transfer-encoding", None),
    ]
}
