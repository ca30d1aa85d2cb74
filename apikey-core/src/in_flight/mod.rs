//! What becomes of handlers and bodies under way when the key of their request dies.

mod handler;
mod on_revoked;
mod while_live;

pub use self::{
    handler::InFlight,
    on_revoked::{LastFrame, OnRevoked},
    while_live::WhileLive,
};
