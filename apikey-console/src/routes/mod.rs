//! The routes: one table that requests are looked up in, the OpenAPI document is completed from, and tests walk.

pub(crate) mod activity;
pub(crate) mod api_keys;
pub(crate) mod audit_events;
pub(crate) mod health;
pub(crate) mod key_changes;
pub(crate) mod key_view;
pub(crate) mod limits;
pub(crate) mod revocations;
pub(crate) mod scopes;
pub(crate) mod service_accounts;
pub(crate) mod usage;
pub(crate) mod whoami;

use std::{borrow::Cow, future::Future, pin::Pin};

use apikey_core::Scope;
use apikey_manager::{KEYS_ADMIN, KEYS_READ, KEYS_WRITE};
use http::{Method, StatusCode, request::Parts};
use percent_encoding::percent_decode_str;

use crate::{
    access,
    call::{Call, method_not_allowed},
    openapi, precondition,
    problem::{Failure, Problem},
    reply::Reply,
    service::Config,
};

/// What a method does at a path.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/v1`; `{id}` stands for one segment.
    pub(crate) path: &'static str,
    /// The scope it needs, where having a credential is not enough.
    pub(crate) needs: Option<Scope>,
    pub(crate) run: Run,
}

#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// For anybody.
    Public(for<'a> fn(&'a Config, &'a Parts) -> Running<'a, Result<Reply, Failure>>),
    /// For whoever has a credential.
    Guarded(fn(&mut Call) -> Running<'_, Result<Reply, Failure>>),
}

type Running<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The route of a request, and the id in its path.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) route: &'static Route,
    pub(crate) id: Option<String>,
}

macro_rules! routes {
    ($($method:ident $path:literal $needs:expr => $module:ident::$handler:ident,)+) => {
        [$(Route {
            method: Method::$method,
            path: $path,
            needs: $needs,
            run: Run::Guarded(|call| Box::pin(async move {
                let params = call.params()?;
                $module::$handler(call, params).await
            })),
        },)+]
    };
}

macro_rules! public {
    ($method:ident $path:literal => $module:ident::$handler:ident) => {
        Route {
            method: Method::$method,
            path: $path,
            needs: None,
            run: Run::Public(|config, parts| Box::pin($module::$handler(config, parts))),
        }
    };
}

/// Those that need no credential.
static PUBLIC: [Route; 2] =
    [public!(GET "/health" => health::health), public!(GET "/openapi.json" => openapi::document)];

/// Those that do. `None`: any credential will do.
static GUARDED: [Route; 28] = routes! {
    GET "/api-keys" Some(KEYS_READ) => api_keys::list,
    POST "/api-keys" Some(KEYS_WRITE) => api_keys::create,
    POST "/api-keys/bulk-revoke" Some(KEYS_WRITE) => revocations::bulk_revoke,
    GET "/api-keys/{id}" Some(KEYS_READ) => api_keys::get,
    PATCH "/api-keys/{id}" Some(KEYS_WRITE) => api_keys::update,
    DELETE "/api-keys/{id}" Some(KEYS_WRITE) => api_keys::delete,
    POST "/api-keys/{id}/rotate" Some(KEYS_WRITE) => key_changes::rotate,
    POST "/api-keys/{id}/end-overlap" Some(KEYS_WRITE) => key_changes::end_overlap,
    POST "/api-keys/{id}/duplicate" Some(KEYS_WRITE) => key_changes::duplicate,
    POST "/api-keys/{id}/disable" Some(KEYS_WRITE) => key_changes::disable,
    POST "/api-keys/{id}/enable" Some(KEYS_WRITE) => key_changes::enable,
    POST "/api-keys/{id}/revoke" Some(KEYS_WRITE) => revocations::revoke,
    GET "/api-keys/{id}/usage" Some(KEYS_READ) => usage::of_key,
    GET "/api-keys/{id}/activity" Some(KEYS_READ) => activity::list,
    POST "/self-revoke" None => revocations::self_revoke,
    GET "/service-accounts" Some(KEYS_READ) => service_accounts::list,
    POST "/service-accounts" Some(KEYS_ADMIN) => service_accounts::create,
    GET "/service-accounts/{id}" Some(KEYS_READ) => service_accounts::get,
    PATCH "/service-accounts/{id}" Some(KEYS_ADMIN) => service_accounts::update,
    DELETE "/service-accounts/{id}" Some(KEYS_ADMIN) => service_accounts::delete,
    POST "/service-accounts/{id}/disable" Some(KEYS_ADMIN) => service_accounts::disable,
    POST "/service-accounts/{id}/enable" Some(KEYS_ADMIN) => service_accounts::enable,
    POST "/service-accounts/{id}/rotate-all" Some(KEYS_ADMIN) => service_accounts::rotate_all,
    GET "/usage" Some(KEYS_READ) => usage::of_organization,
    GET "/limits" Some(KEYS_READ) => limits::get,
    GET "/audit-events" Some(KEYS_READ) => audit_events::list,
    GET "/scopes" Some(KEYS_READ) => scopes::list,
    GET "/whoami" None => whoami::get,
};

pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    PUBLIC.iter().chain(&GUARDED)
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Result<Found, Failure> {
    let unknown = || {
        Failure::from(match path {
            "" | "/" => {
                let detail = "The API is found under v1, and described by v1/openapi.json.";
                Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
            }
            _ => Problem::not_found(),
        })
    };
    let below = path.strip_prefix("/v1").filter(|below| below.starts_with('/')).ok_or_else(unknown)?;
    let segments: Option<Vec<Cow<'_, str>>> =
        below[1..].split('/').map(|segment| percent_decode_str(segment).decode_utf8().ok()).collect();
    let segments = segments.ok_or_else(unknown)?;
    let at_path: Vec<_> = all().filter_map(|route| Some((route, route.matched(&segments)?))).collect();
    // A literal segment goes before one that stands for any.
    let is_literal = at_path.iter().any(|(_, id)| id.is_none());
    let at_path = at_path.into_iter().filter(|(_, id)| id.is_none() == is_literal);
    // RFC 9110 §9.3.2: HEAD is GET without the content.
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = String::new();
    for (route, id) in at_path {
        if route.method == wanted {
            return Ok(Found { route, id });
        }
        let separator = if allowed.is_empty() { "" } else { ", " };
        let name = if route.method == Method::GET { "GET, HEAD" } else { route.method.as_str() };
        allowed.extend([separator, name]);
    }
    match allowed.is_empty() {
        true => Err(unknown()),
        false => Err(method_not_allowed(&allowed).into()),
    }
}

impl Route {
    /// The id in the path, if this is its route.
    fn matched(&self, segments: &[Cow<'_, str>]) -> Option<Option<String>> {
        let template = self.path[1..].split('/');
        if template.clone().count() != segments.len() {
            return None;
        }
        let mut id = None;
        for (wanted, segment) in template.zip(segments) {
            match wanted {
                "{id}" => id = Some(segment.clone().into_owned()),
                _ if wanted == segment => {}
                _ => return None,
            }
        }
        Some(id)
    }

    /// Does what is asked for, if the caller may, and answers.
    pub(crate) async fn call(&self, mut call: Call) -> Reply {
        match self.run(&mut call).await {
            Ok(reply) => reply,
            Err(failure) => access::answer(failure, &call),
        }
    }

    async fn run(&self, call: &mut Call) -> Result<Reply, Failure> {
        let Run::Guarded(run) = self.run else { return Err(Problem::forbidden().into()) };
        access::check(call, self.needs.as_ref())?;
        if !matches!(self.method, Method::GET | Method::PATCH) {
            precondition::none(call.headers())?;
        }
        run(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Option<(&'static str, Option<String>)> {
        find(&method, path).ok().map(|found| (found.route.path, found.id))
    }

    #[test]
    fn given_paths_when_looked_up_then_literal_segments_go_first_and_ids_are_decoded() {
        let id = |id: &str| Some(id.to_owned());
        let cases = [
            (Method::GET, "/v1/api-keys", Some(("/api-keys", None))),
            (Method::HEAD, "/v1/api-keys", Some(("/api-keys", None))),
            (Method::GET, "/v1/api-keys/key_1", Some(("/api-keys/{id}", id("key_1")))),
            (Method::GET, "/v1/api-keys/key%5F1", Some(("/api-keys/{id}", id("key_1")))),
            (Method::GET, "/v1/api-keys/a%2Fb", Some(("/api-keys/{id}", id("a/b")))),
            (Method::POST, "/v1/api-keys/bulk-revoke", Some(("/api-keys/bulk-revoke", None))),
            (Method::GET, "/v1/api-keys/bulk-revoke", None),
            (Method::POST, "/v1/api-keys/key_1/rotate", Some(("/api-keys/{id}/rotate", id("key_1")))),
            (Method::PUT, "/v1/api-keys", None),
            (Method::GET, "/v1/api-keys/", Some(("/api-keys/{id}", id("")))),
            (Method::GET, "/v1/api-keys/%FF", None),
            (Method::GET, "/v1", None),
            (Method::GET, "/v1/", None),
            (Method::GET, "/v1x/api-keys", None),
            (Method::GET, "//v1/api-keys", None),
            (Method::GET, "/v2/api-keys", None),
            (Method::GET, "/", None),
            (Method::GET, "", None),
        ];
        for (method, path, expected) in cases {
            assert_eq!(found(method.clone(), path), expected, "{method} {path}");
        }
    }
}
