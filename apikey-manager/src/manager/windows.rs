//! Ends of windows that were set after requests had been let in: an expiry, or the end of a rotation's overlap.
//!
//! A cached key knows its end from when it was looked up, and requests under way go by that. When a later change brings the
//! end forward, it is waited for here, and then the key, or the secret, is ended as if by hand.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use apikey_core::{Authenticator, Clock, KeyDigest, KeyId, Timestamp};
use tokio::{runtime::Handle, task::AbortHandle, time::sleep};

use crate::record::KeyRecord;

/// What is waited for, at most one task for a key.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<HashMap<KeyId, AbortHandle>>);

/// When a key and its secrets end by themselves: all that is kept while somebody waits for it.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    key: KeyId,
    expires_at: Option<Timestamp>,
    secrets: Vec<(KeyDigest, Timestamp)>,
}

impl Ends {
    pub(super) fn of(key: &KeyRecord) -> Self {
        let secrets = key.secrets.iter().filter(|secret| secret.ended_at.is_none());
        Ends {
            key: key.id.clone(),
            expires_at: key.expires_at,
            secrets: secrets.filter_map(|secret| Some((secret.digest.clone(), secret.ends_at?))).collect(),
        }
    }

    /// The next of them.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.secrets.iter().map(|(_, end)| *end).chain(self.expires_at);
        ends.filter(|end| *end > now).min()
    }

    fn end_what_is_over(&self, authenticator: &Authenticator, now: Timestamp) {
        if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            authenticator.revoke(&self.key);
            return;
        }
        for (digest, _) in self.secrets.iter().filter(|(_, end)| *end <= now) {
            authenticator.revoke_secret(&self.key, digest);
        }
    }
}

impl Windows {
    /// Waits for these ends in place of what was waited for before.
    pub(super) fn watch(&self, authenticator: &Authenticator, clock: &Clock, runtime: &Handle, ends: Ends) {
        let mut watched = self.watched();
        forget(&mut watched, &ends.key);
        if watched.len() == watched.capacity() {
            watched.retain(|_, task| !task.is_finished());
        }
        if ends.next(clock.wall()).is_none() {
            return;
        }
        let (authenticator, clock, key) = (authenticator.clone(), clock.clone(), ends.key.clone());
        let task = runtime.spawn(async move {
            while let Some(end) = ends.next(clock.wall()) {
                sleep(end.saturating_since(clock.wall())).await;
                ends.end_what_is_over(&authenticator, clock.wall());
            }
        });
        watched.insert(key, task.abort_handle());
    }

    /// Waits for nothing of this key any more.
    pub(super) fn forget(&self, key: &KeyId) {
        forget(&mut self.watched(), key);
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget(watched: &mut HashMap<KeyId, AbortHandle>, key: &KeyId) {
    if let Some(before) = watched.remove(key) {
        before.abort();
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let watched = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        watched.values().for_each(AbortHandle::abort);
    }
}
