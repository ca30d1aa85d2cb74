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
    texts::{Id, WantedId},
};

/// The name of the security scheme.
const SCHEME: &str = "api_key";

/// What all of the document's addresses are below: relative to where it is served, so right wherever that is.
const SERVER: &str = "../v1";

/// The form of `If-Match` and `If-None-Match` (RFC 9110 §8.8.3).
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

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

/// The schemas of what callers send, in which no other fields are taken, and of what they are told.
const CLOSED: [&str; 9] = [
    "NewApiKey",
    "ApiKeyPatch",
    "Rotation",
    "Revocation",
    "KeyRevocation",
    "BulkRevocation",
    "NewServiceAccount",
    "ServiceAccountPatch",
    "Problem",
];

/// An answer that many routes have.
struct Refusal {
    status: StatusCode,
    name: &'static str,
    description: &'static str,
    when: When,
}

/// Which routes have it.
enum When {
    Always,
    /// Those that need a credential.
    Guarded,
    /// Those with an id in their path.
    Named,
    /// Those that read what is kept, some to change it.
    Reading,
    /// Those that change something.
    Changing,
    /// Those that look at `If-Match`.
    Versioned,
}

const fn refusal(status: StatusCode, name: &'static str, when: When, description: &'static str) -> Refusal {
    Refusal { status, name, description, when }
}

