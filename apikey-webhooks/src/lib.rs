#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod message;
mod resolver;
mod sender;
mod target;

pub use reqwest;

pub use self::{
    builder::{BuildError, WebhooksBuilder},
    sender::Webhooks,
};
