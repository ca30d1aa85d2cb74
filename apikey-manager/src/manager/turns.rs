//! Who changes what, and when: of an organization's changes one at a time asks the store, and of all together never so many
//! that look-ups find no connection. Whoever floods its own organization with changes waits for itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::organization::OrganizationId;

/// Changes under way at once. Stores have ten connections, unless told otherwise.
const CHANGES: usize = 6;

#[derive(Debug)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<OrganizationId, Weak<AsyncMutex<()>>>>,
    changes: Arc<Semaphore>,
}

/// The right to change an organization's keys, from this process.
pub(super) struct Turn {
    _own: OwnedMutexGuard<()>,
    _change: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { queues: Mutex::default(), changes: Arc::new(Semaphore::new(CHANGES)) }
    }
}

impl Turns {
    pub(super) async fn take(&self, organization: &OrganizationId) -> Turn {
        let own = self.queue(organization).lock_owned().await;
        // Never closed.
        let change = Arc::clone(&self.changes).acquire_owned().await.ok();
        Turn { _own: own, _change: change }
    }

    fn queue(&self, organization: &OrganizationId) -> Arc<AsyncMutex<()>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(organization).and_then(Weak::upgrade) {
            return queue;
        }
        // Those that nobody stands in go whenever the table would grow.
        if queues.len() == queues.capacity() {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::default();
        queues.insert(organization.clone(), Arc::downgrade(&queue));
        queue
    }
}
