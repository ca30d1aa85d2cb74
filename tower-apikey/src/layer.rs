//! The layer and its options. What is decided, and how, is the authenticator's configuration.

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
/// Handlers inside find an [`AuthenticatedKey`](apikey_core::AuthenticatedKey) in the request's extensions; requests
/// without a good key never reach them.
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
/// `OPTIONS` requests need a key like any other: a CORS layer belongs outside this one.
#[derive(Clone)]
pub struct ApiKeyLayer {
    config: Arc<Config>,
}

impl<S> ApiKeyService<S> {
    /// Lets in what `authenticator` lets in, with the defaults of [`ApiKeyLayer`].
    pub fn new(inner: S, authenticator: Authenticator) -> Self {
        ApiKeyLayer::new(authenticator).layer(inner)
    }

    /// Returns a layer that makes such services.
    #[must_use]
    pub fn layer(authenticator: Authenticator) -> ApiKeyLayer {
        ApiKeyLayer::new(authenticator)
    }
}

impl ApiKeyLayer {
    /// A layer that lets in whom `authenticator` lets in.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the names are header names: the builder has refused others")]
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

    /// Removes the header that held an accepted key before the inner service sees the request, so that it can't be
    /// logged or passed on from there.
    ///
    /// A layer of the same authenticator further in still knows the caller.
    #[must_use]
    pub fn strip_credential(self, strip: bool) -> Self {
        self.with(|config| config.admission.strip_credential(strip))
    }

    /// Answers refusals with a body, and more headers, of the service's own.
    ///
    /// Status, challenge, `Retry-After` and `Cache-Control: no-store` stay as they are. Refusals of extractors and
    /// guards inside this layer are answered this way, too. Of nested layers the innermost answers, with a responder or
    /// without.
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

    /// Answers refused gRPC requests as gRPC clients expect: HTTP 200 with a `grpc-status`.
    ///
    /// Only requests over HTTP/2 with the method POST and the content type `application/grpc` or `application/grpc+…`
    /// are answered so. No custom responder is asked for them. A stream whose key dies ends with `grpc-status: 16`.
    ///
    /// # Security
    ///
    /// A proxy that asks a service "may this request pass?" takes any 2xx for a yes. Leave this off where the layer
    /// answers such a proxy.
    #[must_use]
    pub fn grpc(self, grpc: bool) -> Self {
        self.with(|config| config.grpc = grpc)
    }

    /// What becomes of requests under way when their key is revoked or expires; [`OnRevoked::End`] unless said.
    ///
    /// A handler that has waited once is dropped then, and answered 401 as any request with a dead key is; one that never
    /// waits is answered. A body that is being sent breaks off after its first frame, with
    /// [`BodyError::is_revoked`](crate::BodyError::is_revoked), so that no client takes half for whole: over HTTP/1 the
    /// connection is closed, over HTTP/2 the stream is reset, over gRPC (see [`grpc`](ApiKeyLayer::grpc)) it ends with
    /// `grpc-status: 16`. A [`LastFrame`](crate::LastFrame) in the extensions of the response is sent instead. What the
    /// handler had spawned, and upgraded connections, go on: they wait for
    /// [`key.revoked()`](crate::AuthenticatedKey::revoked).
    ///
    /// Revocations are noticed at once, expiry within a second. For a single route there is
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

    /// Tells holders of keys that expire when they do: in this header of every answer to a request that was let in, as
    /// RFC 3339 in UTC.
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

    /// Says how a request is described where activity is recorded (see [`ActivitySink`](crate::ActivitySink)): method,
    /// status and `User-Agent` are known anyway, its route's template and its address are not.
    ///
    /// In axum, a layer that stands in `route_layer` finds both in the extensions:
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

    /// Bounds what is read of the bodies of requests that this layer refuses, so that their clients have the answer.
    ///
    /// What is let in and refused further in, by an extractor say, is a [`LingerLayer`](crate::LingerLayer)'s to see to.
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
