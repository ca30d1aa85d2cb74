#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod client;
#[cfg(feature = "clap")]
mod command;
mod credentials;
mod error;
mod host;
mod login;
mod logout;
mod place;
mod rotate;
mod service;
mod status;

pub use apikey_core::{KeyFormat, PlaintextKey};
pub use reqwest;

#[cfg(feature = "clap")]
#[cfg_attr(docsrs, doc(cfg(feature = "clap")))]
pub use self::command::AuthCommand;
pub use self::{
    client::Client,
    credentials::{Credentials, FoundKey},
    error::Error,
    login::{KeySource, Login},
    place::{Place, Storage},
    rotate::Rotated,
    service::{Caller, CallingKey},
    status::Status,
};
