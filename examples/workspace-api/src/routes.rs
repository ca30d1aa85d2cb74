//! The routes: the API, for programs that have a key, and the page, for people who have signed in.

use std::{collections::HashMap, time::Duration};

use actix_apikey::{ApiKey, ApiKeyMiddleware, Problem, mount};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header::ALLOW};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Json, JsonConfig, Path, Query, ServiceConfig};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError, body::BoxBody};
use apikey_console::{Console, Page};
use apikey_manager::KeyManager;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::people::{LONGEST, Person, Role, SESSION, SignIn, actor, people, secret};
use crate::records::{NewRecord, Store};

const PAGE: &str = include_str!("../page.html");

/// The routes of each worker's application.
pub(crate) fn routes(
    keys: &KeyManager,
    store: Store,
    client_timeout: Duration,
) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let (store, authenticator) = (Data::new(store), keys.authenticator());
    let sessions = store.clone();
    let page = Page::new().title("Workspace").sign_in("/");
    let console = Console::new(keys).public_path("/keys").self_rotation(false).page(page).login_async(move |request| {
        let (sessions, cookies) = (sessions.clone(), request.headers.get("cookie").cloned());
        async move {
            let person = sessions.who(cookies.as_ref().and_then(|cookies| cookies.to_str().ok())).await;
            let person = person.map_err(|problem| problem.to_string())?;
            Ok(person.and_then(|person| actor(&person.email, &person.workspace, person.role)))
        }
    });
    move |config| {
        let in_time = move |request, next| in_time(client_timeout, request, next);
        let with_key =
            |path| web::resource(path).wrap(from_fn(in_time)).wrap(ApiKeyMiddleware::new(authenticator.clone()));
        let for_people = |path| web::resource(path).wrap(from_fn(in_time));
        let session = for_people("/session").route(web::get().to(session)).route(web::post().to(sign_in));
        let person = for_people("/people/{email}").route(web::put().to(set_person));
        let one = with_key("/v1/records/{id}").route(web::get().to(find)).route(web::put().to(put));
        config
            .app_data(store.clone())
            .app_data(JsonConfig::default().error_handler(|error, _| Problem::from(error).into()))
            .service(with_key("/v1/records").route(web::get().to(list)))
            .service(one.route(web::delete().to(delete)))
            .service(for_people("/").route(web::get().to(home)))
            .service(session.route(web::delete().to(sign_out)))
            .service(person.route(web::delete().to(remove_person)))
            .service(mount("/keys", console.clone()))
            .service(for_people("/healthz").route(web::get().to(async || "ok")))
            .default_service(web::to(async || {
                Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such route.").error_response()
            }));
    }
}

type Place = Data<Store>;
type Answer = Result<Json<Value>, Problem>;
type Reply = Result<HttpResponse, Problem>;

async fn list(key: ApiKey, store: Place, page: Query<HashMap<String, String>>) -> Answer {
    Ok(Json(store.list(workspace(&key), page.get("after").map_or("", String::as_str)).await?))
}

async fn find(key: ApiKey, store: Place, id: Path<String>) -> Answer {
    Ok(Json(store.get(workspace(&key), &id).await?))
}

/// The key is checked before the body is read, because the first failing argument answers.
async fn put(key: ApiKey, store: Place, id: Path<String>, Json(new): Json<NewRecord>) -> Reply {
    let told = store.put(workspace(&key), &id, new, key.name()).await?;
    let status = if told["change"] == "created" { StatusCode::CREATED } else { StatusCode::OK };
    Ok(HttpResponse::build(status).json(told))
}

async fn delete(key: ApiKey, store: Place, id: Path<String>) -> Answer {
    Ok(Json(store.delete(workspace(&key), &id).await?))
}

/// A key's organization is its workspace.
fn workspace(key: &ApiKey) -> &str {
    key.organization().map_or("", |organization| organization.as_str())
}

/// The page's script and style, and the console beside it, are all that runs.
async fn home() -> Reply {
    let nonce = secret("nonce")?;
    let nonce = nonce.expose_secret();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("content-security-policy", policy)).insert_header(("cache-control", "no-store"));
    answer.insert_header(("x-content-type-options", "nosniff")).insert_header(("referrer-policy", "no-referrer"));
    Ok(answer.content_type("text/html; charset=utf-8").body(PAGE.replace("{nonce}", nonce)))
}

async fn sign_in(store: Place, Json(sign_in): Json<SignIn>) -> Reply {
    Ok(with_session(store.sign_in(sign_in).await?.expose_secret(), LONGEST))
}

async fn sign_out(request: HttpRequest, store: Place) -> Reply {
    store.sign_out(header(&request, "cookie")).await?;
    Ok(with_session("", Duration::ZERO))
}

/// Who is signed in, and who else is in the workspace: members see whom to ask for a key.
async fn session(request: HttpRequest, store: Place) -> Answer {
    let person = signed_in(&request, &store).await?;
    Ok(Json(json!({"people": people(&store.pool, &person.workspace).await?, "person": person})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: Role,
}

/// The answer has the password of a new person, once.
async fn set_person(request: HttpRequest, store: Place, email: Path<String>, Json(new): Json<NewRole>) -> Answer {
    let by = signed_in(&request, &store).await?;
    let password = store.set(Some(&by), (&by.workspace, &email), Some(new.role)).await?;
    let password = password.as_ref().map(|password| password.expose_secret());
    Ok(Json(json!({"person": {"email": email.to_lowercase(), "role": new.role}, "password": password})))
}

async fn remove_person(request: HttpRequest, store: Place, email: Path<String>) -> Reply {
    let by = signed_in(&request, &store).await?;
    store.set(Some(&by), (&by.workspace, &email), None).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn signed_in(request: &HttpRequest, store: &Store) -> Result<Person, Problem> {
    let person = store.who(header(request, "cookie")).await?;
    person.ok_or(Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Sign in first."))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Answers with the session's cookie. Pages of other sites can't send it, and browsers send it over TLS alone, or to
/// localhost.
fn with_session(token: &str, lifetime: Duration) -> HttpResponse {
    let attributes = format!("Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={}", lifetime.as_secs());
    HttpResponse::NoContent().insert_header(("set-cookie", format!("{SESSION}={token}; {attributes}"))).finish()
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
