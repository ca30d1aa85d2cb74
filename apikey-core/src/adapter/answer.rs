//! From the service's answer to the client: what is added to it, whether it is a refusal to be worded anew, and whether
//! its body ends with the key.

use std::borrow::Cow;

use super::{admission::Exchange, messages::ResponseMut};
use crate::{
    caller::Revoked,
    in_flight::{LastFrame, OnRevoked},
    rejection::Rejection,
};

/// What becomes of the service's response.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// It is sent, whatever becomes of the key.
    Free,
    /// It is sent for as long as the key lives.
    WhileLive(Revoked, Option<LastFrame>),
    /// It is a refusal from further in, to be sent in the layer's own words.
    Refused(Rejection),
}

impl Exchange {
    /// Judges the service's response on its way out.
    ///
    /// `rewords` is for a layer that has words of its own for refusals, or a form that the client's method asks for.
    #[inline]
    pub fn finish(&mut self, response: &mut impl ResponseMut, rewords: bool) -> Answer {
        self.answered(response.status());
        if let Some(expires_at) = self.expiring.take().and_then(|key| key.expires_at()) {
            response.set_expiry(&format!("{expires_at:.0}"));
        }
        // Taken out even if it is not reworded: the innermost layer has answered.
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

    /// Notes the status for whoever records activity.
    #[inline]
    pub fn answered(&mut self, status: u16) {
        if let Some(mut record) = self.record.take() {
            record.status = status;
        }
    }
}

/// The headers that are not a custom responder's to choose: what every answer to `rejection` has, and by `None` what it
/// must not have.
#[must_use]
pub fn fixed_headers(rejection: &Rejection) -> [(&'static str, Option<Cow<'static, str>>); 5] {
    [
        ("cache-control", Some("no-store".into())),
        ("www-authenticate", rejection.challenge().map(Cow::Owned)),
        ("retry-after", rejection.retry_after().map(|seconds| seconds.to_string().into())),
        // The body says them.
        ("content-length", None),
        ("transfer-encoding", None),
    ]
}
