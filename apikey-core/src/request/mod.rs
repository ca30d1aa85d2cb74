//! From a request's header bytes to a decision: read the credential, ask the cache, and look the key up if needed.

mod authenticator;
mod credentials;
mod view;

pub use self::{
    authenticator::{
        Authentication, Authenticator, AuthenticatorBuilder, ConfigError, Decision, Doubt, ForeignTokens, Loading,
        WeakAuthenticator,
    },
    view::{Header, HeaderLines, RequestView},
};
