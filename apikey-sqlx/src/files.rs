//! The file of a SQLite database, which may be deleted or replaced while it is open. SQLite then continues with the
//! file that it has open, as any program does on Unix, and its writes are lost.
//!
//! This module checks that the file is still at its path. On Windows an open file can't be deleted.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::error::Failure;

/// The interval at which readers check.
const GLANCES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Files {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    database: Place,
    /// Files beside the database without which changes are lost.
    beside: [Place; 2],
    /// The time of the last successful check.
    glanced: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    what: &'static str,
    path: PathBuf,
    /// `None` if there is no file: a VFS keeps it elsewhere, or it doesn't exist yet.
    known: Option<Identity>,
}

/// The file's identity: its device and inode.
type Identity = (u64, u64);

impl Files {
    /// Remembers the file at `path`, which exists and is about to be opened.
    pub(crate) fn new(path: &Path) -> Self {
        let beside = |what, suffix| {
            let mut path = path.to_owned().into_os_string();
            path.push(suffix);
            Place { what, path: path.into(), known: None }
        };
        let database = Place { what: "file", path: path.to_owned(), known: identity(path) };
        let beside = [beside("write-ahead log", "-wal"), beside("log's index", "-shm")];
        Files { seen: Mutex::new(Seen { database, beside, glanced: None }) }
    }

    /// Forgets the files beside the database, because the writing connection is about to be reopened, which may create
    /// them anew.
    pub(crate) fn forget(&self) {
        self.seen().beside.iter_mut().for_each(|place| place.known = None);
    }

    /// Checks all files for a change: after it has begun, when all of them exist, and before it commits.
    pub(crate) fn look(&self) -> Result<(), Failure> {
        let mut seen = self.seen();
        seen.database.check()?;
        seen.beside.iter_mut().try_for_each(|place| match place.known {
            None => {
                place.known = identity(&place.path);
                Ok(())
            }
            Some(_) => place.check(),
        })
    }

    /// Checks the database's file, at most once a second.
    pub(crate) fn glance(&self) -> Result<(), Failure> {
        let mut seen = self.seen();
        if seen.glanced.is_some_and(|at| at.elapsed() < GLANCES) {
            return Ok(());
        }
        let found = seen.database.check();
        seen.glanced = found.is_ok().then(Instant::now);
        found
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn check(&self) -> Result<(), Failure> {
        match self.known.is_none() || identity(&self.path) == self.known {
            true => Ok(()),
            false => Err(Failure::Gone(self.what)),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
