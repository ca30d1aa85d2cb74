//! API keys in a service's own OpenAPI document: the security scheme, and the scopes of each route.

use utoipa::{
    Modify,
    openapi::{
        Components, HttpMethod, OpenApi,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    key::KeyFormat,
    scope::{RequiredScopes, Requirement},
};

/// Adds API keys to a document of [`utoipa`](https://docs.rs/utoipa): the scheme, and what each route requires.
/// The scopes come from the types that the routes' extractors and guards use, so the document can't contradict the
/// code:
/// than what is asked for:
///
/// ```
/// use apikey_core::{ApiKeySecurity, KeyFormat, scopes};
/// use utoipa::{Modify, OpenApi, openapi::HttpMethod};
///
/// scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }
///
/// #[utoipa::path(get, path = "/files", responses((status = 200, description = "The files.")))]
/// fn list() {} // …(_: RequireScope<FilesRead>)
///
/// #[derive(OpenApi)]
/// #[openapi(paths(list))]
/// struct Api;
///
/// let format = KeyFormat::builder("acme").environment("live").build()?;
/// let mut document = Api::openapi();
/// ApiKeySecurity::new()
///     .format(&format)
///     .route::<FilesRead>(HttpMethod::Get, "/files")
///     .modify(&mut document);
///
/// let document = serde_json::to_value(&document)?;
/// assert_eq!(document["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
/// assert_eq!(document["paths"]["/files"]["get"]["security"], serde_json::json!([{"api_key": ["files:read"]}]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where one of several scopes is enough, the requirements are alternatives (OpenAPI 3.1 §4.8.30: one of them
/// suffices).
///
/// # Panics
///
/// `modify` panics if the document has no such route: the path is mistyped.
#[derive(Clone)]
#[must_use]
pub struct ApiKeySecurity {
    name: String,
    description: String,
    patterns: Vec<String>,
    routes: Vec<(HttpMethod, String, Vec<SecurityRequirement>)>,
}

impl ApiKeySecurity {
    /// Describes keys that are sent as `Authorization: Bearer`, under the name `api_key`.
    pub fn new() -> Self {
        ApiKeySecurity {
            name: "api_key".to_owned(),
            description: "An API key of this service.".to_owned(),
            patterns: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Sets the scheme's name in the document. Call it before adding routes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the scheme's description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Describes what keys look like, by the format's [regular expression](KeyFormat::regex). It may be called for
    /// several formats.
    pub fn format(mut self, format: &KeyFormat) -> Self {
        self.patterns.push(format.regex());
        self
    }

    /// Declares that the route requires the scopes `S`, as its `RequireScope<S>` does.
    pub fn route<S: RequiredScopes>(self, method: HttpMethod, path: impl Into<String>) -> Self {
        self.requirement(method, path, &S::requirement())
    }

    /// Declares that the route requires a key, with any scopes.
    pub fn any_key(mut self, method: HttpMethod, path: impl Into<String>) -> Self {
        let requirement = SecurityRequirement::new(&self.name, [""; 0]);
        self.routes.push((method, path.into(), vec![requirement]));
        self
    }

    /// Declares that the route requires the scopes of a requirement that is made at run time.
    pub fn requirement(mut self, method: HttpMethod, path: impl Into<String>, requirement: &Requirement) -> Self {
        let alternatives = requirement.alternatives();
        let requirements = alternatives.into_iter().map(|scopes| SecurityRequirement::new(&self.name, scopes));
        self.routes.push((method, path.into(), requirements.collect()));
        self
    }
}

impl Default for ApiKeySecurity {
    fn default() -> Self {
        ApiKeySecurity::new()
    }
}

impl Modify for ApiKeySecurity {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(&self.description));
        let scheme = match self.patterns.as_slice() {
            [] => scheme,
            patterns => scheme.bearer_format(patterns.join("|")),
        };
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme(&self.name, SecurityScheme::Http(scheme.build()));
        for (method, path, requirements) in &self.routes {
            let operation = document.paths.paths.get_mut(path).and_then(|item| operation(item, method));
            let Some(operation) = operation else { panic!("the document has no such method at {path}") };
            operation.security = Some(requirements.clone());
        }
    }
}

fn operation<'i>(item: &'i mut PathItem, method: &HttpMethod) -> Option<&'i mut Operation> {
    match method {
        HttpMethod::Get => item.get.as_mut(),
        HttpMethod::Post => item.post.as_mut(),
        HttpMethod::Put => item.put.as_mut(),
        HttpMethod::Delete => item.delete.as_mut(),
        HttpMethod::Options => item.options.as_mut(),
        HttpMethod::Head => item.head.as_mut(),
        HttpMethod::Patch => item.patch.as_mut(),
        HttpMethod::Trace => item.trace.as_mut(),
    }
}

