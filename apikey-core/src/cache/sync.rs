//! The locks and atomics of the cache. With `--cfg shuttle`, those of a model checker.

#[cfg(shuttle)]
use shuttle::sync as checked;
#[cfg(not(shuttle))]
use std::sync as checked;

pub(crate) use std::sync::{Arc, Weak};

pub(crate) use checked::atomic;

/// A mutex that a panicking holder doesn't poison: no invariant of this module spans a call into foreign code.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checked::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(checked::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> checked::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
