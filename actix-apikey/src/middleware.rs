//! The middleware as an application sets it up. What it does with a request is in `service`.

use std::future::{Ready, ready};

use actix_web::{
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header::HeaderName,
};
use apikey_core::{Authenticator, Rejection};

use crate::{
    response::{Refusal, Responder},
    service::{ApiKeyService, Guarded},
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
/// Refusals are responses, not errors, so middlewares further out see them. In actix the **last** `wrap` is the
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
pub struct ApiKeyMiddleware {
    pub(crate) authenticator: Authenticator,
    pub(crate) strip_credential: bool,
    pub(crate) responder: Option<Responder>,
}

impl ApiKeyMiddleware {
    /// Asks `authenticator` about every request.
    pub fn new(authenticator: Authenticator) -> Self {
        ApiKeyMiddleware { authenticator, strip_credential: false, responder: None }
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
        self.strip_credential = strip_credential;
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
        self.responder = Some(Responder::new(respond));
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for ApiKeyMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = S::Error;
    type Transform = ApiKeyService<S>;
    type InitError = ();
    type Future = Ready<Result<ApiKeyService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let extra_headers = self.authenticator.extra_headers().iter();
        // The core has checked that they are names.
        let Ok(extra_headers) = extra_headers.map(|name| HeaderName::try_from(&**name)).collect() else {
            return ready(Err(()));
        };
        ready(Ok(ApiKeyService::new(Guarded { service, options: self.clone(), extra_headers })))
    }
}
