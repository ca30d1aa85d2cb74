//! The page for people. Its settings are here, its files in `assets`, and its responses in `site`.

mod assets;
mod site;

use std::fmt;

use zeroize::Zeroizing;

pub(crate) use self::site::router;

/// A page for people, who sign in with a key to see, create, rotate and revoke keys.
///
/// ```
/// # use apikey_console::{Console, Page};
/// # fn build(keys: &apikey_manager::KeyManager) -> Console {
/// Console::new(keys).page(Page::new().title("Acme"))
/// # }
/// ```
///
/// The page is served at the path at which the console is mounted, such as `/keys/`. It uses only the REST API beside
/// it: no request leaves the service. A user may do what their key may do.
///
/// # In a page of the host
///
/// The page is one element, which another page of the same origin can show, too. With
/// [`Console::login`](crate::Console::login), users of the host need no key:
///
/// ```html
/// <script type="module" src="/keys/apikey-console.js"></script>
/// <apikey-console heading="Acme" sign-in="/login">
///   <p slot="contact">Ask Dana for a key.</p>
/// </apikey-console>
/// ```
///
/// `sign-in` is the address of the host's sign-in. Without a session, the element shows a link to it, and no form for a
/// key. The slot `contact` tells users without `keys:read` whom to ask; the slot `logo` replaces the logo. The element
/// keeps its state in the fragment of the address. Styles neither leave nor enter it, except for the custom properties of
/// [`theme`](Page::theme). The element sends the events `apikey-created` and `apikey-revoked`, which bubble; `detail.id`
/// is the key's id. Keys that are deleted with their service account send no event.
///
/// # Security
///
/// The user's key is sealed in a cookie that scripts can't read and that browsers send only to the API under `v1`. A
/// session lasts at most eight hours, and ends with the key. Signing out makes the browser delete the cookie; a stolen
/// copy stays valid until the session or the key ends.
///
/// The cookie requires TLS, unless the request's `Host` is `localhost`, `127.0.0.1` or `[::1]`. Browsers send the
/// origin of a request (`Sec-Fetch-Site`) only over TLS or to such a host, so signing in is impossible elsewhere.
#[derive(Clone)]
pub struct Page {
    pub(crate) title: String,
    pub(crate) theme: String,
    pub(crate) sign_in: Option<String>,
    pub(crate) framed_by_self: bool,
    pub(crate) cookie_secure: Option<bool>,
    pub(crate) session_keys: Vec<Zeroizing<[u8; 32]>>,
}

impl Page {
    /// Creates a page with the title "API keys".
    #[must_use]
    pub fn new() -> Self {
        Page {
            title: "API keys".to_owned(),
            theme: String::new(),
            sign_in: None,
            framed_by_self: false,
            cookie_secure: None,
            session_keys: Vec::new(),
        }
    }

    /// Sets the name of the service, for the page's head and the browser's title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets CSS rules that the page loads after its own, for the service's colours and fonts.
    ///
    /// ```
    /// # use apikey_console::Page;
    /// let theme = "apikey-console { --apikey-accent: #0a7d55; --apikey-radius: 4px; }";
    /// let page = Page::new().title("Acme").theme(theme);
    /// ```
    ///
    /// The custom properties are `--apikey-accent`, `--apikey-on-accent` (text on the accent), `--apikey-radius`,
    /// `--apikey-font` and `--apikey-mono`.
    #[must_use]
    pub fn theme(mut self, css: impl Into<String>) -> Self {
        self.theme = css.into();
        self
    }

    /// Sets the address of the host's sign-in, such as `/login`. Users without a session of the host get a link to it
    /// instead of the form that asks for a key, and the routes of `v1/session` don't exist.
    ///
    /// ```
    /// # use apikey_console::{Console, Page};
    /// # use apikey_manager::{Actor, KeyManager};
    /// # fn session_of(_: &http::HeaderMap) -> Option<Actor> { None }
    /// # fn build(keys: &KeyManager) -> Console {
    /// Console::new(keys).login(|request| session_of(&request.headers)).page(Page::new().title("Acme").sign_in("/login"))
    /// # }
    /// ```
    #[must_use]
    pub fn sign_in(mut self, address: impl Into<String>) -> Self {
        self.sign_in = Some(address.into());
        self
    }

    /// Allows pages of the same origin to show this one in a frame.
    #[must_use]
    pub fn framed_by_self(mut self) -> Self {
        self.framed_by_self = true;
        self
    }

    /// Adds a key that seals sessions. The first key seals, and all keys open.
    ///
    /// Without a key, each process generates its own: sessions then end when the service restarts, and only one process
    /// knows them. To rotate, put the new key before the old one, and remove the old one eight hours later.
    #[must_use]
    pub fn session_key(mut self, key: [u8; 32]) -> Self {
        self.session_keys.push(Zeroizing::new(key));
        self
    }

    /// Sets whether the session's cookie requires TLS, independently of the request's `Host`.
    #[must_use]
    pub fn cookie_secure(mut self, secure: bool) -> Self {
        self.cookie_secure = Some(secure);
        self
    }
}

impl Default for Page {
    fn default() -> Self {
        Page::new()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("title", &self.title)
            .field("sign_in", &self.sign_in)
            .field("framed_by_self", &self.framed_by_self)
            .field("cookie_secure", &self.cookie_secure)
            .field("session_keys", &self.session_keys.len())
            .finish_non_exhaustive()
    }
}
