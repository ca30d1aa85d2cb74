//! A request and its response, as adapters let the core read and change them.

use crate::request::{Header, RequestView};

/// A request that an adapter lets the core change.
pub trait RequestMut: RequestView {
    /// The method.
    fn method(&self) -> &str;

    /// The value of `User-Agent`, where it is text.
    fn user_agent(&self) -> Option<&str>;

    /// What else is known of the request. Asked only where activity is recorded.
    fn describe(&self) -> RequestDescription;

    /// Puts `value` into the extensions, and returns what was there of its type.
    fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T>;

    /// Removes what is in the extensions of the type `T`.
    fn remove<T: Clone + Send + Sync + 'static>(&mut self);

    /// Removes all lines of `header`.
    fn remove_header(&mut self, header: Header);
}

/// What the framework, or a layer further out, knows of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct RequestDescription {
    pub(super) route: Option<Box<str>>,
    pub(super) address: Option<Box<str>>,
}

impl RequestDescription {
    /// Nothing is known.
    pub fn new() -> Self {
        RequestDescription::default()
    }

    /// Sets the template of the route, such as `/files/{name}`. Never the path: it may hold secrets.
    pub fn route(mut self, template: impl Into<Box<str>>) -> Self {
        self.route = Some(template.into());
        self
    }

    /// Sets where the request came from.
    pub fn address(mut self, address: impl Into<Box<str>>) -> Self {
        self.address = Some(address.into());
        self
    }
}

/// A response that an adapter lets the core change.
pub trait ResponseMut {
    /// The status.
    fn status(&self) -> u16;

    /// Returns what is in the extensions of the type `T`.
    fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T>;

    /// Removes what is in the extensions of the type `T`, and returns it.
    fn take<T: Clone + Send + Sync + 'static>(&mut self) -> Option<T>;

    /// Sets `Cache-Control: private`, unless the response has a `Cache-Control`.
    fn set_private(&mut self);

    /// Sets the header that tells when the key expires.
    fn set_expiry(&mut self, moment: &str);
}
