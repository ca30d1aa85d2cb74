//! The middleware as an application sets it up. What it does with a request is in `service`.

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

/// Lets requests with a valid key in, and leaves their [`AuthenticatedKey`] in the request's extensions.
///
/// It goes around an `App`, a `web::scope` or a `web::resource`:
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
/// Refusals are responses, not errors (but see [`on_revoked`](Self::on_revoked)), so middlewares further out see them. In actix the **last** `wrap` is the
/// outermost: CORS, which answers preflight requests that carry no key, comes after this one.
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
/// An `HttpServer` builds an application for each worker. Build the authenticator, or this middleware, before, and clone
/// it in the application's factory: clones share one cache, so a key that one worker has verified is known to all, and a
/// key that is revoked is revoked for all. Build it inside the factory and every worker has a cache of its own.
///
/// # Nesting
///
/// A middleware replaces or removes the key that one further out has left, unless both have the same authenticator: then
/// it stands.
///
/// [`AuthenticatedKey`]: crate::AuthenticatedKey
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct ApiKeyMiddleware(Options);

impl ApiKeyMiddleware {
    /// Asks `authenticator` about every request.
    #[expect(clippy::missing_panics_doc, reason = "the names are header names: the builder has refused others")]
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

    /// Removes the credential from requests that are let in, so that nothing further in can log it or send it on; it
    /// stays unless said.
    ///
    /// A foreign token that passes stays: another layer has to read it.
    ///
    /// ```
    /// # use actix_apikey::{ApiKeyMiddleware, TestKeys};
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).strip_credential(true);
    /// ```
    ///
    /// # Panics
    ///
    /// Not itself, but each request does that a middleware further out keeps a clone of (`request.request().clone()`):
    /// actix-web changes the headers of no request that two hold. Let this one be outside such middlewares.
    pub fn strip_credential(mut self, strip_credential: bool) -> Self {
        self.0.admission.strip_credential(strip_credential);
        self
    }

    /// Sets the bodies of refusals, those of extractors and of [`RequireScopeMiddleware`](crate::RequireScopeMiddleware)
    /// further in included; problems (RFC 9457) unless said. Where middlewares are nested, the innermost answers.
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

    /// What becomes of requests under way when their key is revoked or expires; [`OnRevoked::End`] unless said.
    ///
    /// A handler that has waited once is dropped then, and answered 401 as any request with a dead key is; one that never
    /// waits is answered. A body that is being sent breaks off after its first chunk, with
    /// [`BodyError::is_revoked`](crate::BodyError::is_revoked), so that no client takes half for whole: over HTTP/1 the
    /// connection is closed, over HTTP/2 the stream is reset. A [`LastFrame`](crate::LastFrame) in the extensions of the
    /// response is sent instead. What the handler had spawned goes on: it waits for
    /// [`key.revoked()`](crate::AuthenticatedKey::revoked). WebSockets of `actix-ws` are bodies and break off as such;
    /// with [`FinishMiddleware`](crate::FinishMiddleware) around their route they may wait, too, and close in their own
    /// words.
    ///
    /// Revocations are noticed at once, expiry within a second. For a single route there is
    /// [`FinishMiddleware`](crate::FinishMiddleware).
    ///
    /// ```
    /// use actix_apikey::{ApiKeyMiddleware, OnRevoked, TestKeys};
    ///
    /// # let keys = TestKeys::new();
    /// let middleware = ApiKeyMiddleware::new(keys.authenticator()).on_revoked(OnRevoked::Finish);
    /// ```
    ///
    /// # The refusal of a handler under way is an error
    ///
    /// All other refusals are responses. This one is an [`ApiKeyRejection`](crate::ApiKeyRejection), unless
    /// [`keep_request`](ApiKeyMiddleware::keep_request) says otherwise: actix wants the request along with a response, and
    /// it was moved into the handler and is gone with it. Actix makes the same answer of the error, with the responder's
    /// body if there is one, but after all middlewares further out: CORS and the access log don't see it.
    pub fn on_revoked(mut self, on_revoked: OnRevoked) -> Self {
        self.0.admission.on_revoked(on_revoked);
        self
    }

    /// Keeps a handle of each request that is let in, so that the refusal of a handler under way (see
    /// [`on_revoked`](ApiKeyMiddleware::on_revoked)) is a response, too, which middlewares further out see.
    ///
    /// For a middleware around a **resource**, with nothing further in that changes the request:
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
    /// Not itself, but each request does that is routed further in, so around an `App` or a `web::scope` every one, or
    /// whose headers a middleware further in changes: actix-web changes no request that two hold.
    pub fn keep_request(mut self, keep_request: bool) -> Self {
        self.0.keep_request = keep_request;
        self
    }

    /// Tells holders of keys that expire when they do: in this header of every answer to a request that was let in, as
    /// RFC 3339 in UTC.
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
