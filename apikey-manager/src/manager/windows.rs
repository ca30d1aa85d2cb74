//! Ends of windows that were set after requests had been let in: an expiry, or the end of a rotation's overlap.
//!
//! A cached key knows its end from when it was looked up, and requests under way go by that. When a later change brings the
//! end forward, it is waited for here, and then the key, or the secret, is ended as if by hand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use apikey_core::{Authenticator, Clock, KeyId};
use tokio::{runtime::Handle, task::AbortHandle, time::sleep};

use crate::record::KeyRecord;

/// What is waited for, at most one task for a key.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<HashMap<KeyId, AbortHandle>>);

impl Windows {
    /// Waits for the windows of `key`, as it is now, in place of what was waited for before.
    pub(super) fn watch(&self, authenticator: &Authenticator, clock: &Clock, runtime: &Handle, key: &Arc<KeyRecord>) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = watched.remove(&key.id) {
            before.abort();
        }
        if watched.len() == watched.capacity() {
            watched.retain(|_, task| !task.is_finished());
        }
        if next_end(key, clock.wall()).is_none() {
            return;
        }
        let (authenticator, clock, record) = (authenticator.clone(), clock.clone(), Arc::clone(key));
        let task = runtime.spawn(async move {
            while let Some(end) = next_end(&record, clock.wall()) {
                sleep(end.duration_since(clock.wall()).unwrap_or_default()).await;
                end_what_is_over(&authenticator, &record, clock.wall());
            }
        });
        watched.insert(key.id.clone(), task.abort_handle());
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let watched = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        watched.values().for_each(AbortHandle::abort);
    }
}

/// The next end of any of the key's windows.
fn next_end(key: &KeyRecord, now: SystemTime) -> Option<SystemTime> {
    if key.revoked.is_some() {
        return None;
    }
    let ends = key.secrets.iter().filter_map(|secret| secret.ends_at).chain(key.expires_at);
    ends.filter(|end| *end > now).min()
}

fn end_what_is_over(authenticator: &Authenticator, key: &KeyRecord, now: SystemTime) {
    if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
        authenticator.revoke(&key.id);
        return;
    }
    for secret in key.secrets.iter().filter(|secret| !secret.is_live(now)) {
        authenticator.revoke_secret(&key.id, &secret.digest);
    }
}