impl std::fmt::Debug for ApiKeySecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeySecurity")
            .field("name", &self.name)
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::{InfoBuilder, PathsBuilder, path::OperationBuilder};

    use super::*;
    use crate::AnyOf;

    crate::scopes! {
        Letters { A = "a", B = "b", C = "c" }
    }

    fn document() -> OpenApi {
        let item = PathItem::new(HttpMethod::Get, OperationBuilder::new());
        let paths = PathsBuilder::new().path("/x", item).build();
        OpenApi::new(InfoBuilder::new().title("x").version("1").build(), paths)
    }

    fn security(of: ApiKeySecurity) -> Value {
        let mut document = document();
        of.modify(&mut document);
        serde_json::to_value(document).unwrap()["paths"]["/x"]["get"]["security"].clone()
    }

    #[test]
    fn given_markers_when_documented_then_all_are_listed_and_choices_are_alternatives() {
        assert_eq!(Letters::catalog().scopes().count(), 3);
        let route = |of: ApiKeySecurity| security(of);
        let get = || HttpMethod::Get;
        let new = ApiKeySecurity::new;
        assert_eq!(route(new().route::<A>(get(), "/x")), json!([{"api_key": ["a"]}]));
        assert_eq!(route(new().route::<(A, B)>(get(), "/x")), json!([{"api_key": ["a", "b"]}]));
        assert_eq!(route(new().route::<AnyOf<(A, B)>>(get(), "/x")), json!([{"api_key": ["a"]}, {"api_key": ["b"]}]));
        assert_eq!(
            route(new().route::<(A, AnyOf<(B, C)>)>(get(), "/x")),
            json!([{"api_key": ["a", "b"]}, {"api_key": ["a", "c"]}])
        );
        assert_eq!(route(new().any_key(get(), "/x")), json!([{"api_key": []}]));
        assert_eq!(route(new().name("key").route::<A>(get(), "/x")), json!([{"key": ["a"]}]));
        assert_eq!(route(new()), Value::Null);
    }

    #[test]
    fn given_formats_when_documented_then_the_scheme_tells_what_keys_look_like() {
        let new = KeyFormat::builder("acme").environment("live").build().unwrap();
        let old = KeyFormat::builder("old").build().unwrap();
        let mut document = document();
        ApiKeySecurity::new().description("Ask support for one.").format(&new).format(&old).modify(&mut document);
        let scheme = serde_json::to_value(document).unwrap()["components"]["securitySchemes"]["api_key"].clone();
        assert_eq!(
            scheme,
            json!({
                "type": "http", "scheme": "bearer", "description": "Ask support for one.",
                "bearerFormat": format!("{}|{}", new.regex(), old.regex()),
            })
        );
    }

    #[test]
    #[should_panic(expected = "/y")]
    fn given_a_route_that_is_not_when_documented_then_it_is_told() {
        security(ApiKeySecurity::new().route::<A>(HttpMethod::Get, "/y"));
    }
}
