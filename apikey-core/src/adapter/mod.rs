//! What an adapter of a framework needs, and services don't.
//!
//! Everything that is decided about a request is decided here or in the [`Authenticator`](crate::Authenticator), so that
//! frameworks can't differ. An adapter translates types. It shows a request as a [`RequestView`], hands the [`Decision`] to
//! an [`Admission`], polls its service through the [`Exchange`] it gets, lets [`Exchange::finish`] judge the response, and
//! sends the body as a [`LiveBody`]. Refusals have their status, challenge and problem from the
//! [`Rejection`](crate::Rejection), and their other headers from [`fixed_headers`].

mod activity;
mod admission;
mod answer;
mod background;
mod body;
mod caller;
mod messages;
mod scopes;

pub use self::{
    admission::{Admission, Exchange},
    answer::{Answer, fixed_headers},
    background::Background,
    body::{Keep, LiveBody, PollBody},
    caller::{Anonymous, caller, optional_caller},
    messages::{RequestDescription, RequestMut, ResponseMut},
    scopes::{ScopeRule, is_read},
};
pub use crate::{
    in_flight::{InFlight, WhileLive},
    problem::problem_json,
    request::{Authentication, Decision, Header, HeaderLines, Loading, RequestView},
};
