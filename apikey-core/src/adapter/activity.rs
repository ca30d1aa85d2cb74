//! Reports accepted requests to the activity sink. Without a sink, the request is not inspected at all.

use std::{borrow::Cow, fmt};

use super::messages::{RequestDescription, RequestMut};
use crate::{
    caller::{AuthenticatedKey, RequestReport},
    clock::Timestamp,
    request::Authenticator,
};

/// The status recorded when the client disconnects before the response, as some servers log it. It is never sent.
const HUNG_UP: u16 = 499;

/// Methods that are recorded without copying the name.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A request in progress. It is recorded when it is dropped, whether it was answered or abandoned.
pub(super) struct Record {
    authenticator: Authenticator,
    key: AuthenticatedKey,
    at: Timestamp,
    method: Cow<'static, str>,
    description: RequestDescription,
    user_agent: Option<Box<str>>,
    pub(super) status: u16,
}

/// Marks a request that an outer layer already records.
#[derive(Clone, Copy)]
struct Recorded;

impl Record {
    /// Returns `None` if there is no activity sink, or if another layer records the request.
    pub(super) fn of(
        request: &mut impl RequestMut,
        key: &AuthenticatedKey,
        authenticator: &Authenticator,
    ) -> Option<Box<Self>> {
        if !authenticator.records_activity() || request.insert(Recorded).is_some() {
            return None;
        }
        let method = request.method();
        let known = METHODS.into_iter().find(|known| *known == method);
        Some(Box::new(Record {
            authenticator: authenticator.clone(),
            key: key.clone(),
            at: authenticator.clock().wall(),
            method: known.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed),
            description: request.describe(),
            user_agent: request.user_agent().map(Box::from),
            status: HUNG_UP,
        }))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut report = RequestReport::new(self.at, &self.method, self.status);
        report.route = self.description.route.as_deref();
        report.address = self.description.address.as_deref();
        report.user_agent = self.user_agent.as_deref();
        self.authenticator.record_activity(&self.key, &report);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("key_id", self.key.key_id()).finish_non_exhaustive()
    }
}
