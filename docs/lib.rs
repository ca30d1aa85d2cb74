//! The documents' code blocks, compiled and run as doctests.

/// The README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The guide for those who come from hand-written middleware.
#[cfg(doctest)]
#[doc = include_str!("from-hand-written-middleware.md")]
pub struct FromHandWrittenMiddleware;
