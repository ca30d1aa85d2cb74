//! What the service answers, and which scope each answer needs. What it keeps, `store` knows.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use apikey_console::Console;
use apikey_sqlx::KeyManager;
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    handler::Handler,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::IntoResponse,
    routing::{get, put},
};
use axum_apikey::{ApiKeyLayer, LingerLayer, Lingering, RequireScope, scopes};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tower_http::timeout::{RequestBodyDeadlineLayer, RequestBodyTimeoutLayer};

use crate::{
    account::{self, Account},
    keys,
    problem::Problem,
    store::{About, Aggregator, Environment, File, Kept, Member, ROOM, Store, is_name},
};

scopes! {
    /// What a key may do.
    pub(crate) Scopes {
        /// List environments, and read what is known of them.
        EnvironmentsRead = "environments:read",
        /// Create, change and delete environments.
        EnvironmentsWrite = "environments:write",
        /// List and download files.
        FilesRead = "files:read",
        /// Upload and delete files.
        FilesWrite = "files:write",
        /// List the members of environments.
        MembersRead = "members:read",
        /// Add, change and remove members.
        MembersWrite = "members:write",
        /// Read the account, its usage and its balance.
        AccountRead = "account:read",
        /// Read how aggregators are configured.
        AggregatorsRead = "aggregators:read",
        /// Change aggregators and their custom domains.
        AggregatorsWrite = "aggregators:write",
    }
}

/// Of bodies that are JSON.
const MAX_BODY: usize = 64 * 1024;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) environment: keys::Environment,
    pub(crate) keys: KeyManager,
    pub(crate) store: Store,
}

pub(crate) fn app(service: Service, client_timeout: Duration) -> Router {
    let lingering = Lingering::new().max_time(client_timeout);
    let console = Console::new(&service.keys).public_path("/keys").lingering(lingering.clone());
    Router::new()
        .route("/v1/environments", get(environments))
        .route("/v1/environments/{name}", get(environment).put(put_environment).delete(delete_environment))
        .route("/v1/environments/{environment}/files", get(files))
        .route("/v1/environments/{environment}/files/{name}", get(file).delete(delete_file))
        .route("/v1/environments/{environment}/members", get(members))
        .route("/v1/environments/{environment}/members/{name}", put(put_member).delete(delete_member))
        .route("/v1/account", get(read_account))
        .route("/v1/aggregators", get(aggregators))
        .route("/v1/aggregators/{name}", put(put_aggregator))
        .route_layer(RequestBodyDeadlineLayer::new(client_timeout))
        // A file may take longer, as long as something of it comes.
        .route(
            "/v1/environments/{environment}/files/{name}/content",
            get(download).put(upload.layer(RequestBodyTimeoutLayer::new(client_timeout))),
        )
        // Routes above need a key; those below don't, or ask for one themselves.
        .route_layer(ApiKeyLayer::new(service.keys.authenticator()))
        .nest_service("/keys", console)
        .route("/healthz", get(async || "ok"))
        .fallback(async || Problem::not_found("There is no such route."))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outermost: whoever is refused has the answer, though it still sends.
        .layer(LingerLayer::with(lingering))
        .with_state(service)
}

/// A body as JSON, or what is wrong with it.
type Input<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, Problem>;
/// What is at an address now, and whether it is new there.
type Put<T> = Result<(StatusCode, Json<Named<T>>), Problem>;
type Deleted = Result<StatusCode, Problem>;

/// Something with its name.
#[derive(Serialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    value: T,
}

async fn environments(_: RequireScope<EnvironmentsRead>, State(service): State<Service>) -> Json<Vec<Named<About>>> {
    let named = |(name, environment): (&String, &Environment)| Named::new(name, &environment.about);
    Json(service.store.read(|kept| kept.environments.iter().map(named).collect()))
}

async fn environment(
    _: RequireScope<EnvironmentsRead>,
    State(service): State<Service>,
    Path(name): Path<String>,
) -> Answer<Named<About>> {
    service.store.read(|kept| Ok(Json(Named::new(&name, &of(kept, &name)?.about))))
}

async fn put_environment(
    _: RequireScope<EnvironmentsWrite>,
    State(service): State<Service>,
    Path(name): Path<String>,
    body: Input<About>,
) -> Put<About> {
    let (name, Json(about)) = (checked(name)?, body?);
    Ok(service.store.change(|kept| {
        let is_new = !kept.environments.contains_key(&name);
        kept.environments.entry(name.clone()).or_default().about = about.clone();
        done(is_new, name, about)
    }))
}

/// Deletes an environment with its files and members.
async fn delete_environment(
    _: RequireScope<EnvironmentsWrite>,
    State(service): State<Service>,
    Path(name): Path<String>,
) -> Deleted {
    gone(service.store.change(|kept| kept.environments.remove(&name)))
}

async fn files(
    _: RequireScope<FilesRead>,
    State(service): State<Service>,
    Path(environment): Path<String>,
) -> Answer<Vec<Named<File>>> {
    service.store.read(|kept| Ok(Json(list(&of(kept, &environment)?.files))))
}

