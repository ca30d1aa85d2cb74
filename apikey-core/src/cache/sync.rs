//! Every lock and atomic of the cache, through one door.

pub(super) use std::sync::{Arc, Weak, atomic};
use std::sync::{MutexGuard, PoisonError};

/// A mutex that a panicking holder doesn't poison: no invariant of this module spans a call into foreign code.
#[derive(Debug, Default)]
pub(super) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Mutex(std::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
