//! What a request that was let in did, told to whoever keeps a record of it. Nothing is looked at unless somebody does.

use std::{fmt, sync::Arc};

use apikey_core::{AuthenticatedKey, RequestReport, Timestamp};
use http::{Extensions, HeaderMap, Method, Request, StatusCode, header::USER_AGENT};

use crate::layer::Config;

/// What a client that has hung up was not sent. As some servers log it; nobody ever receives it.
const HUNG_UP: u16 = 499;

/// What the framework, or a layer further out, knows of a request: for
/// [`ApiKeyLayer::describe_requests`](crate::ApiKeyLayer::describe_requests).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct RequestDescription {
    route: Option<Box<str>>,
    address: Option<Box<str>>,
}

impl RequestDescription {
    /// Nothing is known.
    pub fn new() -> Self {
        RequestDescription::default()
    }

    /// The template of the route, such as `/files/{name}`. Never the path: it may hold secrets.
    pub fn route(mut self, template: impl Into<Box<str>>) -> Self {
        self.route = Some(template.into());
        self
    }

    /// Where the request came from.
    pub fn address(mut self, address: impl Into<Box<str>>) -> Self {
        self.address = Some(address.into());
        self
    }
}

pub(crate) type Describe = dyn Fn(&HeaderMap, &Extensions) -> RequestDescription + Send + Sync;

/// A request under way, to be recorded when it is answered or given up.
pub(crate) struct Record {
    config: Arc<Config>,
    key: AuthenticatedKey,
    at: Timestamp,
    method: Method,
    description: RequestDescription,
    user_agent: Option<Box<str>>,
    status: u16,
}

/// In the extensions of a request that a layer further out records.
#[derive(Clone, Copy)]
struct Recorded;

impl Record {
    /// `None` where another layer records the request.
    pub(crate) fn of<B>(request: &mut Request<B>, key: &AuthenticatedKey, config: &Arc<Config>) -> Option<Box<Self>> {
        if request.extensions_mut().insert(Recorded).is_some() {
            return None;
        }
        let (headers, extensions) = (request.headers(), request.extensions());
        let describe = config.describe.as_ref();
        Some(Box::new(Record {
            key: key.clone(),
            at: config.authenticator.clock().wall(),
            method: request.method().clone(),
            description: describe.map_or_else(RequestDescription::new, |describe| describe(headers, extensions)),
            user_agent: headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).map(Box::from),
            config: Arc::clone(config),
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
        report.route = self.description.route.as_deref();
        report.address = self.description.address.as_deref();
        report.user_agent = self.user_agent.as_deref();
        self.config.authenticator.record_activity(&self.key, &report);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("key_id", self.key.key_id()).finish_non_exhaustive()
    }
}
