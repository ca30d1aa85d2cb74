//! The service that owns the keys. Small as it is, it stands for whatever yours is: an account service, a key manager, a
//! vendor's endpoint.

mod routes;
mod store;

pub use self::{
    routes::app,
    store::{KeyStore, StoreError},
};
