//! Extractors of the caller that the layer left in the request. They read request parts alone, so scopes are checked
//! before any body is read.

use std::{fmt, marker::PhantomData, ops::Deref};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use tower_apikey::{AuthenticatedKey, RequiredScopes, caller, optional_caller};

use crate::rejection::ApiKeyRejection;

/// The verified caller of a request; derefs to [`AuthenticatedKey`].
///
/// `Option<ApiKey>` is for routes under a layer that accepts anonymous requests. It is `None` if no credential was
/// sent, or one that is not an API key. The layer refuses invalid keys before the handler runs.
///
/// ```
/// use axum::{Json, Router, routing::get};
/// use axum_apikey::{ApiKey, Claims};
///
/// async fn whoami(key: ApiKey) -> Json<Claims> {
///     Json(key.claims().clone())
/// }
///
/// async fn greet(key: Option<ApiKey>) -> String {
///     format!("hello, {}", key.as_ref().map_or("stranger", |key| key.name()))
/// }
/// # let _: Router = Router::new().route("/whoami", get(whoami)).route("/", get(greet));
/// ```
///
/// # Errors
///
/// 401 if an optional layer accepted the request without a key; 500 if no `ApiKeyLayer` covers the route.
#[derive(Clone, Debug)]
pub struct ApiKey(pub AuthenticatedKey);

impl Deref for ApiKey {
    type Target = AuthenticatedKey;

    fn deref(&self) -> &AuthenticatedKey {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for ApiKey {
    type Rejection = ApiKeyRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiKeyRejection> {
        Ok(ApiKey(caller(&parts.extensions)?.clone()))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for ApiKey {
    type Rejection = ApiKeyRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiKeyRejection> {
        Ok(optional_caller(&parts.extensions)?.cloned().map(ApiKey))
    }
}

/// The verified caller of a request, with the scopes `S`. It derefs to [`AuthenticatedKey`].
///
/// `S` is a marker that [`scopes!`](crate::scopes) declares, a tuple of markers if all are required, or
/// [`AnyOf`](crate::AnyOf) a tuple if one is enough. A route may have several guards.
///
/// ```
/// use axum::{Router, routing::get};
/// use axum_apikey::{RequireScope, scopes};
///
/// scopes! {
///     pub Files {
///         FilesRead = "files:read",
///         FilesWrite = "files:write",
///     }
/// }
///
/// async fn upload(key: RequireScope<(FilesRead, FilesWrite)>, body: String) -> String {
///     format!("{} bytes from {}", body.len(), key.name())
/// }
/// # let _: Router = Router::new().route("/files", get(upload));
/// ```
///
/// # Errors
///
/// 403 without the scopes, and the errors of [`ApiKey`].
pub struct RequireScope<S> {
    key: AuthenticatedKey,
    scopes: PhantomData<fn() -> S>,
}

impl<S: RequiredScopes> RequireScope<S> {
    /// Checks `key` as the extractor does. It is for handlers that are called directly.
    ///
    /// ```
    /// use axum_apikey::{AuthenticatedKey, Claims, KeyId, RequireScope, ScopeSet, scopes};
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
    /// 403 without the scopes.
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

impl<S> Deref for RequireScope<S> {
    type Target = AuthenticatedKey;

    fn deref(&self) -> &AuthenticatedKey {
        &self.key
    }
}

impl<S: RequiredScopes, State: Sync> FromRequestParts<State> for RequireScope<S> {
    type Rejection = ApiKeyRejection;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiKeyRejection> {
        RequireScope::check(caller(&parts.extensions)?.clone())
    }
}

// Implemented by hand, because derives would require the traits of the marker.
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
