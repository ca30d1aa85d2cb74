//! Servers that refuse uploads in every way.
//!
//! | path | what refuses |
//! |---|---|
//! | `/guarded` | the layer, or a guard for `files:write`; the whole body is read |
//! | `/files` | the layer, or an extractor for `files:write`; bodies of more than 64 KiB are too long |
//! | `/down` | a layer whose store has failed |
//! | `/waits` | the layer; it waits, and reads nothing |
//! | `/ignores` | the layer; it answers without the body |
//! | `/healthz` | methods other than `GET` and `HEAD` |
//! | `/keys/…` | a console |
//! | elsewhere | there is nothing |
//!
//! [`Server::Layers`] has only the two layers, without an outermost one: the first and the third path.

mod actix;
mod axum;
mod layers;

use std::{net::SocketAddr, sync::Arc};

use apikey_console::Console;
use apikey_core::{Authenticator, KeyFormat, Resolution, resolver_fn};
use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
use support::stand::{Setting, Stand};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};
use tower_apikey::Lingering;

/// The longest body of `/files`.
const MAX_BODY: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// hyper with the two layers alone.
    Layers,
    Axum,
    Actix,
}

/// The servers' shared state, which tests inspect.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) stand: Arc<Stand>,
    /// Its store has failed.
    down: Authenticator,
    keys: KeyManager,
    /// A key that manages keys, and one without that scope.
    pub(crate) manager: String,
    pub(crate) bystander: String,
    /// A permit for each waiting request.
    entered: Arc<Semaphore>,
    lingering: Lingering,
}

/// A running server, which ends on drop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stop: Stop,
}

enum Stop {
    Task(JoinHandle<()>),
    Thread(#[expect(dead_code, reason = "held until its end is noticed")] oneshot::Sender<()>),
}

impl World {
    pub(crate) async fn new() -> Self {
        World::with(Lingering::new()).await
    }

    pub(crate) async fn with(lingering: Lingering) -> Self {
        let format = KeyFormat::builder("acme").environment("live").build().unwrap();
        let keys = KeyManager::builder(MemoryStore::new()).format(format).build().unwrap();
        let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
        let issue = async |scope: &str| {
            let issued = keys.issue(&host, NewKey::new("a key").scopes([scope])).await.unwrap();
            issued.secret().expose_secret().to_owned()
        };
        let down =
            resolver_fn(async |_| Err::<Option<Resolution>, _>(std::io::Error::other("the store is down, as told")));
        World {
            stand: Arc::new(Stand::new(Setting::Plain)),
            down: Authenticator::builder(down).build().unwrap(),
            manager: issue("keys:admin").await,
            bystander: issue("files:read").await,
            keys,
            entered: Arc::new(Semaphore::new(0)),
            lingering,
        }
    }

    /// Waits until a request waits; each counts once.
    pub(crate) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    fn console(&self) -> Console {
        Console::new(&self.keys).lingering(self.lingering.clone())
    }
}

impl Server {
    pub(crate) const ALL: [Server; 3] = [Server::Layers, Server::Axum, Server::Actix];

    pub(crate) async fn start(self, world: &World) -> Running {
        match self {
            Server::Layers => layers::start(world.clone()).await,
            Server::Axum => axum::start(world.clone()).await,
            Server::Actix => actix::start(world.clone()),
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Stop::Task(task) = self {
            task.abort();
        }
    }
}
