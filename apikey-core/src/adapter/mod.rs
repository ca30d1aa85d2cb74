//! What an adapter of a framework needs, and services don't: every decision that is not about the framework's types.

mod anonymous;
mod background;

pub use self::{anonymous::Anonymous, background::Background};
pub use crate::{
    in_flight::{InFlight, WhileLive},
    problem::problem_json,
    request::{Authentication, Decision, Header, HeaderLines, Loading, RequestView},
};
