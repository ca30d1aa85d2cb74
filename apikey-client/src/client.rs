//! Requests with the key: it goes to its own host alone.

use std::time::Duration;

use apikey_core::PlaintextKey;
use reqwest::{
    Method, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderValue},
};
use rustls::crypto::{CryptoProvider, ring};

use crate::{answer, credentials::Credentials, error::Error, host::Host};

/// An HTTP client that sends the key to its own host.
///
/// ```no_run
/// # async fn list(credentials: apikey_client::Credentials) -> Result<(), apikey_client::Error> {
/// let client = credentials.client().await?;
/// let files = client.fetch(client.get("/files?page=2")?).await?.text().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// The header is marked as sensitive, so that neither logs nor HTTP/2's compression keep it. A redirect to another scheme, host
/// or port is followed without the key.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    host: Host,
    authorization: HeaderValue,
}

impl Credentials {
    /// Returns a client that sends the key in force.
    ///
    /// # Errors
    ///
    /// Those of [`key`](Credentials::key).
    pub async fn client(&self) -> Result<Client, Error> {
        self.client_with(&self.key().await?.key)
    }

    pub(crate) fn client_with(&self, key: &PlaintextKey) -> Result<Client, Error> {
        if CryptoProvider::get_default().is_none() {
            // Fails if another thread was faster. Then there is one.
            let _ = ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .user_agent(&self.service)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()?;
        let not_a_key = || Error::Usage("the key doesn't fit a header".to_owned());
        let text = format!("Bearer {}", key.expose_secret());
        let mut authorization = HeaderValue::try_from(text).map_err(|_| not_a_key())?;
        authorization.set_sensitive(true);
        Ok(Client { http, host: self.chosen_host()?, authorization })
    }
}

impl Client {
    /// Returns a GET request of a path on the host.
    ///
    /// # Errors
    ///
    /// If the path leads to another host.
    pub fn get(&self, path: &str) -> Result<RequestBuilder, Error> {
        self.request(Method::GET, path)
    }

    /// Returns a request of a path on the host. [`send`](Self::send) adds the key.
    ///
    /// # Errors
    ///
    /// If the path leads to another host.
    pub fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        Ok(self.http.request(method, self.host.join(path)?))
    }

    /// Sends a request with the key.
    ///
    /// # Errors
    ///
    /// [`Rejected`](Error::Rejected) for a 401, [`TooManyRequests`](Error::TooManyRequests) for a 429,
    /// [`Unavailable`](Error::Unavailable) for a 503, [`Http`](Error::Http) without an answer, and [`Usage`](Error::Usage) for a
    /// request to another host. All other answers are `Ok`.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let mut request = request.build()?;
        self.host.check(request.url())?;
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        answer::typed(self.http.execute(request).await?)
    }
    /// Sends a request with the key, and returns the answer if it is a success.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), and [`Refused`](Error::Refused) with the problem's detail (RFC 9457) for all other answers.
    pub async fn fetch(&self, request: RequestBuilder) -> Result<Response, Error> {
        answer::successful(self.send(request).await?).await
    }
}
