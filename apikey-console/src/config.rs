//! The settings of a console, shared by everything that serves one request.

use std::{future::Future, pin::Pin, sync::Arc};

use apikey_core::BoxError;
use apikey_manager::{Actor, KeyManager, OrganizationId};
use axum::extract::MatchedPath;
use http::{Extensions, HeaderMap, request::Parts};
use tower_apikey::{Lingering, RequestDescription};

use crate::{page::Page, session::Sessions};

type LoggedIn = Pin<Box<dyn Future<Output = Result<Option<Actor>, BoxError>> + Send>>;

/// Returns the actor that is logged in to the host.
pub(crate) type Login = Arc<dyn Fn(&Parts) -> LoggedIn + Send + Sync>;

/// Describes a request for the record of what a key did.
pub(crate) type Describe = Arc<dyn Fn(&HeaderMap, &Extensions) -> RequestDescription + Send + Sync>;

/// Describes a request by the template of its route.
pub(crate) fn by_template(_: &HeaderMap, extensions: &Extensions) -> RequestDescription {
    let template = extensions.get::<MatchedPath>().map(|route| route.as_str().to_owned());
    template.map_or_else(RequestDescription::new, |template| RequestDescription::new().route(template))
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) keys: KeyManager,
    /// Without a slash at its end.
    pub(crate) public_path: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) login: Option<Login>,
    pub(crate) page: Option<Page>,
    /// `None` without the page, or if people sign in with the host.
    pub(crate) sessions: Option<Sessions>,
    /// `true` if keys may rotate themselves.
    pub(crate) self_rotation: bool,
    /// The organization that sees the processes of the service.
    pub(crate) operators: Option<OrganizationId>,
    pub(crate) lingering: Lingering,
    pub(crate) describe: Describe,
}
