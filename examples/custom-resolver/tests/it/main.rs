//! The service and a verifier over sockets: the real one as a process, and a scripted one.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod answers;
mod changes;
mod outages;
mod patience;
mod process;
mod readme;
mod service;
mod told;

#[path = "../../../../tests/contract"]
mod contract {
    #[allow(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod curl;
    #[allow(dead_code, reason = "the other templates use the rest")]
    pub(crate) mod http;
    pub(crate) mod patience;
}
