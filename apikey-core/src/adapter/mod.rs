//! The building blocks of a framework's adapter. Services don't need them.
//!
//! This module and the [`Authenticator`](crate::Authenticator) make every decision about a request, so that frameworks
//! behave the same. An adapter translates types. It presents a request as a [`RequestView`], hands the [`Decision`] to
//! an [`Admission`], polls its service through the resulting [`Exchange`], passes the response to [`Exchange::finish`],
//! and sends the body as a [`LiveBody`]. The [`Rejection`](crate::Rejection) has the status, challenge and problem of a
//! refusal, and [`fixed_headers`] its other headers.

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
