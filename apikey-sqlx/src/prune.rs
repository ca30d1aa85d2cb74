//! Deletes old rows, a batch at a time.

use apikey_core::Timestamp;
use std::time::Duration;

use apikey_manager::{Bucket, Prune, Pruned, StoreError};

use crate::database::Database;

/// The rows that one transaction deletes. It is limited, so that others don't wait long.
const PRUNED_AT_ONCE: i64 = 10_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) async fn prune(database: &Database, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    if let Some(before) = prune.usage_before {
        // Whole days, because a day's sum must not outlive its hours.
        let before = Bucket::Day.start(before).as_millis();
        let rows = "DELETE FROM @usage WHERE (key_id, hour) IN \
                    (SELECT key_id, hour FROM @usage WHERE hour < $1 LIMIT $2)";
        pruned.usage = remove(database, rows, before, false).await?;
        let rows = "DELETE FROM @usage_sum WHERE (organization, part, name, hours, start) IN \
                    (SELECT organization, part, name, hours, start FROM @usage_sum WHERE start < $1 LIMIT $2)";
        remove(database, rows, before, false).await?;
    }
    if let Some(before) = prune.activity_before {
        let rows = "DELETE FROM @activity WHERE id IN (SELECT id FROM @activity WHERE at < $1 LIMIT $2)";
        pruned.activity = remove(database, rows, before.as_millis(), false).await?;
    }
    if let Some(before) = prune.alerts_before {
        let rows = "DELETE FROM @delivery WHERE id IN (SELECT id FROM @delivery WHERE created_at < $1 LIMIT $2)";
        remove(database, rows, before.as_millis(), false).await?;
        // What would be written again stays: see `Event::is_lasting`.
        let rows = "DELETE FROM @alert WHERE id IN (SELECT a.id FROM @alert a WHERE a.at < $1 AND NOT \
                    (a.event IN ('key.expiring', 'key.unused', 'key.rotation_due') \
                    AND EXISTS (SELECT 1 FROM @key k WHERE k.id = a.key_id)) LIMIT $2)";
        pruned.alerts = remove(database, rows, before.as_millis(), false).await?;
    }
    if let Some(before) = prune.audit_before {
        let rows = "DELETE FROM @audit WHERE id IN (SELECT id FROM @audit WHERE at < $1 LIMIT $2)";
        pruned.audit = remove(database, rows, before.as_millis(), true).await?;
    }
    let day_ago = now.saturating_sub(DAY).as_millis();
    let batches = "DELETE FROM @usage_batch WHERE id IN (SELECT id FROM @usage_batch WHERE at < $1 LIMIT $2)";
    remove(database, batches, day_ago, false).await?;
    Ok(pruned)
}

/// Deletes rows in batches, each in its own transaction.
async fn remove(database: &Database, sql: &str, before: i64, is_audit: bool) -> Result<u64, StoreError> {
    let names = &database.names;
    let mut removed = 0;
    loop {
        let removing = database.change(async |change| {
            // The table's trigger allows deleting events from before this time. The next statement resets it.
            if is_audit {
                change.execute(names.query("UPDATE @audit_retention SET cutoff = $1").bind(before)).await?;
            }
            let count = change.execute(names.query(sql).bind(before).bind(PRUNED_AT_ONCE)).await?;
            if is_audit {
                change.execute(names.query("UPDATE @audit_retention SET cutoff = NULL")).await?;
            }
            Ok(count)
        });
        let count = removing.await?;
        removed += count;
        if count < PRUNED_AT_ONCE.unsigned_abs() {
            return Ok(removed);
        }
    }
}
