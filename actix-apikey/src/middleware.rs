//! The middleware and its options. `service` handles requests.

use std::future::{Ready, ready};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header::HeaderName,
};
use apikey_core::{Authenticator, OnRevoked, Rejection, adapter::Admission};

use crate::{
    body::ResponseBody,
    options::Options,
    response::{Refusal, Responder},
    service::ApiKeyService,
};

/// Accepts requests with a valid key, and leaves their [`AuthenticatedKey`] in the request's extensions.
///
/// It wraps an `App`, a `web::scope` or a `web::resource`:
///
/// ```
/// use actix_apikey::{ApiKey, ApiKeyMiddleware, TestKeys};
/// use actix_web::{App, test, web};
///
/// # #[actix_web::main]
/// # async fn main() {
/// let keys = TestKeys::new();
/// let api = web::scope("/api")
///     .wrap(ApiKeyMiddleware::new(keys.authenticator()))
///     .route("/whoami", web::get().to(|key: ApiKey| async move { key.key_id().to_string() }));
/// let app = test::init_service(App::new().service(api)).await;
///
/// let key = keys.key(["files:read"]);
/// let request = test::TestRequest::get().uri("/api/whoami").insert_header(("authorization", key.authorization()));
/// assert_eq!(test::call_and_read_body(&app, request.to_request()).await, key.id().to_string());
/// # }
/// ```
///
/// Refusals are responses, so outer middlewares see them; [`on_revoked`](Self::on_revoked) has one exception. In actix,
/// the **last** `wrap` is the outermost. CORS, which answers preflight requests without a key, is therefore wrapped
/// after this middleware.
///
/// ```
/// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
/// # use actix_cors::Cors;
/// # use actix_web::App;
/// # let keys = TestKeys::new();
/// App::new().wrap(ApiKeyMiddleware::new(keys.authenticator())).wrap(Cors::permissive());
/// ```
///
/// # One authenticator for all workers
///
/// An `HttpServer` builds an application for each worker. Build the authenticator, or this middleware, before that, and
/// clone it in the application's factory. Clones share one cache, so a key that is revoked through one is revoked for
/// all. An authenticator that is built inside the factory has a cache of its own.
///
/// # Nesting
///
/// A middleware replaces or removes the key that an outer one left, unless both have the same authenticator. Then the
/// key stays.
///
/// [`AuthenticatedKey`]: crate::AuthenticatedKey
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct ApiKeyMiddleware(Options);

impl ApiKeyMiddleware {
    /// Creates a middleware that asks `authenticator` about every request.
    #[expect(clippy::missing_panics_doc, reason = "the builder has checked that these are header names")]
    pub fn new(authenticator: Authenticator) -> Self {
        let parse = |name: &str| HeaderName::try_from(name).expect("the authenticator has checked the names");
        ApiKeyMiddleware(Options {
            extra_headers: authenticator.extra_headers().iter().map(|name| parse(name)).collect(),
            admission: Admission::new(authenticator),
            responder: None,
            keep_request: false,
            expiry_header: None,
        })
    }

    /// Sets whether the credential is removed from accepted requests, so that inner services can't log it or pass it
    /// on. By default, it is kept.
    ///
    /// An accepted foreign token is always kept, because another layer has to read it.
    ///
    /// ```
    /// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).strip_credential(true);
    /// ```
    ///
    /// # Panics
    ///
    /// This method doesn't panic, but a request does if an outer middleware keeps a clone of it
    /// (`request.request().clone()`): actix-web can't change the headers of a shared request. Wrap this middleware
    /// outside such middlewares.
    pub fn strip_credential(mut self, strip_credential: bool) -> Self {
        self.0.admission.strip_credential(strip_credential);
        self
    }

