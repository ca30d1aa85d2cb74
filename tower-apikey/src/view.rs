//! A request, as the core sees it.

use apikey_core::{
    AuthenticatedKey,
    adapter::{Header, HeaderLines, RequestDescription, RequestMut, RequestView},
};
use http::{
    HeaderName, Request,
    header::{AUTHORIZATION, USER_AGENT},
};

use crate::config::Config;

/// A request, as the core sees it.
pub(crate) struct View<'a, B> {
    pub(crate) request: &'a mut Request<B>,
    pub(crate) config: &'a Config,
}

impl<B> View<'_, B> {
    #[inline]
    fn name(&self, header: Header) -> Option<&HeaderName> {
        match header {
            Header::Authorization => Some(&AUTHORIZATION),
            Header::Extra(n) => self.config.extra_headers.get(n),
        }
    }
}

impl<B> RequestView for View<'_, B> {
    #[inline]
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let Some(name) = self.name(header) else { return HeaderLines::Absent };
        let headers = self.request.headers();
        // Requests with two lines of one header are rare. Without any, the first line is the only one.
        if headers.len() == headers.keys_len() {
            return headers.get(name).map_or(HeaderLines::Absent, |value| HeaderLines::One(value.as_bytes()));
        }
        headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
    }

    fn authenticated(&self) -> Option<AuthenticatedKey> {
        self.request.extensions().get().cloned()
    }
}

impl<B> RequestMut for View<'_, B> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn user_agent(&self) -> Option<&str> {
        self.request.headers().get(USER_AGENT)?.to_str().ok()
    }

    fn describe(&self) -> RequestDescription {
        let describe = self.config.describe.as_ref();
        describe.map(|describe| describe(self.request.headers(), self.request.extensions())).unwrap_or_default()
    }

    fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T> {
        self.request.extensions_mut().insert(value)
    }

    fn remove<T: Clone + Send + Sync + 'static>(&mut self) {
        self.request.extensions_mut().remove::<T>();
    }

    fn remove_header(&mut self, header: Header) {
        if let Some(name) = self.name(header).cloned() {
            self.request.headers_mut().remove(name);
        }
    }
}
