//! Taking keys over from elsewhere: raw or hashed, many at a time.

use crate::validate::FieldError;

/// A row of an import that can't be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// What is wrong with it. Whose key it is already, if it is some, is not told.
    pub error: FieldError,
}
