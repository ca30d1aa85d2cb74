//! The layer and its options. The authenticator's configuration determines the decisions.

use std::{fmt, sync::Arc};

use apikey_core::{
    Authenticator, OnRevoked, Rejection,
    adapter::{Admission, RequestDescription},
};
use http::{Extensions, HeaderMap, HeaderName};
use tower_layer::Layer;

use crate::{config::Config, linger::Lingering, refusal::Refusal, service::ApiKeyService};

/// Authenticates every request by its API key.
///
/// Handlers inside it find an [`AuthenticatedKey`](apikey_core::AuthenticatedKey) in the request's extensions. Requests
/// without a valid key never reach them.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
/// use tower_apikey::{ApiKeyLayer, Authenticator, StaticKeys, caller};
///
/// # let keys = StaticKeys::parse(&format!("ci sha256:{}", "00".repeat(32)))?;
/// let authenticator = Authenticator::builder(keys).realm("files").build()?;
/// let service = ServiceBuilder::new()
///     .layer(ApiKeyLayer::new(authenticator))
///     .service(service_fn(async |request: Request<String>| {
///         let key = caller(request.extensions()).expect("the layer is there, and not optional");
///         Ok::<_, std::convert::Infallible>(Response::new(format!("hello, {}", key.name())))
///     }));
/// # fn is_service<S: tower::Service<Request<String>>>(_: S) {}
/// # is_service(service);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `OPTIONS` requests need a key, too: a CORS layer belongs outside this one.
#[derive(Clone)]
pub struct ApiKeyLayer {
    config: Arc<Config>,
}

impl<S> ApiKeyService<S> {
    /// Creates a service that accepts the requests that `authenticator` accepts, with the defaults of [`ApiKeyLayer`].
    pub fn new(inner: S, authenticator: Authenticator) -> Self {
        ApiKeyLayer::new(authenticator).layer(inner)
    }

    /// Returns a layer that creates such services.
    #[must_use]
    pub fn layer(authenticator: Authenticator) -> ApiKeyLayer {
        ApiKeyLayer::new(authenticator)
    }
}

impl ApiKeyLayer {
    /// Creates a layer that accepts the requests that `authenticator` accepts.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the builder has checked that these are header names")]
    pub fn new(authenticator: Authenticator) -> Self {
        let parse =
            |name: &str| HeaderName::from_bytes(name.as_bytes()).expect("the authenticator has checked the names");
        ApiKeyLayer {
            config: Arc::new(Config {
                extra_headers: authenticator.extra_headers().iter().map(|name| parse(name)).collect(),
                admission: Admission::new(authenticator),
                responder: None,
                grpc: false,
                expiry_header: None,
                describe: None,
                lingering: Lingering::new(),
            }),
        }
    }

    /// Sets whether the header of an accepted key is removed before the inner service sees the request, so that the
    /// service can't log it or pass it on. By default, it is kept.
    ///
    /// Inner layers of the same authenticator still know the caller.
    #[must_use]
    pub fn strip_credential(self, strip: bool) -> Self {
        self.with(|config| config.admission.strip_credential(strip))
    }

    /// Sets a responder, which chooses the body of refusals and may add headers.
    ///
    /// Status, challenge, `Retry-After` and `Cache-Control: no-store` are fixed. Refusals of extractors and guards
    /// inside this layer use the responder, too. Of nested layers, the innermost answers, with or without a responder.
    ///
    /// ```
    /// use tower_apikey::{ApiKeyLayer, Refusal};
    /// # let authenticator = tower_apikey::TestKeys::new().authenticator();
    ///
    /// let layer = ApiKeyLayer::new(authenticator).responder(|rejection| {
    ///     Refusal::new("text/plain; charset=utf-8", format!("{} ({})", rejection.detail(), rejection.code()))
    /// });
    /// ```
    #[must_use]
    pub fn responder(self, responder: impl Fn(&Rejection) -> Refusal + Send + Sync + 'static) -> Self {
        self.with(|config| config.responder = Some(Arc::new(responder)))
    }

