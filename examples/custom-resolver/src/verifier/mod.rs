//! The service that owns the keys. It stands for yours: an account service, a key manager, or a vendor's endpoint.

mod routes;
mod store;

pub use self::{
    routes::app,
    store::{KeyStore, StoreError},
};
