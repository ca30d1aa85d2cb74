//! What happens to handlers and bodies in progress when their request's key dies.

mod handler;
mod on_revoked;
mod while_live;

pub use self::{
    handler::InFlight,
    on_revoked::{LastFrame, OnRevoked},
    while_live::WhileLive,
};
