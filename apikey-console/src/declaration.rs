//! A route's declaration. Requests are checked against it, and the OpenAPI document is completed from it.

use apikey_core::Scope;
use http::{HeaderName, Method, header::IF_MATCH};
use utoipa::openapi::{
    RefOr,
    path::{Operation, ParameterIn},
};

use crate::idempotency::IDEMPOTENCY_KEY;

/// The credential that a route requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A key or a login, with any scopes.
    Credential,
    Scope(Scope),
    /// This scope, in the organization that operates the service. For any other, there is no such route.
    Operators(Scope),
}

impl Needs {
    pub(crate) fn scope(&self) -> Option<&Scope> {
        match self {
            Needs::Scope(scope) | Needs::Operators(scope) => Some(scope),
            Needs::Nothing | Needs::Credential => None,
        }
    }
}

/// A route's declaration.
pub(crate) struct Declaration {
    pub(crate) needs: Needs,
    /// `true` if its method is not GET.
    pub(crate) is_change: bool,
    pub(crate) takes_parameters: bool,
    pub(crate) takes_body: bool,
    /// `true` if the route evaluates `If-Match`, or if the header has no meaning for it.
    pub(crate) takes_precondition: bool,
    /// `true` if the route evaluates `Idempotency-Key`. Other routes ignore it.
    pub(crate) takes_idempotency_key: bool,
}

impl Declaration {
    pub(crate) fn new(needs: Needs, method: &Method, operation: &Operation) -> Self {
        let is_change = method != Method::GET;
        let parameters = || {
            operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                RefOr::T(parameter) => Some(parameter),
                RefOr::Ref(_) => None,
            })
        };
        let has = |name: &HeaderName| {
            parameters()
                .any(|one| one.parameter_in == ParameterIn::Header && one.name.eq_ignore_ascii_case(name.as_str()))
        };
        Declaration {
            needs,
            is_change,
            takes_parameters: parameters().any(|one| one.parameter_in == ParameterIn::Query),
            takes_body: operation.request_body.is_some(),
            takes_precondition: !is_change || has(&IF_MATCH),
            takes_idempotency_key: has(&IDEMPOTENCY_KEY),
        }
    }
}
