//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.

use std::sync::LazyLock;

use apikey_core::Scope;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::Full;
use utoipa::{
    OpenApi,
    openapi::{
        self, Components, ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Server, Type,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::{AdditionalProperties, Schema},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    input::{NoParams, Query},
    problem::{self, Failure},
    reply::Reply,
    routes::{self, Route, Run},
    service::Config,
};

/// The name of the security scheme.
const SCHEME: &str = "api_key";

/// What all of the document's addresses are below: relative to where it is served, so right wherever that is.
const SERVER: &str = "../v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "API keys",
        description = "The management of API keys: issue, list, change, rotate, disable, revoke and delete keys, see how they are used, and who did what.",
    ),
    paths(
        routes::api_keys::list,
        routes::api_keys::create,
        routes::revocations::bulk_revoke,
        routes::api_keys::get,
        routes::api_keys::update,
        routes::api_keys::delete,
        routes::key_changes::rotate,
        routes::key_changes::end_overlap,
        routes::key_changes::duplicate,
        routes::key_changes::disable,
        routes::key_changes::enable,
        routes::revocations::revoke,
        routes::usage::of_key,
        routes::activity::list,
        routes::revocations::self_revoke,
        routes::service_accounts::list,
        routes::service_accounts::create,
        routes::service_accounts::get,
        routes::service_accounts::update,
        routes::service_accounts::delete,
        routes::service_accounts::disable,
        routes::service_accounts::enable,
        routes::service_accounts::rotate_all,
        routes::usage::of_organization,
        routes::limits::get,
        routes::audit_events::list,
        routes::scopes::list,
        routes::whoami::get,
        routes::health::health,
        document,
    ),
    tags(
        (name = "keys", description = "The life of a key."),
        (name = "service accounts", description = "Names for programs, which hold keys as people do."),
        (name = "usage", description = "What keys did, and how much of a plan is in use."),
        (name = "audit", description = "What was done to keys, by whom."),
        (name = "caller", description = "What the caller is, and may be."),
        (name = "service", description = "For everybody."),
    ),
)]
struct Document;

/// The schemas of what callers send. No other fields are taken than those they name.
const INPUTS: [&str; 8] = [
    "NewApiKey",
    "ApiKeyPatch",
    "Rotation",
    "Revocation",
    "BulkRevocation",
    "NewServiceAccount",
    "ServiceAccountPatch",
    "Problem",
];

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "service", responses(
    (status = 200, description = "It.", body = Object),
))]
pub(crate) async fn document(config: &Config, parts: &Parts) -> Result<Reply, Failure> {
    Query::read::<NoParams>(&parts.uri)?;
    static DOCUMENT: LazyLock<openapi::OpenApi> = LazyLock::new(complete);
    let mut document = DOCUMENT.clone();
    if let Some(public_path) = &config.public_path {
        document.servers = Some(vec![Server::new(format!("{public_path}/v1"))]);
    }
    let body = serde_json::to_vec(&document).map_err(|error| Failure::internal(&error))?;
    let mut reply = Response::new(Full::from(body));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(reply)
}

/// The document with what holds for all routes.
pub(crate) fn complete() -> openapi::OpenApi {
    let mut document = Document::openapi();
    document.servers = Some(vec![Server::new(SERVER)]);
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(problem::SCHEMA.to_owned(), problem::schema().into());
    components.schemas.insert("FieldProblem".to_owned(), <problem::FieldProblem as utoipa::PartialSchema>::schema());
    for name in INPUTS {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, as the service has issued it."))
        .build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    for route in routes::all() {
        let operation = document.paths.paths.get_mut(route.path).and_then(|item| operation_of(item, &route.method));
        if let Some(operation) = operation {
            complete_operation(operation, route);
        }
    }
    document
}

pub(crate) fn operation_of<'i>(item: &'i mut PathItem, method: &Method) -> Option<&'i mut Operation> {
    let operation = match *method {
        Method::GET => &mut item.get,
        Method::POST => &mut item.post,
        Method::PATCH => &mut item.patch,
        Method::DELETE => &mut item.delete,
        _ => return None,
    };
    operation.as_mut()
}

fn complete_operation(operation: &mut Operation, route: &Route) {
    if route.path.contains("{id}") {
        let id = ParameterBuilder::new()
            .name("id")
            .parameter_in(ParameterIn::Path)
            .required(utoipa::openapi::Required::True)
            .description(Some("The id of a key or a service account."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        operation.parameters.get_or_insert_with(Vec::new).insert(0, RefOr::T(id));
    }
    let is_guarded = matches!(route.run, Run::Guarded(_));
    let is_change = route.method != Method::GET;
    let has_version = route.method == Method::PATCH;
    let refusals = [
        (true, StatusCode::BAD_REQUEST, "The request is malformed, or has more than one credential."),
        (is_guarded, StatusCode::UNAUTHORIZED, "The key is missing or not valid."),
        (is_guarded, StatusCode::FORBIDDEN, "The caller may not."),
        (route.path.contains("{id}"), StatusCode::NOT_FOUND, "There is no such thing in the caller's organization."),
        (is_change, StatusCode::CONFLICT, "It is in a state in which this can't be done, or a limit is reached."),
        (has_version, StatusCode::PRECONDITION_FAILED, "It has changed since it was read."),
        (is_change, StatusCode::PAYLOAD_TOO_LARGE, "The body is longer than 64 KiB."),
        (is_change, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON."),
        (true, StatusCode::UNPROCESSABLE_ENTITY, "Some fields or parameters can't be taken; each is named."),
        (true, StatusCode::SERVICE_UNAVAILABLE, "The store can't be reached."),
        (is_change, StatusCode::GATEWAY_TIMEOUT, "Whether the change was made is not known."),
    ];
    for (_, status, description) in refusals.into_iter().filter(|(applies, ..)| *applies) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(problem::SCHEMA))).build();
        let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
        operation.responses.responses.insert(status.as_u16().to_string(), RefOr::T(response.build()));
    }
    operation.security = Some(match is_guarded {
        true => {
            let scopes: Vec<String> = route.needs.iter().map(Scope::to_string).collect();
            vec![SecurityRequirement::new(SCHEME, scopes)]
        }
        false => Vec::new(),
    });
}
