//! A request by hand, and decisions without a server.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use apikey_core::{
    AuthenticatedKey, Authenticator, TestKey,
    adapter::{Authentication, Decision, Header, HeaderLines, Loading, RequestView},
};

/// A request with at most one line for each header.
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

/// Returns the decision about `request`, after any lookup.
pub(crate) async fn decide(authenticator: &Authenticator, request: &Request) -> Decision {
    match authenticator.authenticate(request) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    }
}

/// Returns the key of an accepted `request`.
pub(crate) async fn admit(authenticator: &Authenticator, request: &Request) -> AuthenticatedKey {
    decide(authenticator, request).await.unwrap().expect("a key")
}

/// Returns the true reason for refusing `request`, as logs show it.
pub(crate) async fn refusal(authenticator: &Authenticator, request: &Request) -> String {
    reason(&decide(authenticator, request).await)
}

/// Returns the reason of a refusal.
pub(crate) fn reason(decision: &Decision) -> String {
    let debug = format!("{:?}", decision.as_ref().expect_err("a refusal"));
    let (_, reason) = debug.split_once("reason: \"").expect("a reason");
    reason.split('"').next().unwrap_or_default().to_owned()
}

/// Returns the lookup that `request` needs, not yet started.
pub(crate) fn begin(authenticator: &Authenticator, request: &Request) -> Loading {
    match authenticator.authenticate(request) {
        Authentication::Loading(loading) => loading,
        Authentication::Done(decision) => panic!("nothing was to be loaded: {decision:?}"),
    }
}

/// Polls a lookup once.
pub(crate) fn poll(loading: &mut Loading) -> Poll<Decision> {
    Future::poll(Pin::new(loading), &mut Context::from_waker(Waker::noop()))
}
