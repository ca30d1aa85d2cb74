//! The routes: the scope that each requires, and its handler.

mod activity;
mod alerts;
mod api_keys;
mod audit_events;
mod fleet;
mod health;
mod key_changes;
mod key_view;
mod limits;
mod openapi;
mod revocations;
mod scopes;
mod service_accounts;
mod session;
mod usage;
pub mod views;
mod webhooks;
mod whoami;

use std::sync::Arc;

use apikey_manager::{KEYS_ADMIN, KEYS_READ, KEYS_WRITE};
use axum::{Extension, Router};
use http::{StatusCode, Uri};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    access,
    config::Config,
    declaration::{Declaration, Needs},
    document, page,
    problem::Problem,
};

/// All routes, each with the credential or scope that it requires. The rest is in the handler's own attribute.
fn all(config: &Arc<Config>) -> OpenApiRouter<Arc<Config>> {
    let (nothing, credential) = (Needs::Nothing, Needs::Credential);
    let [read, write, admin] = [KEYS_READ, KEYS_WRITE, KEYS_ADMIN].map(Needs::Scope);
    let operators = Needs::Operators(KEYS_READ);
    let mut routes = Routes { config, router: OpenApiRouter::with_openapi(document::empty()) };
    if config.sessions.is_some() {
        routes = routes.add(&nothing, routes!(session::sign_in)).add(&nothing, routes!(session::sign_out));
    }
    if config.self_rotation {
        routes = routes.add(&credential, routes!(key_changes::self_rotate));
    }
    if config.operators.is_some() {
        routes = routes.add(&operators, routes!(fleet::get));
    }
    routes
        .add(&read, routes!(api_keys::list))
        .add(&write, routes!(api_keys::create))
        .add(&write, routes!(revocations::bulk_revoke))
        .add(&read, routes!(api_keys::get))
        .add(&write, routes!(api_keys::update))
        .add(&write, routes!(api_keys::delete))
        .add(&write, routes!(key_changes::rotate))
        .add(&write, routes!(key_changes::end_overlap))
        .add(&write, routes!(key_changes::duplicate))
        .add(&write, routes!(key_changes::disable))
        .add(&write, routes!(key_changes::enable))
        .add(&write, routes!(revocations::revoke))
        .add(&read, routes!(usage::of_key))
        .add(&read, routes!(activity::list))
        .add(&credential, routes!(revocations::self_revoke))
        .add(&read, routes!(service_accounts::list))
        .add(&admin, routes!(service_accounts::create))
        .add(&read, routes!(service_accounts::get))
        .add(&admin, routes!(service_accounts::update))
        .add(&admin, routes!(service_accounts::delete))
        .add(&admin, routes!(service_accounts::disable))
        .add(&admin, routes!(service_accounts::enable))
        .add(&admin, routes!(service_accounts::rotate_all))
        .add(&read, routes!(usage::of_organization))
        .add(&read, routes!(limits::get))
        .add(&read, routes!(audit_events::list))
        .add(&read, routes!(alerts::list))
        .add(&write, routes!(alerts::acknowledge))
        .add(&read, routes!(alerts::settings))
        .add(&admin, routes!(alerts::change_settings))
        .add(&admin, routes!(webhooks::list))
        .add(&admin, routes!(webhooks::create))
        .add(&admin, routes!(webhooks::get))
        .add(&admin, routes!(webhooks::update))
        .add(&admin, routes!(webhooks::delete))
        .add(&admin, routes!(webhooks::test))
        .add(&admin, routes!(webhooks::rotate_secret))
        .add(&admin, routes!(webhooks::deliveries))
        .add(&admin, routes!(webhooks::retry))
        .add(&read, routes!(scopes::list))
        .add(&credential, routes!(whoami::get))
        .add(&nothing, routes!(health::health))
        .add(&nothing, routes!(openapi::document))
        .router
}

/// The router of all routes, below `/v1`.
pub(crate) fn router(config: &Arc<Config>) -> Router {
    let (routes, document) = all(config).split_for_parts();
    let routes = routes
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path has no such method.")
        })
        .layer(Extension(Arc::new(document)));
    let page = config.page.as_ref().map(|page| page::router(page, config.public_path.as_deref()));
    let router = Router::new().nest("/v1", routes).fallback(not_found).with_state(Arc::clone(config));
    page.into_iter().fold(router, Router::merge)
}

async fn not_found(uri: Uri) -> Problem {
    match uri.path() {
        "" | "/" => {
            let detail = "The API is below v1, and v1/openapi.json describes it.";
            Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
        }
        _ => Problem::not_found(),
    }
}

struct Routes<'c> {
    config: &'c Arc<Config>,
    router: OpenApiRouter<Arc<Config>>,
}

impl Routes<'_> {
    /// Adds one route. Its declaration guards the handler and completes the document.
    fn add(mut self, needs: &Needs, (schemas, mut paths, mut methods): UtoipaMethodRouter<Arc<Config>>) -> Self {
        for (path, item) in &mut paths.paths {
            for (method, operation) in document::operations(item) {
                let declaration = Declaration::new(needs.clone(), &method, operation);
                document::complete(operation, path, &declaration);
                methods = access::guard(methods, self.config, declaration);
            }
        }
        self.router = self.router.routes((schemas, paths, methods));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs};

    use apikey_core::KeyFormat;
    use apikey_manager::{KeyManager, MemoryStore, OrganizationId};
    use serde_json::Value;
    use tower_apikey::Lingering;

    use super::*;
    use crate::{page::Page, session::Sessions};

    /// The committed document.
    const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    fn document() -> utoipa::openapi::OpenApi {
        let format = KeyFormat::builder("acme").build().unwrap();
        let keys = KeyManager::builder(MemoryStore::new()).format(format).build().unwrap();
        let lingering = Lingering::new();
        let page = Page::new();
        let sessions = Some(Sessions::new(&page));
        let (public_path, login, page) = (None, None, Some(page));
        let origins = Vec::new();
        let describe = Arc::new(crate::config::by_template);
        let operators = Some(OrganizationId::new("acme").unwrap());
        let self_rotation = true;
        let config =
            Config { keys, public_path, origins, login, page, sessions, self_rotation, operators, lingering, describe };
        all(&Arc::new(config)).into_openapi()
    }

    #[tokio::test]
    async fn given_the_document_when_generated_then_it_is_the_committed_one() {
        let generated = document().to_pretty_json().unwrap() + "\n";
        if env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(SNAPSHOT, &generated).unwrap();
        }
        let committed = fs::read_to_string(SNAPSHOT).unwrap_or_default();
        assert!(generated == committed, "run with UPDATE_OPENAPI=1 and read how openapi.json changes");
    }

    #[tokio::test]
    async fn given_the_document_when_its_inputs_are_listed_then_each_takes_no_other_fields() {
        let document = serde_json::to_value(document()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut sent = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let content = operation["requestBody"]["content"].as_object().cloned().unwrap_or_default();
                sent.extend(content.values().flat_map(references));
            }
        }
        assert!(sent.contains("NewApiKey"), "{sent:?}");
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

    #[tokio::test]
    async fn given_the_document_when_its_references_are_followed_then_each_leads_somewhere() {
        let document = serde_json::to_value(document()).unwrap();
        let named = |kind: &str| document["components"][kind].as_object().cloned().unwrap_or_default();
        let (schemas, responses) = (named("schemas"), named("responses"));
        for name in references(&document) {
            assert!(schemas.contains_key(&name) || responses.contains_key(&name), "{name}");
        }
    }
}
