//! Sessions: the key of a signed-in user, sealed in a cookie. Every request opens it and authenticates with the key.

use std::{fmt, sync::Arc, time::Duration};

use apikey_core::Timestamp;
use cookie::{Cookie, CookieJar, Key, SameSite};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, HOST},
    request::Parts,
    uri::Authority,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use zeroize::Zeroizing;

use crate::page::Page;

/// The cookie's name, which is sealed with its value.
const NAME: &str = "apikey_session";

/// The longest duration of a session.
const LONGEST: Duration = Duration::from_secs(8 * 60 * 60);

/// The largest number of concurrent sign-ins. Others wait.
const AT_ONCE: usize = 16;

/// The longest time that a sign-in waits.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Seals and opens sessions.
#[derive(Clone)]
pub(crate) struct Sessions {
    /// The first key seals; all keys open.
    keys: Arc<[Key]>,
    secure: Option<bool>,
    turns: Arc<Semaphore>,
}

/// The result of reading a request's cookies.
pub(crate) enum Opened {
    /// There is no session, or it has ended or was not sealed by these keys.
    None,
    /// The key of the session.
    Key(Zeroizing<String>),
    /// There are several sessions, so that the intended one is unknown.
    Several,
}

impl Sessions {
    pub(crate) fn new(page: &Page) -> Self {
        let mut keys: Vec<Key> = page.session_keys.iter().map(|key| key_of(key)).collect();
        if keys.is_empty() {
            keys.push(Key::generate());
        }
        Sessions { keys: keys.into(), secure: page.cookie_secure, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Waits for a permit to sign in. Returns `None` after the longest wait.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(LONGEST_WAIT, self.turns.acquire()).await.ok()?.ok()
    }

    /// Returns the `Set-Cookie` header of a session with this key.
    ///
    /// It has no `Path`, so that browsers use the folder of `v1/session` under any prefix.
    pub(crate) fn seal(&self, key: &str, parts: &Parts, now: Timestamp) -> Option<HeaderValue> {
        let until = now.checked_add(LONGEST)?.as_millis();
        let mut jar = CookieJar::new();
        jar.private_mut(&self.keys[0]).add(Cookie::new(NAME, format!("{until}.{key}")));
        let cookie = Cookie::build((NAME, jar.get(NAME)?.value().to_owned()));
        self.header(cookie.max_age(cookie::time::Duration::try_from(LONGEST).ok()?), parts)
    }

    /// Returns the `Set-Cookie` header that makes a browser delete a session.
    pub(crate) fn forget(&self, parts: &Parts) -> Option<HeaderValue> {
        self.header(Cookie::build((NAME, "")).max_age(cookie::time::Duration::ZERO), parts)
    }

    fn header(&self, cookie: cookie::CookieBuilder<'_>, parts: &Parts) -> Option<HeaderValue> {
        let secure = self.secure.unwrap_or_else(|| !is_local(parts));
        let cookie = cookie.http_only(true).same_site(SameSite::Strict).secure(secure).build();
        HeaderValue::from_str(&cookie.to_string()).ok()
    }

    /// Opens the session among a request's cookies.
    pub(crate) fn open(&self, headers: &HeaderMap, now: Timestamp) -> Opened {
        let mut sealed = sealed(headers);
        let Some(first) = sealed.next() else { return Opened::None };
        if sealed.next().is_some() {
            return Opened::Several;
        }
        let mut jar = CookieJar::new();
        jar.add_original(Cookie::new(NAME, first.to_owned()));
        let opened = self.keys.iter().find_map(|key| jar.private(key).get(NAME));
        let value = opened.map(|cookie| Zeroizing::new(cookie.value().to_owned()));
        let Some((until, key)) = value.as_ref().and_then(|value| value.split_once('.')) else { return Opened::None };
        let until = until.parse().ok().and_then(Timestamp::from_millis);
        match until.is_some_and(|until| now < until) {
            true => Opened::Key(Zeroizing::new(key.to_owned())),
            false => Opened::None,
        }
    }
}

/// Returns the sealed values among a request's cookies, and skips other cookies.
fn sealed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.filter(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// Fills both halves of a `Key`. Only the second half seals; the first one is for signed cookies.
fn key_of(key: &[u8; 32]) -> Key {
    Key::from(&[*key, *key].concat())
}

/// Returns `true` if the client addressed this very machine. The connection doesn't tell, because a TLS proxy may run
/// on the machine, too.
fn is_local(parts: &Parts) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.as_ref().or(parts.uri.authority());
    host.is_some_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
