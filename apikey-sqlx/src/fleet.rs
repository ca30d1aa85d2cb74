//! The part of the store that processes agree through.

use std::time::Duration;

use apikey_core::Timestamp;
use apikey_fleet::{Beat, Change as Recorded, Mark, NodeId, NodeRow, Nonce, OwnRow, Revision, Snapshot, Sweep};
use apikey_manager::{FleetStore, Invalidation, SeenNode, StoreError, StoreState};
use async_trait::async_trait;

use crate::{
    database::{Change, Database, Pools},
    dialect::Dialect,
    hints,
    history::{from_hex, hex, number, targets},
    row::{Row, corrupt},
    store::SqlStore,
};

#[async_trait]
impl FleetStore for SqlStore {
    async fn beat(&self, id: NodeId, lease: Duration, beat: Beat, replaces: Option<NodeId>) -> Result<(), StoreError> {
        let names = &self.database.names;
        let millis = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        // A statement may be executed long after it was abandoned, so a beat never decreases.
        let write = format!(
            "INSERT INTO @node AS n (id, lease_ms, applied, beat, beat_at) VALUES ($1, $2, 0, $3, {}) \
             ON CONFLICT (id) DO UPDATE SET beat = excluded.beat, beat_at = excluded.beat_at WHERE n.beat < excluded.beat",
            time(names.dialect)
        );
        let write = names.query(&write).bind(hex(id.get())).bind(millis).bind(beat.get());
        let replaced = replaces.map(|id| names.query("DELETE FROM @node WHERE id = $1").bind(hex(id.get())));
        let work = async |change: &mut Change| {
            change.execute(write).await?;
            match replaced {
                Some(replaced) => change.execute(replaced).await.map(drop),
                None => Ok(()),
            }
        };
        self.database.change(work).await
    }

    async fn snapshot(&self, id: NodeId, since: Option<Revision>) -> Result<StoreState, StoreError> {
        let names = &self.database.names;
        let writable = match names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "1",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                "CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only')::bool THEN 0 ELSE 1 END::bigint"
            }
        };
        let time = time(names.dialect);
        // One statement is one snapshot.
        let read = format!(
            "SELECT f.revision, f.nonce, {writable} AS writable, {time} AS time, n.beat, n.applied, \
             c.revision AS change, c.nonce AS change_nonce, c.targets, t.targets AS more_targets \
             FROM @fleet f LEFT JOIN @node n ON n.id = $1 LEFT JOIN @change c ON c.revision >= $2 \
             LEFT JOIN @change_target t ON t.nonce = c.nonce ORDER BY c.revision, t.n"
        );
        let since = since.map(|since| number(since.get())).transpose()?;
        let rows = self.database.look_up(names.query(&read).bind(hex(id.get())).bind(since)).await?;
        read_state(&rows)
    }

    async fn acknowledge(&self, id: NodeId, applied: Mark) -> Result<(), StoreError> {
        // The head's change may have been pruned, but not the head.
        let raise = "UPDATE @node SET applied = $2 WHERE id = $1 AND applied < $2 AND (\
             EXISTS (SELECT 1 FROM @change WHERE revision = $2 AND nonce = $3) \
             OR EXISTS (SELECT 1 FROM @fleet WHERE revision = $2 AND nonce = $3))";
        let raise = self.database.names.query(raise).bind(hex(id.get()));
        let raise = raise.bind(number(applied.revision.get())?).bind(hex(applied.nonce.get()));
        self.database.change(async |change| change.execute(raise).await.map(drop)).await
    }

    async fn leave(&self, id: NodeId) -> Result<(), StoreError> {
        let delete = self.database.names.query("DELETE FROM @node WHERE id = $1").bind(hex(id.get()));
        self.database.change(async |change| change.execute(delete).await.map(drop)).await
    }

    async fn nodes(&self) -> Result<(Revision, Vec<NodeRow>), StoreError> {
        let read = "SELECT f.revision, n.id, n.lease_ms, n.applied, n.beat FROM @fleet f LEFT JOIN @node n ON 1 = 1";
        let rows = self.database.look_up(self.database.names.query(read)).await?;
        read_nodes(&rows, |_, node| Ok(node))
    }

    async fn roster(&self) -> Result<(Revision, Vec<SeenNode>), StoreError> {
        let names = &self.database.names;
        let read = format!(
            "SELECT f.revision, n.id, n.lease_ms, n.applied, n.beat, {} - n.beat_at AS silent, \
             (SELECT COUNT(*) FROM @change c WHERE c.revision > n.applied AND c.targets <> '[]') AS behind \
             FROM @fleet f LEFT JOIN @node n ON 1 = 1 ORDER BY n.id",
            time(names.dialect)
        );
        let rows = self.database.fetch(names.query(&read)).await?;
        read_nodes(&rows, |row, node| {
            // Less than nothing if the clock was set back.
            let silent = u64::try_from(row.get::<i64>("silent")?).unwrap_or_default();
            Ok(SeenNode::new(node, row.get("behind")?, Duration::from_millis(silent)))
        })
    }

    async fn sweep(&self, Sweep { id, beat }: Sweep) -> Result<bool, StoreError> {
        let delete = self.database.names.query("DELETE FROM @node WHERE id = $1 AND beat = $2");
        let delete = delete.bind(hex(id.get())).bind(beat.get());
        self.database.change(async |change| Ok(change.execute(delete).await? == 1)).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn changed(&self, known: Revision) {
        hints::changed(&self.database, known).await;
    }

    fn detached(&self) -> Box<dyn FleetStore> {
        Box::new(SqlStore::new(detached(&self.database)))
    }
}

