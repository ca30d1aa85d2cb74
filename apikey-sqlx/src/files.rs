//! The file of a SQLite database, which may be deleted or replaced while it is open. SQLite then goes on in the file that
//! it has open, as any program does on Unix, and what it writes there is lost.
//!
//! So it is looked for where it should be. On Windows there is nothing to see: a file that is open can't be deleted.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::error::Failure;

/// How often those who only read look.
const GLANCES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Files {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    database: Place,
    /// What SQLite keeps beside it, and changes are lost without.
    beside: [Place; 2],
    /// When the database was last found.
    glanced: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    what: &'static str,
    path: PathBuf,
    /// `None` where there is no file, as with a VFS that keeps it elsewhere, or none yet.
    known: Option<Identity>,
}

/// Which file it is: its device, and its number there.
type Identity = (u64, u64);

impl Files {
    /// The file at `path`, which is there and about to be opened.
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

    /// Forgets what is beside the database: the connection that changes it is about to be opened anew, and where nobody
    /// else has the database open, what is beside it is made anew, too.
    pub(crate) fn forget(&self) {
        self.seen().beside.iter_mut().for_each(|place| place.known = None);
    }

    /// Looks for all of it, on behalf of a change: when it has begun, so that everything is there, and when it is made.
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

    /// Looks for the database, once a second while it is there.
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
