//! A request by hand, and decisions without a server.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use apikey_core::{
    AuthenticatedKey, Authenticator, TestKey,
    adapter::{Authentication, Decision, Header, HeaderLines, Loading, RequestView},
};

/// A request of at most one line a header.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) authorization: Option<String>,
    pub(crate) extra: Option<String>,
    /// What an outer layer has left.
    pub(crate) key: Option<AuthenticatedKey>,
}

impl Request {
    pub(crate) fn bearer(token: impl AsRef<str>) -> Self {
        Request { authorization: Some(format!("Bearer {}", token.as_ref())), ..Request::default() }
    }

    pub(crate) fn of(key: &TestKey) -> Self {
        Request::bearer(key.secret().expose_secret())
    }
}

impl RequestView for Request {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        let line = match header {
            Header::Authorization => &self.authorization,
            Header::Extra(_) => &self.extra,
        };
        line.iter().map(String::as_bytes).collect()
    }

    fn authenticated(&self) -> Option<AuthenticatedKey> {
        self.key.clone()
    }
}

/// The decision about `request`, after whatever has to be loaded.
pub(crate) async fn decide(authenticator: &Authenticator, request: &Request) -> Decision {
    match authenticator.authenticate(request) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    }
}

/// The key that `request` is let in with.
pub(crate) async fn admit(authenticator: &Authenticator, request: &Request) -> AuthenticatedKey {
    decide(authenticator, request).await.unwrap().expect("a key")
}

/// The true reason why `request` is refused, as logs show it.
pub(crate) async fn refusal(authenticator: &Authenticator, request: &Request) -> String {
    reason(&decide(authenticator, request).await)
}

/// The reason of a refusal.
pub(crate) fn reason(decision: &Decision) -> String {
    let debug = format!("{:?}", decision.as_ref().expect_err("a refusal"));
    let (_, reason) = debug.split_once("reason: \"").expect("a reason");
    reason.split('"').next().unwrap_or_default().to_owned()
}

/// The look-up that `request` needs, not yet begun.
pub(crate) fn begin(authenticator: &Authenticator, request: &Request) -> Loading {
    match authenticator.authenticate(request) {
        Authentication::Loading(loading) => loading,
        Authentication::Done(decision) => panic!("nothing was to be loaded: {decision:?}"),
    }
}

/// Drives a look-up as far as it goes.
pub(crate) fn poll(loading: &mut Loading) -> Poll<Decision> {
    Future::poll(Pin::new(loading), &mut Context::from_waker(Waker::noop()))
}
