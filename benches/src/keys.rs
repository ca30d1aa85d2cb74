//! Keys, and the order in which they are sent.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use tower_apikey::{
    Authenticator, AuthenticatorBuilder, Claims, KeyFormat, KeyId, PresentedKey, Resolution, ScopeSet, resolver_fn,
};

/// The format under test: 46 bytes for each key, including a CRC-32.
#[must_use]
pub fn format() -> KeyFormat {
    KeyFormat::builder("acme").environment("live").build().expect("a format without mistakes")
}

/// Generates new keys.
#[must_use]
pub fn generate(count: usize) -> Vec<String> {
    let format = format();
    (0..count).map(|_| format.generate().expect("randomness").expose_secret().to_owned()).collect()
}

/// Creates an authenticator that accepts every well-formed key, with a 20-byte name and two scopes, and caches
/// `capacity` keys.
#[must_use]
pub fn authenticator(capacity: usize) -> Authenticator {
    authenticator_with(capacity, |builder| builder)
}

/// The same with further settings.
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

/// Marsaglia's xorshift: an order of keys that no prefetcher predicts.
#[derive(Debug)]
pub struct Order(u64);

impl Order {
    /// Creates an order that is the same in every run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Order(seed | 1)
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Creates a request with `key` and the headers of a typical program.
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
