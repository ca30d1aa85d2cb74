//! Requests and responses, as adapters let the core read and change them.

use crate::request::{Header, RequestView};

/// A request that an adapter lets the core change.
pub trait RequestMut: RequestView {
    /// The method.
    fn method(&self) -> &str;

    /// Returns the value of `User-Agent`, if it is text.
    fn user_agent(&self) -> Option<&str>;

    /// Returns what else is known of the request. It is called only if activity is recorded.
    fn describe(&self) -> RequestDescription;

    /// Puts `value` into the extensions, and returns the previous value of its type.
    fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T>;

    /// Removes the value of the type `T` from the extensions.
    fn remove<T: Clone + Send + Sync + 'static>(&mut self);

    /// Removes all lines of `header`.
    fn remove_header(&mut self, header: Header);
}

/// What the framework or an outer layer knows of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct RequestDescription {
    pub(super) route: Option<Box<str>>,
    pub(super) address: Option<Box<str>>,
}

impl RequestDescription {
    /// Creates an empty description.
    pub fn new() -> Self {
        RequestDescription::default()
    }

    /// Sets the template of the route, such as `/files/{name}`.
    ///
    /// # Security
    ///
    /// The path tells more after a leak, such as which file was deleted. Set it only if no path of the service holds a
    /// secret, such as the token of an invitation. Never set the query.
    pub fn route(mut self, template: impl Into<Box<str>>) -> Self {
        self.route = Some(template.into());
        self
    }

    /// Sets the address that the request came from.
    pub fn address(mut self, address: impl Into<Box<str>>) -> Self {
        self.address = Some(address.into());
        self
    }
}

/// A response that an adapter lets the core change.
pub trait ResponseMut {
    /// The status.
    fn status(&self) -> u16;

    /// Returns the value of the type `T` from the extensions.
    fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T>;

    /// Removes the value of the type `T` from the extensions, and returns it.
    fn take<T: Clone + Send + Sync + 'static>(&mut self) -> Option<T>;

    /// Sets `Cache-Control: private`, unless the response has a `Cache-Control` header.
    fn set_private(&mut self);

    /// Sets the header that says when the key expires.
    fn set_expiry(&mut self, moment: &str);
}
