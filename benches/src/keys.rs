//! Keys to present, and the order to present them in.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use tower_apikey::{
    Authenticator, AuthenticatorBuilder, Claims, KeyFormat, KeyId, PresentedKey, Resolution, ScopeSet, resolver_fn,
};

/// The format under test: 46 bytes a key, with a CRC-32 among them.
#[must_use]
pub fn format() -> KeyFormat {
    KeyFormat::builder("acme").environment("live").build().expect("a format without mistakes")
}

/// New keys.
#[must_use]
pub fn generate(count: usize) -> Vec<String> {
    let format = format();
    (0..count).map(|_| format.generate().expect("randomness").expose_secret().to_owned()).collect()
}

/// An authenticator that lets in every well-formed key, as one with a 20-byte name and two scopes, and keeps `capacity`.
#[must_use]
pub fn authenticator(capacity: usize) -> Authenticator {
    authenticator_with(capacity, |builder| builder)
}

/// The same, with further settings.
#[must_use]
pub fn authenticator_with(
    capacity: usize,
    configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder,
) -> Authenticator {
    let scopes = ScopeSet::parse("files:read files:write").expect("scopes");
    let resolver = resolver_fn(move |key: PresentedKey| {
        let id = KeyId::generate(tower_apikey::Timestamp::now()).expect("randomness");
        let claims = Claims::new(id).with_name("a name of 20 bytes..").with_scopes(scopes.clone());
        std::future::ready(Ok::<_, Infallible>(Some(Resolution::new(key.digest().clone(), claims))))
    });
    let builder = Authenticator::builder(resolver)
        .format(format())
        .cache_capacity(capacity)
        .cache_ttl(Duration::from_secs(100_000));
    configure(builder).build().expect("a configuration without mistakes")
}

/// Marsaglia's xorshift: an order of keys that no prefetcher guesses.
#[derive(Debug)]
pub struct Order(u64);

impl Order {
    /// An order that is the same for every run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Order(seed | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// A request that presents `key`, with the headers a browserless client sends besides.
#[must_use]
pub fn request(key: &str) -> Request<String> {
    let authorization = HeaderValue::from_str(&format!("Bearer {key}")).expect("a key is a header value");
    Request::builder()
        .uri("/files")
        .header("host", "localhost")
        .header("user-agent", "bench")
        .header("accept", "*/*")
        .header(AUTHORIZATION, authorization)
        .body(String::new())
        .expect("a request")
}