    /// Sets the bodies of refusals, including those of extractors and of
    /// [`RequireScopeMiddleware`](crate::RequireScopeMiddleware) inside it. The default is a problem (RFC 9457). Of
    /// nested middlewares, the innermost answers.
    ///
    /// ```
    /// use actix_apikey::{ApiKeyMiddleware, Refusal, TestKeys};
    ///
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).responder(|rejection| {
    ///     Refusal::new("application/json", format!(r#"{{"error":"{}"}}"#, rejection.code()))
    /// });
    /// ```
    pub fn responder(mut self, respond: impl Fn(&Rejection) -> Refusal + Send + Sync + 'static) -> Self {
        self.0.responder = Some(Responder::new(respond));
        self
    }

    /// Sets what happens to requests in progress when their key is revoked or expires. Default: [`OnRevoked::End`].
    ///
    /// With `End`, a handler that is waiting is dropped, and answered with the same 401 as any request with a dead key.
    /// A handler that never waits answers. A body in progress is cut off after its first chunk with
    /// [`BodyError::is_revoked`](crate::BodyError::is_revoked), so that no client takes it for complete: over HTTP/1
    /// the connection is closed, over HTTP/2 the stream is reset. A [`LastFrame`](crate::LastFrame) in the extensions
    /// of the response is sent instead. Tasks that the handler spawned continue: let them wait for
    /// [`key.revoked()`](crate::AuthenticatedKey::revoked). WebSockets of `actix-ws` are bodies, and are cut off like
    /// them. With [`FinishMiddleware`](crate::FinishMiddleware) around their route, they can wait, too, and close with
    /// their own message.
    ///
    /// Revocations are noticed immediately, expiry within a second. For a single route, use
    /// [`FinishMiddleware`](crate::FinishMiddleware).
    ///
    /// ```
    /// use actix_apikey::{ApiKeyMiddleware, OnRevoked, TestKeys};
    ///
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).on_revoked(OnRevoked::Finish);
    /// ```
    ///
    /// # The refusal of a waiting handler is an error
    ///
    /// All other refusals are responses. This one is an [`ApiKeyRejection`](crate::ApiKeyRejection), unless
    /// [`keep_request`](ApiKeyMiddleware::keep_request) is set: actix requires the request along with a response, and
    /// the request was moved into the dropped handler. Actix turns the error into the same response, with the
    /// responder's body if there is one, but after all outer middlewares: CORS and the access log don't see it.
    pub fn on_revoked(mut self, on_revoked: OnRevoked) -> Self {
        self.0.admission.on_revoked(on_revoked);
        self
    }

    /// Sets whether the middleware keeps a handle of each accepted request. Then the refusal of a waiting handler (see
    /// [`on_revoked`](ApiKeyMiddleware::on_revoked)) is a response, too, which outer middlewares see.
    ///
    /// Use it for a middleware around a **resource**, if no inner middleware changes the request:
    ///
    /// ```
    /// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
    /// # use actix_web::{App, web};
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).keep_request(true);
    /// App::new().service(web::resource("/report").route(web::get().to(|| async { "…" })).wrap(middleware));
    /// ```
    ///
    /// # Panics
    ///
    /// This method doesn't panic, but a request does if it is routed inside the middleware (around an `App` or a
    /// `web::scope`, every request is) or if an inner middleware changes its headers: actix-web can't change a shared
    /// request.
    pub fn keep_request(mut self, keep_request: bool) -> Self {
        self.0.keep_request = keep_request;
        self
    }

    /// Sets a header that tells holders when their key expires, as RFC 3339 in UTC. It is added to every response to an
    /// accepted request whose key expires.
    ///
    /// ```
    /// use actix_apikey::ApiKeyMiddleware;
    /// use actix_web::http::header::HeaderName;
    /// # let authenticator = actix_apikey::TestKeys::new().authenticator();
    ///
    /// let keys = ApiKeyMiddleware::new(authenticator).expiry_header(HeaderName::from_static("api-key-expires"));
    /// ```
    pub fn expiry_header(mut self, name: HeaderName) -> Self {
        self.0.admission.tell_expiry(true);
        self.0.expiry_header = Some(name);
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for ApiKeyMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<ResponseBody<B>>;
    type Error = Error;
    type Transform = ApiKeyService<S>;
    type InitError = ();
    type Future = Ready<Result<ApiKeyService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ApiKeyService::new(service, self.0.clone())))
    }
}