    /// Sets whether refused gRPC requests are answered as gRPC clients expect: with HTTP 200 and a `grpc-status`. By
    /// default, they are not.
    ///
    /// It applies only to requests over HTTP/2 with the method POST and the content type `application/grpc` or
    /// `application/grpc+…`. They don't use the custom responder. A stream whose key dies ends with `grpc-status: 16`.
    ///
    /// # Security
    ///
    /// A proxy that asks a service whether a request may pass takes any 2xx for a yes. Don't use this option if the
    /// layer answers such a proxy.
    #[must_use]
    pub fn grpc(self, grpc: bool) -> Self {
        self.with(|config| config.grpc = grpc)
    }

    /// Sets what happens to requests in progress when their key is revoked or expires. Default: [`OnRevoked::End`].
    ///
    /// With `End`, a handler that is waiting is dropped, and answered with the same 401 as any request with a dead key.
    /// A handler that never waits answers. A body in progress is cut off after its first frame with
    /// [`BodyError::is_revoked`](crate::BodyError::is_revoked), so that no client takes it for complete: over HTTP/1
    /// the connection is closed, over HTTP/2 the stream is reset, and over gRPC (see [`grpc`](ApiKeyLayer::grpc)) it
    /// ends with `grpc-status: 16`. A [`LastFrame`](crate::LastFrame) in the extensions of the response is sent
    /// instead. Tasks that the handler spawned and upgraded connections continue: let them wait for
    /// [`key.revoked()`](crate::AuthenticatedKey::revoked).
    ///
    /// Revocations are noticed immediately, expiry within a second. For a single route, use
    /// [`FinishLayer`](crate::FinishLayer).
    ///
    /// ```
    /// use tower_apikey::{ApiKeyLayer, OnRevoked};
    /// # let authenticator = tower_apikey::TestKeys::new().authenticator();
    ///
    /// let layer = ApiKeyLayer::new(authenticator).on_revoked(OnRevoked::Finish);
    /// ```
    #[must_use]
    pub fn on_revoked(self, on_revoked: OnRevoked) -> Self {
        self.with(|config| config.admission.on_revoked(on_revoked))
    }

    /// Sets a header that tells holders when their key expires, as RFC 3339 in UTC. It is added to every response to an
    /// accepted request whose key expires.
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower_apikey::ApiKeyLayer;
    /// # let authenticator = tower_apikey::TestKeys::new().authenticator();
    ///
    /// let layer = ApiKeyLayer::new(authenticator).expiry_header(HeaderName::from_static("api-key-expires"));
    /// ```
    #[must_use]
    pub fn expiry_header(self, name: HeaderName) -> Self {
        self.with(|config| {
            config.admission.tell_expiry(true);
            config.expiry_header = Some(name);
        })
    }

    /// Sets how a request is described to the [`ActivitySink`](crate::ActivitySink). Method, status and `User-Agent`
    /// are known without it; the route's template and the address are not.
    ///
    /// In axum, a layer in `route_layer` finds both in the extensions:
    ///
    /// ```
    /// use tower_apikey::{ApiKeyLayer, RequestDescription};
    /// # let authenticator = tower_apikey::TestKeys::new().authenticator();
    /// # #[derive(Clone)] struct MatchedPath;
    /// # impl MatchedPath { fn as_str(&self) -> &str { "" } }
    ///
    /// let layer = ApiKeyLayer::new(authenticator).describe_requests(|_headers, extensions| {
    ///     let route = extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    ///     route.map_or_else(RequestDescription::new, |route| RequestDescription::new().route(route))
    /// });
    /// ```
    #[must_use]
    pub fn describe_requests(
        self,
        describe: impl Fn(&HeaderMap, &Extensions) -> RequestDescription + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| config.describe = Some(Arc::new(describe)))
    }

    /// Limits how much is read of the bodies of requests that this layer refuses, so that clients receive the response.
    ///
    /// For requests that are refused further inside, for example by an extractor, use a
    /// [`LingerLayer`](crate::LingerLayer).
    #[must_use]
    pub fn lingering(self, lingering: Lingering) -> Self {
        self.with(|config| config.lingering = lingering)
    }

    fn with(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S> Layer<S> for ApiKeyLayer {
    type Service = ApiKeyService<S>;

    fn layer(&self, inner: S) -> ApiKeyService<S> {
        ApiKeyService::configured(inner, Arc::clone(&self.config))
    }
}

impl fmt::Debug for ApiKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}
