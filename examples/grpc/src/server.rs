//! The server: which layers stand around which service.

use std::{future::Future, time::Duration};

use tokio::net::TcpListener;
use tonic::{
    service::LayerExt,
    transport::{self, Server, server::TcpIncoming},
};
use tower_apikey::{ApiKeyLayer, Authenticator, RequireScopeLayer, scopes};

use crate::{
    books::Books,
    proto::{accounts_server::AccountsServer, ledger_server::LedgerServer},
    services::{Accounts, Ledger},
};

scopes! {
    /// What a key may do.
    pub Scopes {
        /// Read entries.
        LedgerRead = "ledger:read",
        /// Post entries.
        LedgerWrite = "ledger:write",
        /// Open accounts.
        AccountsManage = "accounts:manage",
    }
}

/// Serves callers whom `authenticator` lets in, until `stop` ends and the calls under way are answered. Clients have so
/// long for a message, and to show that they are there.
///
/// # Errors
///
/// When the server can't be started.
pub async fn serve(
    listener: TcpListener,
    authenticator: Authenticator,
    client_timeout: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), transport::Error> {
    let books = Books::default();
    Server::builder()
        // A call is answered in time, or begins to be. Whoever doesn't answer a ping is gone, or halfway through a head.
        .timeout(client_timeout)
        .http2_keepalive_interval(Some(client_timeout))
        .http2_keepalive_timeout(Some(client_timeout))
        // Around all services, those it doesn't have included: strangers learn nothing.
        .layer(ApiKeyLayer::new(authenticator).grpc(true))
        // Its methods need different scopes, and ask for them.
        .add_service(LedgerServer::new(Ledger::new(books.clone())))
        // Its methods need the same scope, so that a method added later can't forget it.
        .add_service(RequireScopeLayer::of::<AccountsManage>().named_layer(AccountsServer::new(Accounts::new(books))))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await
}
