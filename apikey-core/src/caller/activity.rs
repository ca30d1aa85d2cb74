//! Activity: what each key did, request by request.

use crate::{caller::authenticated_key::AuthenticatedKey, clock::Timestamp};

/// Receives every accepted request, once it is answered.
///
/// Adapters report to the sink of their [authenticator](crate::AuthenticatorBuilder::activity_sink). The sink runs on
/// the request's thread: it should neither wait nor fail, and a panic in it is a panic of the request.
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
    /// Records that `key` made `request`.
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
/// The path and the query are left out on purpose: either may hold secrets. A service whose paths hold none can describe its
/// requests by them (`RequestDescription::route`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestReport<'a> {
    /// When the request arrived.
    pub at: Timestamp,
    /// The method.
    pub method: &'a str,
    /// The template of its route, such as `/files/{name}`, if the framework knows it, or what the service describes it by.
    pub route: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// The address that the request came from, as far as the service knows it.
    pub address: Option<&'a str>,
    /// The `User-Agent` header, if it is text.
    pub user_agent: Option<&'a str>,
}

impl<'a> RequestReport<'a> {
    /// Describes a request that arrived at `at` and was answered with `status`.
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

    /// Sets the address that the request came from.
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
