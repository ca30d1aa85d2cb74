//! The service: from a request to the route it asks for, by way of whoever asks.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::BoxError;
use apikey_manager::{Actor, KeyManager};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use tower_apikey::{
    ApiKeyLayer, ApiKeyService, FinishLayer, FinishService, LingerBody, LingerFuture, LingerLayer, LingerService,
    Lingering, OnRevoked, caller,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    access::{self, Login},
    call::{self, AnyBody, Call, RequestBody},
    problem::{Failure, Problem},
    reply::Reply,
    routes::{self, Found, Run},
};

/// The management of keys as a tower service: a REST API under `v1`, for keys with `keys:read`, `keys:write` or
/// `keys:admin`, and for whoever the host has logged in.
///
/// ```
/// use apikey_console::Console;
/// use apikey_core::KeyFormat;
/// use apikey_manager::{KeyManager, MemoryStore};
/// use axum::Router;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let format = KeyFormat::builder("acme").environment("live").build()?;
/// let keys = KeyManager::builder(MemoryStore::new()).format(format).build()?;
/// let app: Router = Router::new().nest_service("/keys", Console::new(&keys));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In actix-web, `actix_apikey::mount("/keys", Console::new(&keys))` does the same.
///
/// # Where it is mounted
///
/// Addresses in its answers are relative, so they are right under any prefix, and behind a proxy that adds or takes off
/// one. [`public_path`](Console::public_path) makes them absolute, for clients that don't resolve references.
///
/// # Security
///
/// Nothing but `v1/health` and `v1/openapi.json` is answered without a credential, and there is none by default: the first
/// key comes from [`KeyManager::bootstrap`] or from the host's own code. No layer of the host's is needed around it.
#[derive(Clone)]
pub struct Console {
    routes: LingerService<Routes>,
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) keys: KeyManager,
    /// Without a slash at its end.
    pub(crate) public_path: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) login: Option<Login>,
    lingering: Lingering,
}

impl Console {
    /// The management of `keys`.
    #[must_use]
    pub fn new(keys: &KeyManager) -> Self {
        Console::of(Config {
            keys: keys.clone(),
            public_path: None,
            origins: Vec::new(),
            login: None,
            lingering: Lingering::new(),
        })
    }

    fn of(config: Config) -> Self {
        let lingering = LingerLayer::with(config.lingering.clone());
        Console { routes: lingering.layer(Routes::of(Arc::new(config))) }
    }

    fn config(&self) -> &Config {
        &self.routes.get_ref().config
    }

    fn with(self, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.config().clone();
        set(&mut config);
        Console::of(config)
    }

    /// The path at which clients find the service, such as `/api/keys`: for absolute addresses in `Location` and in the
    /// OpenAPI document.
    ///
    /// Without it the document's server is `../v1`, relative to the document itself, as OpenAPI has it. Swagger UI resolves
    /// that; schemathesis takes any relative address from the root of the host, and so needs a public path.
    ///
    /// ```
    /// # use apikey_console::Console;
    /// # fn build(keys: &apikey_manager::KeyManager) -> Console {
    /// // For `Router::new().nest_service("/keys", console)`.
    /// Console::new(keys).public_path("/keys")
    /// # }
    /// ```
    #[must_use]
    pub fn public_path(self, path: impl AsRef<str>) -> Self {
        let path = path.as_ref().trim_matches('/');
        let public_path = if path.is_empty() { String::new() } else { format!("/{path}") };
        self.with(|config| config.public_path = Some(public_path))
    }

    /// Lets in whoever the host itself has logged in, beside keys.
    ///
    /// ```
    /// # use apikey_console::Console;
    /// # use apikey_core::ScopeSet;
    /// # use apikey_manager::{Actor, KeyManager, OrganizationId, Rights};
    /// # fn session_of(_: &http::HeaderMap) -> Option<(String, OrganizationId)> { None }
    /// # fn build(keys: &KeyManager) -> Console {
    /// Console::new(keys).login(|request| {
    ///     let (user, organization) = session_of(&request.headers)?;
    ///     let rights = Rights::scopes(ScopeSet::parse("keys:admin files:*").ok()?);
    ///     Actor::user(user, organization, rights).ok()
    /// })
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// Browsers send cookies along with whatever a foreign page asks them to. So what changes something is refused
    /// unless the request says `Sec-Fetch-Site: same-origin`, or its `Origin` is one that was [set](Console::origin). A
    /// request with a login and a key is refused, too.
    #[must_use]
    pub fn login(self, login: impl Fn(&Parts) -> Option<Actor> + Send + Sync + 'static) -> Self {
        self.login_async(move |parts| {
            let actor = login(parts);
            async move { Ok(actor) }
        })
    }

