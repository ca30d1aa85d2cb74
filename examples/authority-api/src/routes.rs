//! The routes and their scopes. `authority` has the data.

use std::time::Duration;

use actix_apikey::{
    ApiKey, ApiKeyMiddleware, OrganizationId, Problem, RequireScope, ScopeCatalog, ScopeError, mount, scopes,
};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header::ALLOW};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Json, JsonConfig, Path, Query, QueryConfig, ServiceConfig};
use actix_web::{Error, HttpResponse, ResponseError, body::BoxBody, error::JsonPayloadError};
use apikey_console::{Console, Page};
use apikey_manager::KeyManager;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::authority::{Authority, NewRevocation, NewSettings, not_revoked};

scopes! {
    /// The scopes of the service itself. `/keys` has `keys:read`, `keys:write` and `keys:admin`.
    pub(crate) Scopes {
        /// Get the signed list, and check single ids.
        RevocationsCheck = "revocations:check",
        /// See revocations, with who made them and why.
        RevocationsRead = "revocations:read",
        /// Make and delete revocations, and sign the list again.
        RevocationsWrite = "revocations:write",
        /// See the settings.
        SettingsRead = "settings:read",
        /// Change the settings.
        SettingsWrite = "settings:write",
    }
}

/// The service itself. All keys belong to one organization here. In a service with customers, each customer is an
/// organization.
pub(crate) const ORGANIZATION: &str = "main";

/// The roles and scopes that keys can be granted.
pub(crate) fn catalog() -> Result<ScopeCatalog, ScopeError> {
    Scopes::catalog()
        .role("admin", ["*"])?
        .role("authorizer", ["revocations:check"])?
        .role("read-only", ["revocations:check", "revocations:read", "settings:read", "keys:read"])
}

/// The routes of each worker's application.
pub(crate) fn routes(
    keys: &KeyManager,
    authority: Authority,
    client_timeout: Duration,
) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let (authority, authenticator) = (Data::new(authority), keys.authenticator());
    let console = Console::new(keys).public_path("/keys").page(Page::new().title("Authority"));
    move |config| {
        let in_time = move |request, next| in_time(client_timeout, request, next);
        let open = |path| web::resource(path).wrap(from_fn(in_time));
        let with_key = |path| open(path).wrap(from_fn(own)).wrap(ApiKeyMiddleware::new(authenticator.clone()));
        let key_set = async |authority: Store| Json(authority.signer.key_set());
        config
            .app_data(authority.clone())
            .app_data(JsonConfig::default().error_handler(|error, _| match &error {
                JsonPayloadError::Deserialize(data) if data.is_data() => invalid(data).into(),
                _ => Problem::from(error).into(),
            }))
            .app_data(QueryConfig::default().error_handler(|error, _| invalid(&error).into()))
            .service(with_key("/revocations").route(web::get().to(list)).route(web::post().to(revoke)))
            .service(with_key("/revocations/{id}").route(web::get().to(find)).route(web::delete().to(reinstate)))
            .service(with_key("/revocations/{id}/check").route(web::get().to(check)))
            .service(with_key("/revocation-list").route(web::get().to(signed_list)).route(web::post().to(regenerate)))
            .service(with_key("/settings").route(web::get().to(settings)).route(web::patch().to(set)))
            .service(mount("/keys", console.clone()))
            .service(open("/.well-known/jwks.json").route(web::get().to(key_set)))
            .service(open("/healthz").route(web::get().to(async || "ok")))
            .default_service(web::to(async || {
                Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such route.").error_response()
            }));
    }
}

type Store = Data<Authority>;
type Answer = Result<Json<Value>, Problem>;
type Reply = Result<HttpResponse, Problem>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: String,
}

async fn list(_: RequireScope<RevocationsRead>, authority: Store, page: Query<After>) -> Answer {
    Ok(Json(authority.list(&page.after).await?))
}

/// The scope is checked before the body is read, because the first failing argument answers.
async fn revoke(key: RequireScope<RevocationsWrite>, authority: Store, Json(new): Json<NewRevocation>) -> Reply {
    Ok(HttpResponse::Created().json(authority.revoke(new, key.name()).await?))
}

async fn find(_: RequireScope<RevocationsRead>, authority: Store, id: Path<String>) -> Answer {
    Ok(Json(authority.find(&id).await?.ok_or_else(not_revoked)?))
}

async fn reinstate(_: RequireScope<RevocationsWrite>, authority: Store, id: Path<String>) -> Reply {
    authority.reinstate(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn check(_: RequireScope<RevocationsCheck>, authority: Store, id: Path<String>) -> Answer {
    Ok(Json(json!({"id": *id, "revoked": authority.find(&id).await?.is_some()})))
}

async fn signed_list(_: RequireScope<RevocationsCheck>, authority: Store) -> Reply {
    Ok(as_jws(authority.signed_list().await?))
}

async fn regenerate(_: RequireScope<RevocationsWrite>, authority: Store) -> Reply {
    Ok(as_jws(authority.regenerate().await?))
}

fn as_jws(list: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/jose").body(list)
}

async fn settings(_: RequireScope<SettingsRead>, authority: Store) -> Answer {
    Ok(Json(authority.settings().await?))
}

async fn set(_: RequireScope<SettingsWrite>, authority: Store, Json(new): Json<NewSettings>) -> Answer {
    Ok(Json(authority.set(new).await?))
}

/// Refuses keys of other organizations, because everything here is one organization's.
async fn own(key: ApiKey, request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    match key.organization().map(OrganizationId::as_str) {
        Some(ORGANIZATION) => next.call(request).await,
        _ => {
            let detail = "The key is another organization's.";
            Err(Problem::new(StatusCode::FORBIDDEN, "wrong_organization", detail).into())
        }
    }
}

/// Limits the time of a request with its body, since actix limits the head alone, and says that a method is not allowed, since
/// actix's answer has no body.
async fn in_time(limit: Duration, request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request took too long.");
    let answer = actix_web::rt::time::timeout(limit, next.call(request)).await.unwrap_or_else(|_| Err(late.into()))?;
    let Some(allow) = answer.headers().get(ALLOW).filter(|_| answer.status() == 405).cloned() else {
        return Ok(answer);
    };
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path has no such method.");
    let mut told = problem.error_response();
    told.headers_mut().insert(ALLOW, allow);
    Ok(answer.into_response(told))
}

fn invalid(error: &impl ToString) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())
}
