//! The store: each read is one statement, each change one transaction.

mod alerts;

use std::{fmt, sync::Arc};

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    AccountQuery, Activity, ActivityQuery, AlertStore, AuditEvent, AuditQuery, Counts, Cursor, FleetStore, KeyQuery,
    KeyRecord, KeyStore, Lookup, OrganizationId, OrganizationRecord, Prune, Pruned, Reach, ReachQuery, ServiceAccount,
    ServiceAccountId, StoreError, Transaction, UsageBatch, UsageBucket, UsageQuery,
};
use async_trait::async_trait;

use crate::{
    activity,
    database::Database,
    error, found, prune,
    query::Query,
    reach::{self, Source},
    reads,
    row::{self, Batch, Row, corrupt},
    transaction::SqlTransaction,
    usage,
};

/// A store of keys in SQLite or PostgreSQL.
///
/// Clones are cheap and share their connections.
///
/// # Security
///
/// The database contains digests, never keys. Connections to a server are refused while it is read-only, recovering or
/// a standby, because its answers may be stale.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) database: Arc<Database>,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("dialect", &self.database.names.dialect).finish_non_exhaustive()
    }
}

impl SqlStore {
    pub(crate) fn new(database: Database) -> Self {
        SqlStore { database: Arc::new(database) }
    }

    /// Returns a page of a list. It reads more in place of corrupt rows, so that a short page is the last one.
    async fn page<'q, T>(
        &'q self,
        after: Option<Cursor>,
        limit: usize,
        ask: impl Fn(Option<Cursor>, usize) -> Query<'q> + Send,
        read: impl Fn(&[Row]) -> Result<Batch<T>, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let (mut items, mut after) = (Vec::new(), after);
        while items.len() < limit {
            let wanted = limit - items.len();
            let query = ask(after.take(), wanted);
            let Batch { items: more, count, last } = read(&self.database.fetch(query).await?)?;
            items.extend(more);
            if count < wanted {
                break;
            }
            after = last;
        }
        Ok(items)
    }
}

#[async_trait]
impl KeyStore for SqlStore {
    fn fleet(&self) -> &dyn FleetStore {
        self
    }

    async fn begin(&self, organization: &OrganizationId) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(SqlTransaction::begin(self.database.clone(), organization.clone()).await?))
    }

    async fn find(&self, digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
        let rows = self.database.look_up(found::query(&self.database.names, digests)).await?;
        found::read(&rows, digests)
    }

    async fn key(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let rows = self.database.fetch(reads::key(&self.database.names, organization, id)).await?;
        row::key(&rows)
    }

    async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyRecord>, StoreError> {
        let KeyQuery { organization, filter, sort, now, after, limit } = query;
        let ask = |after: Option<Cursor>, most| {
            reads::keys(&self.database.names, organization, filter, *sort, *now, after.as_ref(), most)
        };
        self.page(after.clone(), *limit, ask, row::keys).await
    }

    async fn reach(&self, query: &ReachQuery) -> Result<Reach, StoreError> {
        reach::reach(Source::Store(&self.database), &self.database.names, query).await
    }

    async fn place(
        &self,
        organization: &OrganizationId,
        after: Option<&Cursor>,
        count: usize,
    ) -> Result<Option<Cursor>, StoreError> {
        if count == 0 {
            return Ok(None);
        }
        reads::read_place(&self.database.fetch(reads::place(&self.database.names, organization, after, count)).await?)
    }

    async fn account(
        &self,
        organization: &OrganizationId,
        id: &ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, StoreError> {
        let rows = self.database.fetch(reads::account(&self.database.names, organization, id)).await?;
        reads::read_account(&rows)
    }

    async fn accounts(&self, query: &AccountQuery) -> Result<Vec<ServiceAccount>, StoreError> {
        let ask = |after: Option<Cursor>, most| reads::accounts(&self.database.names, query, after.as_ref(), most);
        self.page(query.after.clone(), query.limit, ask, reads::read_accounts).await
    }

    async fn organization(&self, id: &OrganizationId) -> Result<OrganizationRecord, StoreError> {
        reads::read_organization(&self.database.fetch(reads::organization(&self.database.names, id)).await?, id)
    }

    async fn counts(&self, organization: &OrganizationId, now: Timestamp) -> Result<Counts, StoreError> {
        reads::read_counts(&self.database.fetch(reads::counts(&self.database.names, organization, now)).await?)
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        let ask = |after: Option<Cursor>, most| reads::audit(&self.database.names, query, after.as_ref(), most);
        self.page(query.after.clone(), query.limit, ask, reads::read_audit).await
    }

    async fn add_usage(&self, batch: &UsageBatch) -> Result<bool, StoreError> {
        usage::add(&self.database, batch).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageBucket>, StoreError> {
        usage::read_buckets(&self.database.fetch(usage::buckets(&self.database.names, query)).await?)
    }

    async fn add_activity(&self, activity: &[Activity]) -> Result<(), StoreError> {
        activity::add_activity(&self.database, activity).await
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Vec<(String, Activity)>, StoreError> {
        let ask = |after: Option<Cursor>, most| activity::activity(&self.database.names, query, after.as_ref(), most);
        self.page(query.after.clone(), query.limit, ask, activity::read_activity).await
    }

    async fn prune(&self, prune: &Prune, now: Timestamp) -> Result<Pruned, StoreError> {
        prune::prune(&self.database, prune, now).await
    }

    async fn expiring(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(row::keys(&self.database.fetch(reads::expiring(&self.database.names, from, to, limit)).await?)?.items)
    }

    async fn scan(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let after = after.map(|after| Cursor { at: Timestamp::UNIX_EPOCH, id: after.to_string() });
        let ask = |after: Option<Cursor>, most| {
            reads::scan(&self.database.names, after.as_ref().map(|after| after.id.as_str()), most)
        };
        self.page(after, limit, ask, row::keys).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let rows = self.database.look_up(self.database.names.query("SELECT revision FROM @fleet")).await?;
        rows.first().ok_or_else(|| corrupt("no revision"))?.get("revision")
    }

    async fn marker(&self, name: &str) -> Result<Option<String>, StoreError> {
        reads::read_marker(&self.database.fetch(reads::marker(&self.database.names, name)).await?)
    }

    async fn advance_marker(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, StoreError> {
        let names = &self.database.names;
        let advance = match from {
            None => names
                .query("INSERT INTO @marker (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .bind(to),
            Some(from) => names
                .query("UPDATE @marker SET value = $2 WHERE name = $1 AND value = $3")
                .bind(name)
                .bind(to)
                .bind(from),
        };
        self.database.change(async |change| Ok(change.execute(advance).await? == 1)).await
    }

    fn alerts(&self) -> &dyn AlertStore {
        self
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.revision().await?;
        // A write that is rolled back, to a row that only pruning waits for.
        let mut change = self.database.begin().await.map_err(error::failed)?;
        let written = change.execute(self.database.names.query("UPDATE @audit_retention SET cutoff = NULL")).await;
        change.rollback().await;
        written.map(drop).map_err(error::failed)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
