//! Extractors: a handler with one of them runs only for verified callers.
//!
//! They read what [`ApiKeyMiddleware`](crate::ApiKeyMiddleware) left in the request and never look at headers.

use std::{
    fmt,
    future::{Ready, ready},
    marker::PhantomData,
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use apikey_core::{AuthenticatedKey, Rejection, RequiredScopes, adapter};

use crate::rejection::ApiKeyRejection;

const LAYER: &str = "ApiKeyMiddleware";

/// Returns the caller that the middleware accepted.
pub(crate) fn caller(request: &HttpRequest) -> Result<AuthenticatedKey, Rejection> {
    let extensions = request.extensions();
    adapter::caller(extensions.get(), extensions.get(), LAYER).cloned()
}

/// The caller, for handlers that any valid key may call.
///
/// ```
/// use actix_apikey::ApiKey;
///
/// async fn whoami(key: ApiKey) -> String {
///     key.name().to_owned()
/// }
/// ```
///
/// It derefs to the [`AuthenticatedKey`].
///
/// # Errors
///
/// 401 for an anonymous request that the middleware accepted; 500 on a route that no middleware covers.
#[derive(Clone, Debug)]
pub struct ApiKey(pub AuthenticatedKey);

/// The caller, if there is one. It is for routes whose authenticator is
/// [`optional`](crate::AuthenticatorBuilder::optional) or accepts foreign tokens.
///
/// ```
/// use actix_apikey::MaybeApiKey;
///
/// async fn greet(MaybeApiKey(key): MaybeApiKey) -> String {
///     match key {
///         Some(key) => format!("Hello, {}.", key.name()),
///         None => "Hello.".to_owned(),
///     }
/// }
/// ```
///
/// It is `None` only if no key was sent: the middleware refuses invalid keys. `Option<ApiKey>` differs, because actix
/// turns every error into `None`, even a missing middleware.
///
/// # Errors
///
/// 500 on a route that no middleware covers.
#[derive(Clone, Debug)]
pub struct MaybeApiKey(pub Option<AuthenticatedKey>);

/// The caller, with the scopes `S`.
///
/// ```
/// use actix_apikey::{AnyOf, RequireScope, scopes};
///
/// scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }
///
/// async fn list(key: RequireScope<AnyOf<(FilesRead, FilesWrite)>>) -> String {
///     format!("the files of {}", key.name())
/// }
/// ```
///
/// It derefs to the [`AuthenticatedKey`]. Actix polls a handler's extractors concurrently: one that reads the body,
/// such as `web::Json`, may have begun when this one refuses. To read nothing for callers without the scope, put a
/// [`RequireScopeMiddleware`](crate::RequireScopeMiddleware) around the resource.
///
/// # Errors
///
/// 403 if a scope is missing, and the errors of [`ApiKey`].
pub struct RequireScope<S> {
    key: AuthenticatedKey,
    scopes: PhantomData<fn() -> S>,
}

impl<S: RequiredScopes> RequireScope<S> {
    /// Checks `key` as the extractor does. It is for handlers that are called directly.
    ///
    /// ```
    /// use actix_apikey::{AuthenticatedKey, Claims, KeyId, RequireScope, ScopeSet, scopes};
    ///
    /// scopes! { Files { FilesRead = "files:read" } }
    ///
    /// let claims = Claims::new(KeyId::new("k-1")?).with_scopes(ScopeSet::parse("files:*")?);
    /// assert!(RequireScope::<FilesRead>::check(AuthenticatedKey::fake(claims)).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// 403 if a scope is missing.
    pub fn check(key: AuthenticatedKey) -> Result<Self, ApiKeyRejection> {
        key.require::<S>()?;
        Ok(RequireScope { key, scopes: PhantomData })
    }
}

impl<S> RequireScope<S> {
    /// Returns the key.
    #[must_use]
    pub fn into_key(self) -> AuthenticatedKey {
        self.key
    }
}

impl FromRequest for ApiKey {
    type Error = ApiKeyRejection;
    type Future = Ready<Result<Self, ApiKeyRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map(ApiKey).map_err(ApiKeyRejection::from))
    }
}

impl FromRequest for MaybeApiKey {
    type Error = ApiKeyRejection;
    type Future = Ready<Result<Self, ApiKeyRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let key = adapter::optional_caller(extensions.get(), extensions.get(), LAYER);
        ready(key.map(|key| MaybeApiKey(key.cloned())).map_err(ApiKeyRejection::from))
    }
}

impl<S: RequiredScopes> FromRequest for RequireScope<S> {
    type Error = ApiKeyRejection;
    type Future = Ready<Result<Self, ApiKeyRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map_err(ApiKeyRejection::from).and_then(RequireScope::check))
    }
}

impl Deref for ApiKey {
    type Target = AuthenticatedKey;

    fn deref(&self) -> &AuthenticatedKey {
        &self.0
    }
}

impl Deref for MaybeApiKey {
    type Target = Option<AuthenticatedKey>;

    fn deref(&self) -> &Option<AuthenticatedKey> {
        &self.0
    }
}

impl<S> Deref for RequireScope<S> {
    type Target = AuthenticatedKey;

    fn deref(&self) -> &AuthenticatedKey {
        &self.key
    }
}

impl<S> Clone for RequireScope<S> {
    fn clone(&self) -> Self {
        RequireScope { key: self.key.clone(), scopes: PhantomData }
    }
}

impl<S> fmt::Debug for RequireScope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequireScope").field(&self.key).finish()
    }
}
