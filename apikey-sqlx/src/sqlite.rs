//! SQLite: the file, and the settings of its connections.
//!
//! One connection writes, so that changes of this process queue instead of contending for the file's lock. The others
//! read the last commit.

use std::{
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    Sqlite, SqlitePool,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    database::{Database, Pools},
    dialect::Dialect,
    error::ConnectError,
    files::Files,
    lanes::Lanes,
    options::SqlOptions,
};

const READERS: u32 = 6;
/// The number of rows that a connection's thread reads ahead: those of a long page.
const ROWS_AHEAD: usize = 256;
/// The size of the file's memory map for readers, SQLite's maximum. Every change empties a reader's own cache, and
/// lookups read scattered pages.
const MAPPED: &str = "2147418112";

pub(crate) async fn connect(url: &str, options: &SqlOptions) -> Result<Database, ConnectError> {
    let unusable = Err(ConnectError::Url("is of a database in memory or one that is read-only; name a file"));
    let (path, parameters) = match url.split_once('?') {
        Some((path, parameters)) => (path, parameters),
        None => (url, ""),
    };
    if path.contains(":memory:") || path.trim_start_matches("sqlite:").trim_start_matches("//").is_empty() {
        return unusable;
    }
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("mode", "rw" | "rwc") | ("vfs", _)) => {}
            Some(("mode" | "cache" | "immutable", _)) => return unusable,
            _ => return Err(ConnectError::Url("has a parameter that is not known")),
        }
    }
    let file = SqliteConnectOptions::from_str(url).map_err(|_| ConnectError::Url("is no path of a file"))?;
    if !parameters.contains("mode=rw") || parameters.contains("mode=rwc") {
        create(file.get_filename())?;
    }
    open(file, options).await
}

/// Creates the file before SQLite does, so that others can never read it. SQLite gives files beside it the same mode.
fn create(path: &Path) -> Result<(), ConnectError> {
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            warn_if_open(path);
            Ok(())
        }
        Err(error) => Err(sqlx::Error::Io(error).into()),
    }
}

#[cfg(unix)]
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "other users can read the file with the keys' digests");
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path) {}

pub(crate) async fn open(file: SqliteConnectOptions, options: &SqlOptions) -> Result<Database, ConnectError> {
    let names = options.names(Dialect::Sqlite)?;
    let path = file.get_filename();
    if path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:") || is_memory(&file) {
        return Err(ConnectError::Url("is of a database in memory, which this store can't share"));
    }
    // A relative path would name another file after the process changes its directory.
    let path = match path.to_string_lossy().starts_with("file:") {
        true => path.to_owned(),
        false => std::path::absolute(path).map_err(sqlx::Error::Io)?,
    };
    refuse_network(&path)?;
    let file = file
        .filename(&path)
        .create_if_missing(false)
        .busy_timeout(options.timeout)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD);
    let pool = PoolOptions::<Sqlite>::new()
        .acquire_timeout(options.timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let files = Arc::new(Files::new(&path));
    let opened = Arc::clone(&files);
    let writer = pool.clone().max_connections(1).after_connect(move |_, _| {
        opened.forget();
        Box::pin(async { Ok(()) })
    });
    let writer = connect_patiently(&writer, &file, options.timeout).await?;
    let count = options.max_connections.unwrap_or(READERS);
    let file = file.pragma("query_only", "ON").pragma("mmap_size", MAPPED);
    let readers = pool.max_connections(count).connect_lazy_with(file);
    let pools = Pools::Sqlite { writer, readers, files };
    Ok(Database::new(pools, Lanes::of_file(count), names, options.timeout))
}

/// Processes on several machines would neither exclude each other nor see each other's changes.
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), ConnectError> {
    // A file that can't be asked is none that can be opened, which says so itself.
    let Ok(system) = rustix::fs::statfs(path) else { return Ok(()) };
    #[expect(clippy::useless_conversion, reason = "the width of the field is the platform's")]
    let name = network_name(i64::from(system.f_type) & 0xffff_ffff);
    match name {
        None => Ok(()),
        Some(name) => Err(ConnectError::Unsuitable(format!("it is on {name}, and must be on a disk of this machine"))),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), ConnectError> {
    Ok(())
}

/// The name of a network file system by its number (`linux/magic.h`, and the kernel's `fs/smb`).
#[cfg(target_os = "linux")]
fn network_name(number: i64) -> Option<&'static str> {
    match number {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x0102_1997 => Some("9P"),
        _ => None,
    }
}

/// Returns two connections to the same file, which are the caller's alone.
///
/// A node's row needs no protection against a power failure, which ends all nodes on the file.
pub(crate) fn detached(
    writer: &SqlitePool,
    readers: &SqlitePool,
    files: &Arc<Files>,
    timeout: Duration,
) -> (Pools, Lanes) {
    let one = |pool: &SqlitePool| {
        let options = PoolOptions::<Sqlite>::new().max_connections(1).acquire_timeout(timeout);
        let file = pool.connect_options().as_ref().clone().synchronous(SqliteSynchronous::Normal);
        options.test_before_acquire(false).idle_timeout(None).max_lifetime(None).connect_lazy_with(file)
    };
    (Pools::Sqlite { writer: one(writer), readers: one(readers), files: Arc::clone(files) }, Lanes::of_file(1))
}

/// sqlx names in-memory databases by numbers of its own.
fn is_memory(file: &SqliteConnectOptions) -> bool {
    file.get_filename().to_string_lossy().starts_with("file:sqlx-in-memory-")
}

/// Enables the write-ahead log. SQLite does so under a lock that it doesn't wait for: of processes that start at once,
/// all but one get `SQLITE_BUSY`.
async fn connect_patiently(
    pool: &PoolOptions<Sqlite>,
    file: &SqliteConnectOptions,
    timeout: Duration,
) -> Result<SqlitePool, ConnectError> {
    let start = Instant::now();
    loop {
        match pool.clone().connect_with(file.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if is_busy(&error) && start.elapsed() < timeout => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn given_numbers_of_file_systems_when_named_then_those_of_a_network_are_refused() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(i64::from(0xff53_4d42_u32 as i32) & 0xffff_ffff), Some("SMB"));
        // ext4, tmpfs, btrfs, overlay.
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x794c_7630] {
            assert_eq!(network_name(local), None, "{local:x}");
        }
        assert!(refuse_network(Path::new("/")).is_ok());
    }
}
