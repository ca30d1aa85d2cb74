//! The settings of a console, shared by everything that serves one request.

use std::{future::Future, pin::Pin, sync::Arc};

use apikey_core::BoxError;
use apikey_manager::{Actor, KeyManager};
use http::request::Parts;
use tower_apikey::Lingering;

use crate::{page::Page, session::Sessions};

type LoggedIn = Pin<Box<dyn Future<Output = Result<Option<Actor>, BoxError>> + Send>>;

/// Returns the actor that is logged in to the host.
pub(crate) type Login = Arc<dyn Fn(&Parts) -> LoggedIn + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) keys: KeyManager,
    /// Without a slash at its end.
    pub(crate) public_path: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) login: Option<Login>,
    pub(crate) page: Option<Page>,
    /// `None` without the page.
    pub(crate) sessions: Option<Sessions>,
    /// `true` if keys may rotate themselves.
    pub(crate) self_rotation: bool,
    pub(crate) lingering: Lingering,
}
