//! The console as a tower service: the router, and the headers of every answer.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::BoxError;
use apikey_manager::{Actor, KeyManager, OrganizationId};
use axum::{Router, body::Body as AnyBody};
use bytes::{Buf, Bytes};
use http::{
    Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower::util::MapResponse;
use tower_apikey::{FinishLayer, LingerLayer, Lingering, RequestDescription};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    config::{Config, by_template},
    page::Page,
    routes,
    session::Sessions,
};

/// A tower service that manages keys: a REST API under `v1`, for keys with `keys:read`, `keys:write` or `keys:admin`,
/// and for users that the host has logged in.
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
/// Addresses in answers are relative, so they are right under any prefix and behind a proxy that adds or removes one.
/// [`public_path`](Console::public_path) makes them absolute, for clients that don't resolve references.
///
/// # Security
///
/// Only `v1/health` and `v1/openapi.json` are public. There is no default credential: the first key comes from
/// [`KeyManager::bootstrap`] or from the host's own code. The console needs no layer around it.
#[derive(Clone)]
pub struct Console {
    config: Arc<Config>,
    router: Router,
}

impl Console {
    /// Creates a console for `keys`.
    #[must_use]
    pub fn new(keys: &KeyManager) -> Self {
        Console::of(Config {
            keys: keys.clone(),
            public_path: None,
            origins: Vec::new(),
            login: None,
            page: None,
            sessions: None,
            self_rotation: true,
            operators: None,
            lingering: Lingering::new(),
            describe: Arc::new(by_template),
        })
    }

    fn of(config: Config) -> Self {
        let config = Arc::new(config);
        Console { router: routes::router(&config), config }
    }

    fn with(self, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::clone(&self.config);
        set(&mut config);
        Console::of(config)
    }

    /// Sets the path at which clients find the service, such as `/api/keys`, for absolute addresses in `Location` and
    /// in the OpenAPI document.
    ///
    /// Without it, the document's server is `../v1`, relative to the document, as OpenAPI specifies. Swagger UI
    /// resolves that. schemathesis resolves relative addresses against the root of the host, and so needs a public
    /// path.
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

    /// Also accepts users that the host has logged in.
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
    /// Browsers send cookies with the requests of foreign pages, too. Changes are therefore rejected unless the request
    /// has `Sec-Fetch-Site: same-origin` or an `Origin` that was [set](Console::origin). A request with both a login
    /// and a key is rejected as well. A change with a body asks for the login before the body is read and again after, and
    /// is rejected if the answers differ.
    #[must_use]
    pub fn login(self, login: impl Fn(&Parts) -> Option<Actor> + Send + Sync + 'static) -> Self {
        self.login_async(move |parts| {
            let actor = login(parts);
            async move { Ok(actor) }
        })
    }

    /// Like [`login`](Console::login), for logins that are looked up. If the lookup fails, the answer is 503.
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

    /// Also accepts changes by a login from pages of this origin, such as `https://app.acme.example`.
    #[must_use]
    pub fn origin(self, origin: impl AsRef<str>) -> Self {
        self.with(|config| config.origins.push(origin.as_ref().trim_end_matches('/').to_owned()))
    }

    /// Also serves the page for people, who sign in with a key, or [with the host](Page::sign_in).
    ///
    /// ```
    /// # use apikey_console::{Console, Page};
    /// # fn build(keys: &apikey_manager::KeyManager) -> Console {
    /// Console::new(keys).page(Page::new().title("Acme"))
    /// # }
    /// ```
    #[must_use]
    pub fn page(self, page: Page) -> Self {
        self.with(|config| {
            config.sessions = page.sign_in.is_none().then(|| Sessions::new(&page));
            config.page = Some(page);
        })
    }

    /// Sets whether keys may rotate themselves with `POST v1/self-rotate`. The default is `true`.
    ///
    /// If `false`, the route doesn't exist, and rotating a key needs `keys:write`.
    #[must_use]
    pub fn self_rotation(self, self_rotation: bool) -> Self {
        self.with(|config| config.self_rotation = self_rotation)
    }

    /// Names the organization of those who operate the service. Its callers with `keys:read` see all processes on the
    /// database, with `GET v1/fleet` and on the page. For all others the route doesn't exist. The default is nobody.
    ///
    /// ```
    /// # use apikey_console::Console;
    /// # use apikey_manager::{KeyManager, OrganizationId};
    /// # fn build(keys: &KeyManager) -> Result<Console, Box<dyn std::error::Error>> {
    /// Ok(Console::new(keys).operators(OrganizationId::new("acme-operations")?))
    /// # }
    /// ```
    #[must_use]
    pub fn operators(self, organization: OrganizationId) -> Self {
        self.with(|config| config.operators = Some(organization))
    }

    /// Sets the bounds for reading the bodies of rejected requests, so that their clients receive the answer.
    #[must_use]
    pub fn lingering(self, lingering: Lingering) -> Self {
        self.with(|config| config.lingering = lingering)
    }

    /// Sets how a request is described to the record of what its key did, if the manager keeps one. The default is the
    /// template of its route, such as `/v1/api-keys/{id}`.
    ///
    /// Pass what `ApiKeyLayer::describe_requests` is given for the service's own routes: it knows the client's address.
    #[must_use]
    pub fn describe_requests(
        self,
        describe: impl Fn(&HeaderMap, &Extensions) -> RequestDescription + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| config.describe = Arc::new(describe))
    }
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
        let routes = MapResponse::new(self.router.clone(), finish);
        // Changes run to their end and are answered, even if a key revokes itself. This applies to the host's layers,
        // too.
        let routes = FinishLayer::new().layer(routes);
        let mut routes = LingerLayer::new().lingering(self.config.lingering.clone()).layer(routes);
        ResponseFuture(Box::pin(routes.call(request.map(any_body))))
    }
}

fn any_body<B>(body: B) -> AnyBody
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let whole = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    AnyBody::new(body.map_frame(move |frame| frame.map_data(whole)))
}

/// Adds the headers of every answer, and corrects those that the router adds.
fn finish(mut response: Response<AnyBody>) -> Response<ResponseBody> {
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // RFC 9110 §8.6: 204 has no length, and 304 has the length of the corresponding 200.
        headers.remove(CONTENT_LENGTH);
    }
    let allowed =
        headers.get(ALLOW).and_then(|allowed| allowed.to_str().ok()).map(|allowed| allowed.replace(',', ", "));
    if let Some(Ok(allowed)) = allowed.map(HeaderValue::try_from) {
        headers.insert(ALLOW, allowed);
    }
    response.map(ResponseBody)
}

/// The response body of a [`Console`].
pub struct ResponseBody(AnyBody);

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(axum::Error::into_inner)
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
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
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