/// The database's clock, in milliseconds.
fn time(dialect: Dialect) -> &'static str {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        #[cfg(feature = "postgres")]
        Dialect::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    }
}

/// Reads the latest revision and each node, of which `read` makes what is asked for.
fn read_nodes<T>(
    rows: &[Row],
    read: impl Fn(&Row, NodeRow) -> Result<T, StoreError>,
) -> Result<(Revision, Vec<T>), StoreError> {
    let mut nodes = Vec::with_capacity(rows.len());
    let mut head = None;
    for row in rows {
        head = Some(Revision::new(row.get("revision")?));
        let Some(id) = row.get("id")? else { continue };
        let node = NodeRow {
            id: NodeId::new(from_hex(id)?),
            lease: Duration::from_millis(row.get("lease_ms")?),
            applied: Revision::new(row.get("applied")?),
            beat: Beat::new(row.get("beat")?),
        };
        nodes.push(read(row, node)?);
    }
    Ok((head.ok_or_else(|| corrupt("no revision"))?, nodes))
}

fn read_state(rows: &[Row]) -> Result<StoreState, StoreError> {
    let row = rows.first().ok_or_else(|| corrupt("no revision"))?;
    let head = Mark { revision: Revision::new(row.get("revision")?), nonce: Nonce::new(from_hex(row.get("nonce")?)?) };
    let writable = row.get::<i64>("writable")? == 1;
    let time: Timestamp = row.get("time")?;
    let own = match (row.get("beat")?, row.get("applied")?) {
        (Some(beat), Some(applied)) => Some(OwnRow { beat: Beat::new(beat), applied: Revision::new(applied) }),
        _ => None,
    };
    let mut changes: Vec<Recorded<Vec<Invalidation>>> = Vec::new();
    for row in rows {
        let Some(revision) = row.get("change")? else { continue };
        let nonce = Nonce::new(from_hex(row.get("change_nonce")?)?);
        let mark = Mark { revision: Revision::new(revision), nonce };
        if changes.last().is_none_or(|last| last.mark != mark) {
            let targets = targets(row.get("targets")?)?;
            changes.push(Recorded { mark, awaited: !targets.is_empty(), targets });
        }
        if let (Some(change), Some(more)) = (changes.last_mut(), row.get("more_targets")?) {
            change.targets.extend(targets(more)?);
        }
    }
    Ok(StoreState::new(Snapshot { head, own, writable, changes }, time))
}

/// Returns the same database on few connections of its own, which are opened when they are used first.
fn detached(database: &Database) -> Database {
    let timeout = database.timeout;
    let (pools, lanes) = match &database.pools {
        #[cfg(feature = "sqlite")]
        Pools::Sqlite { writer, readers, files } => crate::sqlite::detached(writer, readers, files, timeout),
        #[cfg(feature = "postgres")]
        Pools::Postgres { pool, sessions, .. } => crate::postgres::detached(pool, *sessions, timeout),
    };
    Database::new(pools, lanes, database.names.clone(), timeout)
}
