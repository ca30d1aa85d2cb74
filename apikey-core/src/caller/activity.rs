//! What keys did, request by request, for whoever keeps a record of it.

use crate::{caller::authenticated_key::AuthenticatedKey, clock::Timestamp};

/// Is told of every request that was let in, once it is answered.
///
/// Adapters report to the one that their authenticator was
/// [given](crate::AuthenticatorBuilder::activity_sink). It runs on the request's own thread: it should neither wait nor
/// fail, and a panic of it is the request's.
///
/// ```
/// use apikey_core::{ActivitySink, AuthenticatedKey, RequestReport};
///
/// struct Log;
///
/// impl ActivitySink for Log {
///     fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>) {
///         println!("{} {} {:?}: {}", key.key_id(), request.method, request.route, request.status);
///     }
/// }
/// ```
pub trait ActivitySink: Send + Sync + 'static {
    /// `key` made `request`.
    fn record(&self, key: &AuthenticatedKey, request: &RequestReport<'_>);
}

/// One request, as its adapter saw it.
///
/// ```
/// use apikey_core::{RequestReport, Timestamp};
///
/// let report = RequestReport::new(Timestamp::now(), "GET", 200).route("/files/{name}").user_agent("curl/8");
/// assert_eq!(report.route, Some("/files/{name}"));
/// ```
///
/// # Security
///
/// There is no place for the path or the query: either may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestReport<'a> {
    /// The time of the request.
    pub at: Timestamp,
    /// Its method.
    pub method: &'a str,
    /// The template of the route that took it, such as `/files/{name}`, where the framework knows one.
    pub route: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// The address it came from, as far as the service can tell.
    pub address: Option<&'a str>,
    /// Its `User-Agent`, where that is text.
    pub user_agent: Option<&'a str>,
}

impl<'a> RequestReport<'a> {
    /// A request that came at `at` and was answered with `status`.
    #[must_use]
    pub fn new(at: Timestamp, method: &'a str, status: u16) -> Self {
        RequestReport { at, method, route: None, status, address: None, user_agent: None }
    }

    /// Sets the route's template.
    #[must_use]
    pub fn route(mut self, template: &'a str) -> Self {
        self.route = Some(template);
        self
    }

    /// Sets where it came from.
    #[must_use]
    pub fn address(mut self, address: &'a str) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets the `User-Agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &'a str) -> Self {
        self.user_agent = Some(user_agent);
        self
    }
}
