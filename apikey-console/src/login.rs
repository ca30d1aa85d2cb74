//! The actors that the host has logged in.

use std::sync::Arc;

use apikey_core::RejectionKind;
use apikey_manager::Actor;
use http::request::Parts;

use crate::{
    config::Config,
    problem::{self, Failure, Problem},
};

/// The actor that the host has logged in, passed from the authentication to the check of scopes, and to whoever reads the body.
#[derive(Clone)]
pub(crate) struct LoggedIn {
    pub(crate) actor: Actor,
    pub(crate) config: Arc<Config>,
}

impl LoggedIn {
    /// Rejects the request if the host has logged somebody in for it, and wouldn't do so again, or with other rights. A
    /// body takes its time, in which they may have signed out, been removed, or lost rights.
    pub(crate) async fn check_again(parts: &Parts) -> Result<(), Failure> {
        let Some(LoggedIn { actor, config }) = parts.extensions.get() else { return Ok(()) };
        let rights = |actor: &Actor| (actor.id().clone(), actor.organization().clone(), actor.scopes().clone());
        match ask_host(config, parts).await? {
            None => Err(Failure::Refused(config.keys.authenticator().refuse(RejectionKind::MissingCredential))),
            Some(now) if rights(&now) != rights(actor) => Err(Problem::forbidden().into()),
            Some(_) => Ok(()),
        }
    }
}

/// Returns the actor that the host has logged in, if it has a login.
pub(crate) async fn ask_host(config: &Config, parts: &Parts) -> Result<Option<Actor>, Failure> {
    let Some(login) = &config.login else { return Ok(None) };
    login(parts).await.map_err(|error| {
        problem::report(error.as_ref());
        problem::unavailable().into()
    })
}
