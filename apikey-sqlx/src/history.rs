//! The history of changes of access, for processes that follow it. [`fleet`](crate::fleet) reads it.

use apikey_manager::{Invalidation, StoreError};

use crate::{
    database::Change,
    dialect::Dialect,
    error,
    query::{Names, Query},
    row::corrupt,
};

/// The targets of one row.
const TARGETS: usize = 50;

/// The number of changes that are kept. A process that is further behind empties its cache.
const MOST_CHANGES: u64 = 4_096;

/// The number of changes after which old ones are deleted.
const PRUNED_EVERY: u64 = 128;

/// Takes the next revision and records what the change means for cached keys.
///
/// The revision is the last lock of a change: its holder waits for no other lock, and revisions commit in their order.
pub(crate) async fn record(change: &mut Change, names: &Names, targets: &[Invalidation]) -> Result<u64, StoreError> {
    let nonce = nonce()?;
    let mut chunks = targets.chunks(TARGETS);
    let first = json(chunks.next().unwrap_or_default())?;
    for (n, targets) in (1_i64..).zip(chunks) {
        let insert = names.query("INSERT INTO @change_target (nonce, n, targets) VALUES ($1, $2, $3)");
        let insert = insert.bind(nonce.as_str()).bind(n).bind(json(targets)?);
        change.execute(insert).await.map_err(error::failed)?;
    }
    let revision = match names.dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let next = names.query("UPDATE @fleet SET revision = revision + 1, nonce = $1 RETURNING revision");
            let revision = one_revision(change, next.bind(nonce.as_str())).await?;
            let insert = names.query("INSERT INTO @change (revision, nonce, targets) VALUES ($1, $2, $3)");
            let insert = insert.bind(number(revision)?).bind(nonce).bind(first);
            change.execute(insert).await.map_err(error::failed)?;
            revision
        }
        // One statement, because everybody waits for the holder of the revision.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let next = "WITH head AS (UPDATE @fleet SET revision = revision + 1, nonce = $1 RETURNING revision) \
                 INSERT INTO @change (revision, nonce, targets) SELECT revision, $1, $2 FROM head RETURNING revision";
            one_revision(change, names.query(next).bind(nonce).bind(first)).await?
        }
    };
    if revision.is_multiple_of(PRUNED_EVERY) {
        prune(change, names, revision.saturating_sub(MOST_CHANGES)).await?;
    }
    Ok(revision)
}

async fn one_revision(change: &mut Change, query: Query<'_>) -> Result<u64, StoreError> {
    let rows = change.fetch(query).await.map_err(error::failed)?;
    rows.first().ok_or_else(|| corrupt("no revision"))?.get("revision")
}

async fn prune(change: &mut Change, names: &Names, last: u64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM @change_target WHERE nonce IN (SELECT nonce FROM @change WHERE revision <= $1)",
        "DELETE FROM @change WHERE revision <= $1",
    ] {
        change.execute(names.query(sql).bind(number(last)?)).await.map_err(error::failed)?;
    }
    Ok(())
}

fn json(targets: &[Invalidation]) -> Result<String, StoreError> {
    serde_json::to_string(targets).map_err(|error| StoreError::corrupt(format!("targets of a change: {error}")))
}

pub(crate) fn targets(text: &str) -> Result<Vec<Invalidation>, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(&format!("the targets of a change: {error}")))
}

pub(crate) fn nonce() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::unavailable)?;
    Ok(hex(u128::from_be_bytes(bytes)))
}

/// Ids and nonces are 32 hexadecimal digits in the database.
pub(crate) fn hex(bits: u128) -> String {
    format!("{bits:032x}")
}

pub(crate) fn from_hex(text: &str) -> Result<u128, StoreError> {
    u128::from_str_radix(text, 16).map_err(|_| corrupt("an id of a node, or a nonce"))
}

pub(crate) fn number(revision: u64) -> Result<i64, StoreError> {
    i64::try_from(revision).map_err(|_| corrupt("a revision"))
}
