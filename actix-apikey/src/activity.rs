//! What a request that was let in did, told to whoever keeps a record of it. Nothing is looked at unless somebody does.

use std::fmt;

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::{Method, StatusCode, header},
};
use apikey_core::{AuthenticatedKey, Authenticator, RequestReport, Timestamp};

/// What a client that has hung up was not sent. As some servers log it; nobody ever receives it.
const HUNG_UP: u16 = 499;

/// A request under way, to be recorded when it is answered or given up.
pub(crate) struct Record {
    authenticator: Authenticator,
    key: AuthenticatedKey,
    at: Timestamp,
    method: Method,
    /// The template of its route. Where several resources take the path, the first that does.
    route: Option<String>,
    /// The peer's, which is a proxy's where there is one: what a proxy says of others is for the service to believe.
    address: Option<String>,
    user_agent: Option<Box<str>>,
    status: u16,
}

/// In the extensions of a request that a middleware further out records.
struct Recorded;

impl Record {
    /// `None` where another middleware records the request.
    pub(crate) fn of(
        request: &ServiceRequest,
        key: &AuthenticatedKey,
        authenticator: &Authenticator,
    ) -> Option<Box<Self>> {
        if request.extensions().contains::<Recorded>() {
            return None;
        }
        request.extensions_mut().insert(Recorded);
        Some(Box::new(Record {
            key: key.clone(),
            at: authenticator.clock().wall(),
            method: request.method().clone(),
            route: request.match_pattern(),
            address: request.peer_addr().map(|peer| peer.ip().to_string()),
            user_agent: request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(Box::from),
            authenticator: authenticator.clone(),
            status: HUNG_UP,
        }))
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut report = RequestReport::new(self.at, self.method.as_str(), self.status);
        report.route = self.route.as_deref();
        report.address = self.address.as_deref();
        report.user_agent = self.user_agent.as_deref();
        self.authenticator.record_activity(&self.key, &report);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("key_id", self.key.key_id()).finish_non_exhaustive()
    }
}
