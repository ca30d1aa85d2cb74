//! The OpenAPI document: the parts of the routes, and the parts that all routes share.

use apikey_core::Scope;
use http::{Method, StatusCode};
use utoipa::{
    OpenApi, PartialSchema,
    openapi::{
        self, Components, ContentBuilder, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder,
        Server, Type,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    declaration::{Declaration, Needs},
    idempotency::IDEMPOTENCY_KEY,
    problem::{self, FieldProblem},
    schema::{Id, WantedId},
};

/// The name of the security scheme.
const SCHEME: &str = "api_key";

/// The server's address, relative to the document, so that it is right under any prefix.
const SERVER: &str = "../v1";

/// The form of `If-Match` and `If-None-Match` (RFC 9110 §8.8.3).
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#;

/// The form of `Idempotency-Key`.
const IDEMPOTENCY_KEYS: &str = r#"^([!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}")$"#;

/// The description of `Idempotency-Key`.
const SENT_AGAIN: &str = "Makes it safe to send the request again. Within a day, the same key and body are answered 409 with \
    the ids of the keys, and nothing is changed again; the same key with another body is answered 422.";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "API keys",
        description = "Manages API keys: issue, list, change, rotate, disable, revoke and delete them, read their usage and audit trail, and receive alerts about them.",
    ),
    tags(
        (name = "keys", description = "The life of a key."),
        (name = "service accounts", description = "Owners of keys that are not people."),
        (name = "usage", description = "Usage of keys and of the plan."),
        (name = "alerts", description = "What an organization is told about its keys, and the webhooks that receive it."),
        (name = "audit", description = "Changes of keys, and who made them."),
        (name = "caller", description = "The caller, and the scopes that it can grant."),
        (name = "fleet", description = "The processes of the service, for those who operate it."),
        (name = "session", description = "Signing in to the page."),
        (name = "service", description = "Public."),
    ),
)]
struct Document;

/// A response that many routes have.
struct Refusal {
    status: StatusCode,
    name: &'static str,
    description: &'static str,
    when: When,
}

/// The routes that have a response.
enum When {
    Always,
    /// Routes that require a credential.
    Guarded,
    /// Routes with an id in their path, and those that don't exist for everybody.
    Named,
    /// Routes that read the store.
    Reading,
    /// Routes that change something.
    Changing,
    /// Routes that evaluate `If-Match`.
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
        "It can't be done in this state, a limit is reached, somebody else was faster, or it was done before with this `Idempotency-Key`.",
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
        "The store can't be reached, or too many concurrent reads. `Retry-After` says when to try again.",
    ),
    refusal(StatusCode::GATEWAY_TIMEOUT, "UnknownOutcome", When::Changing, "Whether the change was made is not known."),
];

/// The header of a change that holds in several processes.
fn receipt() -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let description = "Where the change holds, if keys can be cached elsewhere: a dictionary of structured fields \
        (RFC 9651), with the change's `revision`, the number of processes `nodes`, and as `waited-out` the ids of those that \
        gave no sign of life until their leases had ended.";
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

/// The document without its routes.
pub(crate) fn empty() -> openapi::OpenApi {
    let mut document = Document::openapi();
    document.servers = Some(vec![Server::new(SERVER)]);
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(problem::SCHEMA.to_owned(), problem::schema());
    components.schemas.insert("Id".to_owned(), Id::schema());
    components.schemas.insert("WantedId".to_owned(), WantedId::schema());
    components.schemas.insert("FieldProblem".to_owned(), FieldProblem::schema());
    for Refusal { name, description, .. } in REFUSALS {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(problem::SCHEMA))).build();
        let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
        components.responses.insert(name.to_owned(), RefOr::T(response.build()));
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key that the service has issued."))
        .build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    document
}

/// The operations at a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Completes an operation from its declaration.
pub(crate) fn complete(operation: &mut Operation, path: &str, declaration: &Declaration) {
    let has_id = path.contains("{id}");
    if has_id {
        let id = ParameterBuilder::new()
            .name("id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The id of the resource."))
            .schema(Some(Ref::from_schema_name("Id")))
            .build();
        operation.parameters.get_or_insert_with(Vec::new).insert(0, RefOr::T(id));
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Header
        {
            // The header can be absent, but never null.
            let pattern = match parameter.name.eq_ignore_ascii_case(IDEMPOTENCY_KEY.as_str()) {
                true => {
                    parameter.description = Some(SENT_AGAIN.to_owned());
                    IDEMPOTENCY_KEYS
                }
                false => ENTITY_TAGS,
            };
            let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
            parameter.schema = Some(text.into());
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            // The body can be absent, but never null.
            if let RefOr::T(content) = content
                && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
                && let Some(reference) = either.items.iter().find(|schema| matches!(schema, RefOr::Ref(_)))
            {
                content.schema = Some(reference.clone());
            }
        }
    }
    let is_guarded = declaration.needs != Needs::Nothing;
    let is_versioned = declaration.is_change && declaration.takes_precondition;
    for refusal in &REFUSALS {
        let applies = match refusal.when {
            When::Always => true,
            When::Guarded => is_guarded,
            // A service may offer no webhooks.
            When::Named => has_id || path.starts_with("/webhooks") || matches!(declaration.needs, Needs::Operators(_)),
            // `/scopes` is answered from the configuration.
            When::Reading => {
                (!declaration.is_change || is_versioned || path.ends_with("/test"))
                    && declaration.needs.scope().is_some()
                    && path != "/scopes"
            }
            When::Changing => declaration.is_change,
            When::Versioned => is_versioned,
        };
        if applies {
            let response = RefOr::Ref(Ref::from_response_name(refusal.name));
            operation.responses.responses.insert(refusal.status.as_u16().to_string(), response);
        }
    }
    if declaration.is_change && is_guarded {
        for (status, response) in &mut operation.responses.responses {
            if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
                response.headers.insert("Fleet-Receipt".to_owned(), RefOr::T(receipt()));
            }
        }
    }
    let scope = declaration.needs.scope().map(Scope::as_str);
    operation.security = Some(match is_guarded {
        true => vec![SecurityRequirement::new(SCHEME, scope)],
        false => Vec::new(),
    });
}
