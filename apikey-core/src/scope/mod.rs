//! What keys may do: names, granted sets, what routes require, and the catalog that says which scope reaches which.

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
