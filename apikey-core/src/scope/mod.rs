//! What keys may do: scope names, granted sets, the requirements of routes, and the catalog of roles and implications.

mod catalog;
mod marker;
mod name;
mod requirement;
mod set;

pub use self::{
    catalog::ScopeCatalog,
    marker::ScopeMarker,
    name::{Scope, ScopeError},
    requirement::{AnyOf, RequiredScopes, Requirement},
    set::ScopeSet,
};
