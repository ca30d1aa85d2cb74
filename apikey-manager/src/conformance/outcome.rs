//! How a check says that a rule was broken.

use std::{error::Error, fmt};

/// What a check found: nothing, or that its rule is broken.
pub type Outcome = Result<(), Failure>;

/// How a store broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The store could not answer; no check expects that.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source()).map(|cause| format!(": {cause}"));
        Failure(format!("an operation failed: {error}{}", causes.collect::<String>()))
    }
}

/// A rule broken, as the code at this place found.
pub(super) fn broken(why: fmt::Arguments<'_>, module: &str, line: u32) -> Failure {
    Failure(format!("{why} ({module}:{line})"))
}

/// Fails the check.
macro_rules! fail {
    ($($why:tt)+) => {
        return Err($crate::conformance::outcome::broken(format_args!($($why)+), module_path!(), line!()))
    };
}

/// Fails the check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            $crate::conformance::outcome::fail!($($why)+);
        }
    };
}

/// Fails the check unless the two are equal: what was got, what was expected.
macro_rules! same {
    ($got:expr, $expected:expr, $($why:tt)+) => {
        match (&$got, &$expected) {
            (got, expected) => {
                if *got != *expected {
                    $crate::conformance::outcome::fail!(
                        "{}\n     got: {got:?}\nexpected: {expected:?}\n", format_args!($($why)+)
                    );
                }
            },
        }
    };
}

/// Fails the check unless the store refused with a conflict.
macro_rules! refused {
    ($result:expr, $($why:tt)+) => {
        match $result {
            Err(error) if error.is_conflict() => {},
            other => $crate::conformance::outcome::fail!(
                "{} must be refused as a conflict, but: {other:?}", format_args!($($why)+)
            ),
        }
    };
}

pub(super) use {ensure, fail, refused, same};
