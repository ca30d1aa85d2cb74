//! Configures a sender. Each exception from its rules is a method whose name says so.

use std::{error::Error, fmt, net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Client, dns::Resolve, redirect};
use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use crate::{
    address::Addresses,
    resolver::{JudgingResolver, SystemResolver},
    sender::Webhooks,
    target::Targets,
};

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

impl Webhooks {
    /// Returns a sender to public addresses over HTTPS.
    ///
    /// # Errors
    ///
    /// If the system has no root certificates. On Debian they are in the package `ca-certificates`.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Configures a sender.
    pub fn builder() -> WebhooksBuilder {
        WebhooksBuilder {
            targets: Targets { addresses: Addresses::public(), plain_http: false },
            time_limit: Duration::from_secs(10),
            names: Arc::new(SystemResolver),
            trusted: Vec::new(),
        }
    }
}

/// Configures [`Webhooks`].
#[must_use]
pub struct WebhooksBuilder {
    targets: Targets,
    time_limit: Duration,
    names: Arc<dyn Resolve>,
    trusted: Vec<u8>,
}

impl WebhooksBuilder {
    /// Allows addresses that are not public: internal networks, this machine, a cloud's metadata.
    ///
    /// The function is asked about every such address. It sees IPv6 addresses that contain an IPv4 address as they are, so
    /// one that compares with IPv4 networks refuses them.
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// use apikey_webhooks::Webhooks;
    ///
    /// let receivers = |address| matches!(address, IpAddr::V4(v4) if v4.octets()[..3] == [10, 20, 30]);
    /// let webhooks = Webhooks::builder().allow_internal_addresses(receivers).build()?;
    /// # Ok::<_, apikey_webhooks::BuildError>(())
    /// ```
    ///
    /// # Security
    ///
    /// Everybody who may create a webhook can then make this process send requests there, to any port, and learns the status
    /// of the answer.
    pub fn allow_internal_addresses(mut self, allow: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.targets.addresses = Addresses::public_and(allow);
        self
    }

    /// Allows URLs that begin with `http://`.
    ///
    /// # Security
    ///
    /// Whoever is on the way reads the messages, and can answer in place of the receiver. Without TLS, a message can also be
    /// sent to a service that is no web server.
    pub fn allow_plain_http(mut self) -> Self {
        self.targets.plain_http = true;
        self
    }

    /// Sets the longest time of a message, from the look-up of the name to the end of the answer. The default is 10 seconds.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Trusts more root certificates than the system's, in PEM: those of a private authority, for internal receivers.
    pub fn trust_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.trusted.extend_from_slice(pem.as_ref());
        self.trusted.push(b'\n');
        self
    }

    /// Resolves names by something else than the system's resolver. The addresses that it finds are judged as usual.
    pub fn resolver(mut self, names: impl Resolve + 'static) -> Self {
        self.names = Arc::new(names);
        self
    }

    /// Builds the sender.
    ///
    /// # Errors
    ///
    /// If there are no root certificates, or one of [`trust_certificates`](Self::trust_certificates) can't be read.
    pub fn build(self) -> Result<Webhooks, BuildError> {
        let resolver = JudgingResolver { names: self.names, addresses: self.targets.addresses.clone() };
        let client = Client::builder()
            .tls_backend_preconfigured(tls(&self.trusted)?)
            .dns_resolver(resolver)
            .https_only(!self.targets.plain_http)
            .http1_only()
            // A connection serves one message, so that its address and certificate are judged for each.
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Other crates of the program may enable reqwest's features for compressed answers.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .timeout(self.time_limit)
            // A name's addresses share this time, so that the second is tried if the first is silent.
            .connect_timeout(self.time_limit)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| BuildError::new("the HTTP client can't be built", error))?;
        Ok(Webhooks { client, targets: self.targets, time_limit: self.time_limit })
    }
}

/// Returns TLS by ring, whatever the process's default provider, with the system's root certificates and these.
fn tls(trusted: &[u8]) -> Result<ClientConfig, BuildError> {
    let unreadable = |error| BuildError::new("a trusted certificate can't be read", error);
    let trusted: Vec<_> = CertificateDer::pem_slice_iter(trusted).collect::<Result<_, _>>().map_err(unreadable)?;
    let unusable = |error| BuildError::new("the root certificates can't be used", error);
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(trusted, provider.clone()).map_err(unusable)?;
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unusable)?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

impl fmt::Debug for WebhooksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WebhooksBuilder { targets, time_limit, .. } = self;
        f.debug_struct("WebhooksBuilder")
            .field("targets", targets)
            .field("time_limit", time_limit)
            .finish_non_exhaustive()
    }
}

/// Why a sender can't be built.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct BuildError {
    what: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl BuildError {
    fn new(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        BuildError { what, source: Box::new(source) }
    }
}
