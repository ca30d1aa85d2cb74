//! Accounts and their entries, in memory, independent of gRPC and keys. Your product replaces this file.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// All accounts, by name. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Books(Arc<Mutex<Accounts>>);

/// Followers of an account are woken by its next entry.
type Accounts = BTreeMap<String, watch::Sender<Vec<Line>>>;

/// An entry.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) amount: i64,
    pub(crate) text: String,
    pub(crate) posted_by: String,
}

/// The error of opening an account.
pub(crate) enum OpenError {
    BadName,
    Exists,
}

/// The error for an unknown account.
pub(crate) struct NoAccount;

impl Books {
    pub(crate) fn open(&self, account: String) -> Result<(), OpenError> {
        if !is_name(&account) {
            return Err(OpenError::BadName);
        }
        match self.lock().entry(account) {
            Entry::Occupied(_) => Err(OpenError::Exists),
            Entry::Vacant(place) => {
                place.insert(watch::Sender::new(Vec::new()));
                Ok(())
            }
        }
    }

    /// Returns the number of entries in the account.
    pub(crate) fn post(&self, account: &str, line: Line) -> Result<u64, NoAccount> {
        let accounts = self.lock();
        let lines = accounts.get(account).ok_or(NoAccount)?;
        lines.send_modify(|lines| lines.push(line));
        Ok(lines.borrow().len() as u64)
    }

    /// Returns the account's entries, present and future.
    pub(crate) fn follow(&self, account: &str) -> Result<watch::Receiver<Vec<Line>>, NoAccount> {
        Ok(self.lock().get(account).ok_or(NoAccount)?.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=100).contains(&name.len()) && name.chars().all(allowed)
}