async fn file(
    _: RequireScope<FilesRead>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
) -> Answer<Named<File>> {
    service.store.read(|kept| {
        let file = of(kept, &environment)?.files.get(&name).ok_or(NOTHING)?;
        Ok(Json(Named::new(&name, file)))
    })
}

/// Sends a file piece by piece. If its key is revoked meanwhile it breaks off, as its length shows.
async fn download(
    _: RequireScope<FilesRead>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let file = service.store.read(|kept| of(kept, &environment)?.files.get(&name).cloned().ok_or(NOTHING))?;
    let headers = [
        (CONTENT_LENGTH, file.size.to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        // Whatever it says, it is no page of this service.
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream::iter(file.chunks.into_iter().map(Ok::<_, Infallible>)))))
}

/// Takes a file piece by piece. If its key is revoked meanwhile this is dropped, and there is no file.
async fn upload(
    key: RequireScope<FilesWrite>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
    body: Body,
) -> Put<File> {
    let name = checked(name)?;
    let mut room = service.store.read(|kept| of(kept, &environment).map(|_| ROOM.saturating_sub(kept.stored())))?;
    let (mut file, mut chunks) = (File::new(key.name()), body.into_data_stream());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::incomplete(&error))?;
        room = room.checked_sub(chunk.len()).ok_or_else(Problem::too_large)?;
        file.push(chunk);
    }
    service.store.change(|kept| {
        // Others may have taken the room meanwhile.
        let stored = kept.stored();
        let files = &mut of_mut(kept, &environment)?.files;
        let replaced = files.get(&name).map_or(0, |old| old.size);
        if stored - replaced + file.size > ROOM {
            return Err(Problem::too_large());
        }
        let is_new = files.insert(name.clone(), file.clone()).is_none();
        Ok(done(is_new, name, file))
    })
}

async fn delete_file(
    _: RequireScope<FilesWrite>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
) -> Deleted {
    service.store.change(|kept| gone(of_mut(kept, &environment)?.files.remove(&name)))
}

async fn members(
    _: RequireScope<MembersRead>,
    State(service): State<Service>,
    Path(environment): Path<String>,
) -> Answer<Vec<Named<Member>>> {
    service.store.read(|kept| Ok(Json(list(&of(kept, &environment)?.members))))
}

async fn put_member(
    _: RequireScope<MembersWrite>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
    body: Input<Member>,
) -> Put<Member> {
    let (name, Json(member)) = (checked(name)?, body?);
    service.store.change(|kept| {
        let members = &mut of_mut(kept, &environment)?.members;
        let is_new = members.insert(name.clone(), member.clone()).is_none();
        Ok(done(is_new, name, member))
    })
}

async fn delete_member(
    _: RequireScope<MembersWrite>,
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
) -> Deleted {
    service.store.change(|kept| gone(of_mut(kept, &environment)?.members.remove(&name)))
}

async fn read_account(_: RequireScope<AccountRead>, State(service): State<Service>) -> Answer<Account> {
    let stored = service.store.read(Kept::stored);
    match account::read(service.environment, &service.keys, stored).await {
        Ok(account) => Ok(Json(account)),
        Err(error) => Err(Problem::unavailable(error.as_ref())),
    }
}

async fn aggregators(_: RequireScope<AggregatorsRead>, State(service): State<Service>) -> Json<Vec<Named<Aggregator>>> {
    Json(service.store.read(|kept| list(&kept.aggregators)))
}

async fn put_aggregator(
    _: RequireScope<AggregatorsWrite>,
    State(service): State<Service>,
    Path(name): Path<String>,
    body: Input<Aggregator>,
) -> Put<Aggregator> {
    let (name, Json(aggregator)) = (checked(name)?, body?);
    let before = service.store.change(|kept| kept.aggregators.insert(name.clone(), aggregator.clone()));
    Ok(done(before.is_none(), name, aggregator))
}

const NO_ENVIRONMENT: Problem = Problem::not_found("There is no such environment.");
const NOTHING: Problem = Problem::not_found("There is nothing of this name.");

fn of<'k>(kept: &'k Kept, environment: &str) -> Result<&'k Environment, Problem> {
    kept.environments.get(environment).ok_or(NO_ENVIRONMENT)
}

fn of_mut<'k>(kept: &'k mut Kept, environment: &str) -> Result<&'k mut Environment, Problem> {
    kept.environments.get_mut(environment).ok_or(NO_ENVIRONMENT)
}

fn checked(name: String) -> Result<String, Problem> {
    if is_name(&name) { Ok(name) } else { Err(Problem::bad_name()) }
}

fn done<T>(is_new: bool, name: String, value: T) -> (StatusCode, Json<Named<T>>) {
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(Named { name, value }))
}

fn gone<T>(removed: Option<T>) -> Deleted {
    removed.map(|_| StatusCode::NO_CONTENT).ok_or(NOTHING)
}

fn list<T: Clone>(all: &BTreeMap<String, T>) -> Vec<Named<T>> {
    all.iter().map(|(name, value)| Named::new(name, value)).collect()
}

impl<T: Clone> Named<T> {
    fn new(name: &str, value: &T) -> Self {
        Named { name: name.to_owned(), value: value.clone() }
    }
}
