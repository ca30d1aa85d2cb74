//! The page for people: its settings here, its files in `assets`, and what is answered for them in `site`.

mod assets;
mod site;

use std::fmt;

use zeroize::Zeroizing;

pub(crate) use self::site::router;

/// The page for people: sign in with a key, and see, create, rotate and revoke keys.
///
/// ```
/// # use apikey_console::{Console, Page};
/// # fn build(keys: &apikey_manager::KeyManager) -> Console {
/// Console::new(keys).page(Page::new().title("Acme"))
/// # }
/// ```
///
/// It stands at the path at which the console is mounted, such as `/keys/`. It speaks the REST API beside it and nothing
/// else: no request leaves the service. Whoever signs in may do what their key may do.
///
/// # Security
///
/// The key of whoever is signed in is sealed in a cookie that scripts can't read and that only the API under `v1` is sent.
/// It lasts for eight hours at most, and ends with the key. Signing out makes the browser forget the cookie; a copy that
/// was taken before lasts to its own end or the key's.
///
/// The cookie is for TLS alone, unless the request's `Host` is `localhost`, `127.0.0.1` or `[::1]`. Browsers say where a
/// request comes from (`Sec-Fetch-Site`) only to services under TLS or on such a host, so nobody can sign in elsewhere.
#[derive(Clone)]
pub struct Page {
    pub(crate) title: String,
    pub(crate) theme: String,
    pub(crate) framed_by_self: bool,
    pub(crate) cookie_secure: Option<bool>,
    pub(crate) session_keys: Vec<Zeroizing<[u8; 32]>>,
}

impl Page {
    /// A page named "API keys".
    #[must_use]
    pub fn new() -> Self {
        Page {
            title: "API keys".to_owned(),
            theme: String::new(),
            framed_by_self: false,
            cookie_secure: None,
            session_keys: Vec::new(),
        }
    }

    /// What the service is called, in the page's head and in the browser's title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Rules of CSS that the page loads after its own, for the colours and fonts of the service.
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

    /// Lets pages of the same origin show this one in a frame.
    #[must_use]
    pub fn framed_by_self(mut self) -> Self {
        self.framed_by_self = true;
        self
    }

    /// Adds a key that seals sessions: the first one seals, and all of them open what they sealed.
    ///
    /// Without one, each process makes its own: then sessions end when the service restarts, and are known to one process
    /// alone. To rotate, put the new key before the old one, and drop the old one eight hours later.
    #[must_use]
    pub fn session_key(mut self, key: [u8; 32]) -> Self {
        self.session_keys.push(Zeroizing::new(key));
        self
    }

    /// Says whether the session's cookie is for TLS alone, whatever the request's `Host` is.
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
            .field("framed_by_self", &self.framed_by_self)
            .field("cookie_secure", &self.cookie_secure)
            .field("session_keys", &self.session_keys.len())
            .finish_non_exhaustive()
    }
}
