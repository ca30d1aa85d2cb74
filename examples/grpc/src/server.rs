//! The server: its services and their layers.

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
    /// The scopes.
    pub Scopes {
        /// Read entries.
        LedgerRead = "ledger:read",
        /// Post entries.
        LedgerWrite = "ledger:write",
        /// Open accounts.
        AccountsManage = "accounts:manage",
    }
}

/// Serves callers that `authenticator` accepts, until `stop` completes and calls in progress are answered.
/// `client_timeout` limits the time for a message and for the answer to a ping.
///
/// # Errors
///
/// Returns an error if the server can't be started.
pub async fn serve(
    listener: TcpListener,
    authenticator: Authenticator,
    client_timeout: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), transport::Error> {
    let books = Books::default();
    Server::builder()
        // Each call must be answered, or its stream started, in time. A client that doesn't answer a ping is gone, or
        // stuck in a head.
        .timeout(client_timeout)
        .http2_keepalive_interval(Some(client_timeout))
        .http2_keepalive_timeout(Some(client_timeout))
        // Around all services, even unknown ones, so that callers without a key learn nothing.
        .layer(ApiKeyLayer::new(authenticator).grpc(true))
        // Its methods need different scopes, and check them themselves.
        .add_service(LedgerServer::new(Ledger::new(books.clone())))
        // Its methods need the same scope, which a later method can't forget.
        .add_service(RequireScopeLayer::of::<AccountsManage>().named_layer(AccountsServer::new(Accounts::new(books))))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await
}