const REFUSALS: [Refusal; 13] = [
    refusal(StatusCode::BAD_REQUEST, "Malformed", When::Always, "It is malformed, or has more than one credential."),
    refusal(StatusCode::UNAUTHORIZED, "Unauthorized", When::Guarded, "The key is missing or not valid."),
    refusal(StatusCode::FORBIDDEN, "Forbidden", When::Guarded, "The caller may not."),
    refusal(StatusCode::NOT_FOUND, "NotFound", When::Named, "There is no such thing in the caller's organization."),
    refusal(
        StatusCode::CONFLICT,
        "Conflict",
        When::Changing,
        "It can't be done in this state, a limit is reached, or somebody else was faster.",
    ),
    refusal(StatusCode::PRECONDITION_FAILED, "Stale", When::Versioned, "It has changed since it was read."),
    refusal(StatusCode::REQUEST_TIMEOUT, "TooSlow", When::Changing, "The body took longer than 30 seconds."),
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", When::Changing, "The body is longer than 64 KiB."),
    refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "NotJson", When::Changing, "The body is not said to be JSON."),
    refusal(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Invalid",
        When::Always,
        "Some fields or parameters can't be taken; each is named.",
    ),
    refusal(
        StatusCode::TOO_MANY_REQUESTS,
        "Busy",
        When::Reading,
        "The caller's organization reads too much at once. `Retry-After` says when to try again.",
    ),
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "Unavailable",
        When::Always,
        "The store can't be reached, or too much is read at once. `Retry-After` says when to try again.",
    ),
    refusal(StatusCode::GATEWAY_TIMEOUT, "UnknownOutcome", When::Changing, "Whether the change was made is not known."),
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
    components.schemas.insert("Id".to_owned(), <Id as utoipa::PartialSchema>::schema());
    components.schemas.insert("WantedId".to_owned(), <WantedId as utoipa::PartialSchema>::schema());
    components.schemas.insert("FieldProblem".to_owned(), <problem::FieldProblem as utoipa::PartialSchema>::schema());
    for Refusal { name, description, .. } in REFUSALS {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(problem::SCHEMA))).build();
        let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
        components.responses.insert(name.to_owned(), RefOr::T(response.build()));
    }
    for name in CLOSED {
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
            .schema(Some(Ref::from_schema_name("Id")))
            .build();
        operation.parameters.get_or_insert_with(Vec::new).insert(0, RefOr::T(id));
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Header
        {
            // A header is left out, and never null.
            let tags = ObjectBuilder::new().schema_type(Type::String).pattern(Some(ENTITY_TAGS));
            parameter.schema = Some(tags.into());
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            // A body is left out, and never null.
            if let RefOr::T(content) = content
                && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
                && let Some(reference) = either.items.iter().find(|schema| matches!(schema, RefOr::Ref(_)))
            {
                content.schema = Some(reference.clone());
            }
        }
    }
    let is_guarded = matches!(route.run, Run::Guarded(_));
    let is_change = route.method != Method::GET;
    for refusal in &REFUSALS {
        let applies = match refusal.when {
            When::Always => true,
            When::Guarded => is_guarded,
            When::Named => route.path.contains("{id}"),
            // The scopes that there are stand in the configuration.
            When::Reading => {
                matches!(route.method, Method::GET | Method::PATCH) && route.needs.is_some() && route.path != "/scopes"
            }
            When::Changing => is_change,
            When::Versioned => route.method == Method::PATCH,
        };
        if applies {
            let response = RefOr::Ref(Ref::from_response_name(refusal.name));
            operation.responses.responses.insert(refusal.status.as_u16().to_string(), response);
        }
    }
    operation.security = Some(match is_guarded {
        true => {
            let scopes: Vec<String> = route.needs.iter().map(Scope::to_string).collect();
            vec![SecurityRequirement::new(SCHEME, scopes)]
        }
        false => Vec::new(),
    });
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs};

    use serde_json::Value;
    use utoipa::{IntoParams, PartialSchema};

    use super::*;
    use crate::{
        input::{Fields, Input, Params},
        routes::{activity, api_keys, audit_events, key_changes, key_view, revocations, service_accounts, usage},
    };

    /// The document as it was when somebody last looked at it.
    const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn given_the_document_when_generated_then_it_is_the_committed_one() {
        let generated = complete().to_pretty_json().unwrap() + "\n";
        if env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(SNAPSHOT, &generated).unwrap();
        }
        let committed = fs::read_to_string(SNAPSHOT).unwrap_or_default();
        assert!(
            generated == committed,
            "openapi.json is another: renew it with UPDATE_OPENAPI=1, and read the difference"
        );
    }

    #[test]
    fn given_the_routes_when_documented_then_each_is_there_and_no_other() {
        let mut document = complete();
        let routed: BTreeSet<_> =
            routes::all().map(|route| (route.path.to_owned(), route.method.to_string())).collect();
        let mut documented = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
                if operation_of(item, &method).is_some() {
                    documented.insert((path.clone(), method.to_string()));
                }
            }
        }
        assert_eq!(documented, routed);
    }

    fn names(schema: RefOr<Schema>) -> BTreeSet<String> {
        let value = serde_json::to_value(schema).unwrap();
        value["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn assert_reads<I: Input + PartialSchema>() {
        let mut fields = Fields::default();
        let _ = I::read(&mut fields);
        assert_eq!(fields.asked.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), names(I::schema()));
        assert!(I::READ_ONLY.iter().all(|name| !fields.asked.contains(name)));
    }

    /// Of what a resource has, each field may be set or is known not to be.
    fn assert_knows<I: Input + PartialSchema>(resource: RefOr<Schema>) {
        let known = names(I::schema()).into_iter().chain(I::READ_ONLY.iter().map(|name| (*name).to_owned()));
        assert_eq!(known.collect::<BTreeSet<_>>(), names(resource));
    }

    fn assert_asks<P: Params + IntoParams>() {
        let mut query = Query::default();
        let _ = P::read(&mut query);
        let documented = P::into_params(|| Some(ParameterIn::Query));
        assert_eq!(query.asked, documented.iter().map(|param| param.name.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn given_what_callers_send_when_read_then_it_is_what_is_documented() {
        assert_reads::<api_keys::CreateKey>();
        assert_reads::<api_keys::PatchKey>();
        assert_reads::<key_changes::Rotate>();
        assert_reads::<revocations::Revoke>();
        assert_reads::<revocations::RevokeKey>();
        assert_reads::<revocations::BulkRevoke>();
        assert_reads::<service_accounts::CreateAccount>();
        assert_reads::<service_accounts::PatchAccount>();
        assert_knows::<api_keys::CreateKey>(key_view::KeyView::schema());
        assert_knows::<api_keys::PatchKey>(key_view::KeyView::schema());
        assert_knows::<service_accounts::CreateAccount>(service_accounts::AccountView::schema());
        assert_knows::<service_accounts::PatchAccount>(service_accounts::AccountView::schema());
        assert_asks::<api_keys::ListKeys>();
        assert_asks::<activity::ListActivity>();
        assert_asks::<audit_events::ListEvents>();
        assert_asks::<service_accounts::ListAccounts>();
        assert_asks::<usage::Span>();
        assert_asks::<usage::OrganizationUsage>();
    }

    #[test]
    fn given_the_document_when_its_inputs_are_listed_then_each_takes_no_other_fields() {
        let document = serde_json::to_value(complete()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut sent = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let content = operation["requestBody"]["content"].as_object().cloned().unwrap_or_default();
                sent.extend(content.values().flat_map(references));
            }
        }
        assert_eq!(sent.len(), 8);
        for name in sent {
            assert_eq!(schemas[&name]["additionalProperties"], false, "{name}");
        }
    }

    fn references(value: &Value) -> Vec<String> {
        match value {
            Value::Object(members) => members
                .iter()
                .flat_map(|(name, value)| match (name.as_str(), value) {
                    ("$ref", Value::String(reference)) => vec![reference.rsplit('/').next().unwrap().to_owned()],
                    _ => references(value),
                })
                .collect(),
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn given_the_document_when_its_references_are_followed_then_each_leads_somewhere() {
        let document = serde_json::to_value(complete()).unwrap();
        let named = |kind: &str| document["components"][kind].as_object().cloned().unwrap_or_default();
        let (schemas, responses) = (named("schemas"), named("responses"));
        for name in references(&document) {
            assert!(schemas.contains_key(&name) || responses.contains_key(&name), "{name}");
        }
    }
}
