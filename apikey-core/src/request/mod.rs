//! From a request's header bytes to a decision: the one credential, the cache, and a load where that has no answer.

mod authenticator;
mod credentials;
mod view;

pub use self::{
    authenticator::{
        Authentication, Authenticator, AuthenticatorBuilder, ConfigError, Decision, ForeignTokens, Loading, TrustGate,
    },
    view::{Header, HeaderLines, RequestView},
};
