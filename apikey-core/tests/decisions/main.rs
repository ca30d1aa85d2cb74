//! What the authenticator decides, seen from outside: one file for each thing that a decision depends on.

mod cache;
mod handles;
mod headers;
mod loads;
mod records;
mod rejections;
mod support;
