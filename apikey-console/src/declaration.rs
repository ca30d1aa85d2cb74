//! A route's declaration. Requests are checked against it, and the OpenAPI document is completed from it.

use apikey_core::Scope;
use http::Method;
use utoipa::openapi::{
    RefOr,
    path::{Operation, ParameterIn},
};

/// The credential that a route requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A key or a login, with any scopes.
    Credential,
    Scope(Scope),
}

/// A route's declaration.
pub(crate) struct Declaration {
    pub(crate) needs: Needs,
    /// Its method is not GET.
    pub(crate) is_change: bool,
    pub(crate) takes_parameters: bool,
    pub(crate) takes_body: bool,
    /// `If-Match` is either looked at or means nothing.
    pub(crate) takes_precondition: bool,
}

impl Declaration {
    pub(crate) fn new(needs: Needs, method: &Method, operation: &Operation) -> Self {
        let is_change = method != Method::GET;
        let has = |wanted: ParameterIn| {
            let parameters = operation.parameters.iter().flatten();
            parameters.filter(|parameter| matches!(parameter, RefOr::T(one) if one.parameter_in == wanted)).count() > 0
        };
        Declaration {
            needs,
            is_change,
            takes_parameters: has(ParameterIn::Query),
            takes_body: operation.request_body.is_some(),
            takes_precondition: !is_change || has(ParameterIn::Header),
        }
    }
}