    /// [`login`](Console::login) for logins that have to be looked up. If the look-up fails, the answer is 503.
    ///
    /// ```
    /// # use apikey_console::Console;
    /// # use apikey_manager::{Actor, KeyManager};
    /// # async fn find_session(_: Option<http::HeaderValue>) -> std::io::Result<Option<Actor>> { Ok(None) }
    /// # fn build(keys: &KeyManager) -> Console {
    /// Console::new(keys).login_async(|request| {
    ///     let cookie = request.headers.get("cookie").cloned();
    ///     async move { Ok(find_session(cookie).await?) }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn login_async<F, Fut>(self, login: F) -> Self
    where
        F: Fn(&Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Actor>, BoxError>> + Send + 'static,
    {
        self.with(|config| config.login = Some(Arc::new(move |parts| Box::pin(login(parts)))))
    }

    /// Takes changes by a login from pages of this origin, such as `https://app.acme.example`, too.
    #[must_use]
    pub fn origin(self, origin: impl AsRef<str>) -> Self {
        self.with(|config| config.origins.push(origin.as_ref().trim_end_matches('/').to_owned()))
    }

    /// Bounds what is read of the bodies of requests that are answered without them, so that their clients have the
    /// answer.
    #[must_use]
    pub fn lingering(self, lingering: Lingering) -> Self {
        self.with(|config| config.lingering = lingering)
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

/// All routes, and who may ask for them.
#[derive(Clone)]
struct Routes {
    config: Arc<Config>,
    guarded: FinishService<ApiKeyService<Guarded>>,
}

impl Routes {
    fn of(config: Arc<Config>) -> Self {
        let guarded = guarded(&config, Guarded { config: Arc::clone(&config) });
        Routes { config, guarded }
    }

    async fn answer(mut self, mut request: Request<RequestBody>) -> Response<ResponseBody> {
        let found = match routes::find(request.method(), request.uri().path()) {
            Ok(found) => found,
            Err(failure) => return failure.into_response().map(ResponseBody::new),
        };
        let (parts, body) = request.into_parts();
        if let Run::Public(run) = found.route.run {
            let reply = run(&self.config, &parts).await.unwrap_or_else(Failure::into_response);
            return reply.map(ResponseBody::new);
        }
        let login = access::logged_in(&self.config, &parts).await;
        match login {
            Err(failure) => failure.into_response().map(ResponseBody::new),
            Ok(Some(actor)) => {
                let call = Call::new(self.config, actor, None, parts, body, &found);
                found.route.call(call).await.map(ResponseBody::new)
            }
            Ok(None) => {
                request = Request::from_parts(parts, body);
                request.extensions_mut().insert(found);
                match self.guarded.call(request).await {
                    Ok(response) => response.map(ResponseBody::new),
                    Err(never) => match never {},
                }
            }
        }
    }
}

impl Service<Request<LingerBody<AnyBody>>> for Routes {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<LingerBody<AnyBody>>) -> Self::Future {
        let routes = self.clone();
        let is_head = request.method() == Method::HEAD;
        let request = request.map(RequestBody::new);
        Box::pin(async move { Ok(finish(routes.answer(request).await, is_head)) })
    }
}

/// `routes` behind the authentication by keys.
///
/// Changes run to their end and are answered, also when a key ends itself: this layer is told so, and by the other one
/// whatever layers the host has further out.
fn guarded(config: &Config, routes: Guarded) -> FinishService<ApiKeyService<Guarded>> {
    let layer = ApiKeyLayer::new(config.keys.authenticator()).on_revoked(OnRevoked::Finish);
    FinishLayer.layer(layer.lingering(config.lingering.clone()).layer(routes))
}

impl<B> Service<Request<B>> for Console
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        ResponseFuture(self.routes.call(request.map(call::any_body)))
    }
}

/// What holds for every answer.
fn finish(mut response: Response<ResponseBody>, is_head: bool) -> Response<ResponseBody> {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_head {
        // RFC 9110 §9.3.2: no content, but the length that GET would have.
        if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = ResponseBody::new(Empty::new());
    }
    response
}

/// The routes that need a credential, behind the layer.
#[derive(Clone)]
struct Guarded {
    config: Arc<Config>,
}

impl Service<Request<RequestBody>> for Guarded {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let config = Arc::clone(&self.config);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let key = match caller(&parts.extensions) {
                Ok(key) => key.clone(),
                // The host's authenticator lets requests pass without a key; this doesn't.
                Err(rejection) => return Ok(tower_apikey::refusal(rejection)),
            };
            let (Some(found), Some(actor)) = (parts.extensions.remove::<Found>(), Actor::key(&key)) else {
                return Ok(Problem::forbidden().into_response());
            };
            let call = Call::new(config, actor, Some(key), parts, body, &found);
            Ok(found.route.call(call).await)
        })
    }
}

/// The response body of a [`Console`].
pub struct ResponseBody(UnsyncBoxBody<Bytes, BoxError>);

impl ResponseBody {
    fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        ResponseBody(body.map_err(Into::into).boxed_unsync())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The response future of a [`Console`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(LingerFuture<Answering>);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config();
        f.debug_struct("Console")
            .field("keys", &config.keys)
            .field("public_path", &config.public_path)
            .field("origins", &config.origins)
            .field("has_login", &config.login.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
