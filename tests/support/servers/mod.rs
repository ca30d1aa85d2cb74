//! Three servers with the same routes over the same authenticator, each on a free port of the loopback interface.
//!
//! | route | what it requires |
//! |---|---|
//! | `/whoami` | a caller; says who it is |
//! | `/maybe` | a caller or none |
//! | `/read`, `/both`, `/either`, `/two-guards` | scopes, by extractors |
//! | `/guarded` | a scope, by a guard around the route |
//! | `/write` | a scope, then a body of JSON |
//! | `/acme`, `/globex` | a caller of that organization |
//! | `/headers` | a caller or none; says which credentials it can see |
//! | `/cacheable` | a caller; sets `Cache-Control` itself |
//! | `/nested/whoami`, `/nested/maybe`, `/nested/headers` | the same, inside of a second layer |
//! | `/unlayered`, `/unlayered-maybe`, `/unlayered-guarded` | a caller, outside of the layer |
//!
//! Every other path is not found, whoever asks.

mod actix;
mod axum;
mod hyper;

use std::{net::SocketAddr, sync::atomic::Ordering};

use apikey_core::AuthenticatedKey;
use tokio::task::JoinHandle;

use crate::stand::Stand;

/// The answer of `/cacheable`.
const PUBLIC: &str = "public, max-age=60";
/// Headers that may hold a credential, in the order of `/headers`.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "x-access-token"];

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// hyper, with `tower-apikey` around a function.
    Hyper,
    /// axum, with `axum-apikey`'s extractors.
    Axum,
    /// actix-web, with `actix-apikey`'s.
    Actix,
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// Its address.
    pub address: SocketAddr,
    stop: Stop,
}

#[derive(Debug)]
enum Stop {
    Task(JoinHandle<()>),
    Actix(actix::Handle),
}

impl Server {
    /// Every server.
    pub const ALL: &[Server] = &[Server::Hyper, Server::Axum, Server::Actix];

    /// Returns the layer's name in this framework.
    #[must_use]
    pub fn layer_name(self) -> &'static str {
        match self {
            Server::Hyper | Server::Axum => "ApiKeyLayer",
            Server::Actix => "ApiKeyMiddleware",
        }
    }

    /// Starts the server.
    pub async fn start(self, stand: &Stand) -> Running {
        match self {
            Server::Hyper => hyper::start(stand).await,
            Server::Axum => axum::start(stand).await,
            Server::Actix => actix::start(stand),
        }
    }
}

impl Running {
    /// Ends the server and waits until it is gone.
    pub async fn stop(self) {
        match self.stop {
            Stop::Task(task) => {
                task.abort();
                drop(task.await);
            }
            Stop::Actix(handle) => handle.stop().await,
        }
    }
}

/// Counts calls of handlers.
#[derive(Clone, Debug)]
struct Handled(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Handled {
    fn by(&self, key: &AuthenticatedKey) -> String {
        self.0.fetch_add(1, Ordering::SeqCst);
        key.name().to_owned()
    }

    fn by_anyone(&self, key: Option<&AuthenticatedKey>) -> String {
        self.0.fetch_add(1, Ordering::SeqCst);
        key.map_or("stranger", |key| key.name()).to_owned()
    }
}

/// Returns the credentials that a handler sees, with the number of lines of each.
fn seen(count: impl Fn(&str) -> usize) -> String {
    let seen = CREDENTIALS.map(|name| (name, count(name)));
    seen.iter().map(|(name, lines)| format!("{name}: {lines}")).collect::<Vec<_>>().join(", ")
}
