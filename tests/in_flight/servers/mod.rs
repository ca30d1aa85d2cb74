//! Three servers with the same handlers, under one, two or no layers that end requests.
//!
//! | path | layers around the handlers |
//! |---|---|
//! | `/plain/…` | a layer |
//! | `/nested/…` | two layers of one authenticator |
//! | `/finish/…` | a layer, and the route's choice to finish |
//! | `/nested-finish/…` | two layers, and the route's choice to finish |
//! | `/off/…` | a layer that lets requests finish |

mod actix;
mod axum;
mod hyper;

use std::net::SocketAddr;

use tokio::{sync::oneshot, task::JoinHandle};

use crate::{client::Version, kinds::World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Hyper,
    Axum,
    Actix,
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

impl Server {
    pub(crate) const ALL: [Server; 3] = [Server::Hyper, Server::Axum, Server::Actix];

    pub(crate) async fn start(self, world: &World) -> Running {
        match self {
            Server::Hyper => hyper::start(world.clone()).await,
            Server::Axum => axum::start(world.clone()).await,
            Server::Actix => actix::start(world.clone()),
        }
    }
}

/// Every server, over each version.
pub(crate) fn all() -> impl Iterator<Item = (Server, Version)> {
    Server::ALL.into_iter().flat_map(|server| [(server, Version::Http1), (server, Version::Http2)])
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Stop::Task(task) = self {
            task.abort();
        }
    }
}
