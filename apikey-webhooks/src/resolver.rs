//! Resolves a receiver's name at each connection, and refuses it if any of its addresses is not allowed.
//!
//! The connection goes to the very addresses that were judged, so a name that changes its addresses between two look-ups
//! (DNS rebinding) gains nothing.

use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::address::Addresses;

/// Resolves names as the system does.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = lookup_host((name.as_str(), 0)).await.map_err(|_| Unresolved)?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Judges the addresses that another resolver has found.
pub(crate) struct JudgingResolver {
    pub(crate) names: Arc<dyn Resolve>,
    pub(crate) addresses: Addresses,
}

impl Resolve for JudgingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allowed) = (self.names.resolve(name), self.addresses.clone());
        Box::pin(async move {
            let found: Vec<_> = found.await?.collect();
            if !found.iter().all(|address| allowed.contain(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Addresses stay unnamed: the owner of a webhook may not be allowed to know the host's internal names.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
struct NotPublic;

#[derive(Debug, thiserror::Error)]
#[error("the name can't be resolved")]
struct Unresolved;
