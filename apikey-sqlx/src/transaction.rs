//! A change of one organization, under its lock.

use std::{collections::HashSet, sync::Arc};

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    ActorId, Alert, AlertId, AlertSettings, Changes, Counts, Delivery, DeliveryId, KeyFilter, KeyHead, KeyRecord,
    OrganizationId, OrganizationRecord, Reach, ReachQuery, Remembered, ServiceAccount, ServiceAccountId, StoreError,
    Transaction, Webhook,
};
use async_trait::async_trait;

use crate::{
    alerts, changes,
    database::{Change, Database},
    error::{self, Failure},
    hints, history,
    query::{Query, Value},
    reach::{self, Source},
    reads,
    row::{self, Row},
};

#[cfg(feature = "postgres")]
use crate::dialect::Dialect;

/// The values of one list.
const CHUNK: usize = 1_000;

pub(crate) struct SqlTransaction {
    database: Arc<Database>,
    organization: OrganizationId,
    change: Change,
}

impl SqlTransaction {
    pub(crate) async fn begin(database: Arc<Database>, organization: OrganizationId) -> Result<Self, StoreError> {
        let change = database.begin().await.map_err(error::failed)?;
        let mut begun = SqlTransaction { database, organization, change };
        match begun.lock().await {
            Ok(()) => Ok(begun),
            Err(error) => {
                begun.change.rollback().await;
                Err(error::failed(error))
            }
        }
    }

    /// On SQLite, a change has locked the whole file already.
    #[cfg(not(feature = "postgres"))]
    async fn lock(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    #[cfg(feature = "postgres")]
    async fn lock(&mut self) -> Result<(), Failure> {
        let names = &self.database.names;
        match names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => crate::postgres::lock_organization(&mut self.change, names, &self.organization).await,
        }
    }
}

async fn fetch(change: &mut Change, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
    change.fetch(query).await.map_err(error::failed)
}

#[async_trait]
impl Transaction for SqlTransaction {
    async fn organization(&mut self) -> Result<OrganizationRecord, StoreError> {
        let query = reads::organization(&self.database.names, &self.organization);
        reads::read_organization(&fetch(&mut self.change, query).await?, &self.organization)
    }

    async fn key(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let query = reads::key(&self.database.names, &self.organization, id);
        row::key(&fetch(&mut self.change, query).await?)
    }

    async fn ids(&mut self, filter: &KeyFilter, now: Timestamp) -> Result<Vec<KeyId>, StoreError> {
        let query = reads::ids(&self.database.names, &self.organization, filter, now);
        fetch(&mut self.change, query).await?.iter().map(|row| row.get("id")).collect()
    }

    async fn heads(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, StoreError> {
        let mut heads = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let chunk: Vec<Value> = chunk.iter().map(|id| id.as_str().into()).collect();
            let query = reads::heads(&self.database.names, &self.organization, &chunk);
            heads.extend(row::heads(&fetch(&mut self.change, query).await?)?);
        }
        Ok(heads)
    }

    async fn reach(&mut self, query: &ReachQuery) -> Result<Reach, StoreError> {
        reach::reach(Source::Change(&mut self.change), &self.database.names, query).await
    }

    async fn account(&mut self, id: &ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        let query = reads::account(&self.database.names, &self.organization, id);
        reads::read_account(&fetch(&mut self.change, query).await?)
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        let query = reads::counts(&self.database.names, &self.organization, now);
        reads::read_counts(&fetch(&mut self.change, query).await?)
    }

    async fn taken(&mut self, digests: &[KeyDigest]) -> Result<Vec<KeyDigest>, StoreError> {
        let mut taken = HashSet::new();
        for chunk in digests.chunks(CHUNK) {
            let chunk: Vec<Value> = chunk.iter().map(Value::from).collect();
            let mut query = self.database.names.query("SELECT digest, algorithm FROM @secret WHERE digest");
            query.push_one_of(&chunk);
            for row in fetch(&mut self.change, query).await? {
                taken.insert(row.digest()?);
            }
        }
        Ok(digests.iter().filter(|digest| taken.contains(*digest)).cloned().collect())
    }

    async fn taken_ids(&mut self, ids: &[KeyId]) -> Result<Vec<KeyId>, StoreError> {
        let mut taken = HashSet::new();
        for chunk in ids.chunks(CHUNK) {
            let chunk: Vec<Value> = chunk.iter().map(|id| id.as_str().into()).collect();
            for table in ["@key", "@deleted_key"] {
                let mut query = self.database.names.query(&format!("SELECT id FROM {table} WHERE id"));
                query.push_one_of(&chunk);
                for row in fetch(&mut self.change, query).await? {
                    taken.insert(row.get::<KeyId>("id")?);
                }
            }
        }
        Ok(ids.iter().filter(|id| taken.contains(*id)).cloned().collect())
    }

    async fn has_made(
        &mut self,
        actor: &ActorId,
        presented: &KeyDigest,
        secret: &KeyDigest,
    ) -> Result<bool, StoreError> {
        let query = reads::has_made(&self.database.names, &self.organization, actor, presented, secret);
        Ok(!fetch(&mut self.change, query).await?.is_empty())
    }

    async fn marker(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let query = reads::marker(&self.database.names, name);
        reads::read_marker(&fetch(&mut self.change, query).await?)
    }

    async fn alert_settings(&mut self) -> Result<Option<AlertSettings>, StoreError> {
        let query = alerts::settings(&self.database.names, std::slice::from_ref(&self.organization));
        let set = alerts::read_settings(&fetch(&mut self.change, query).await?)?;
        Ok(set.into_iter().map(|(_, settings)| settings).next())
    }

    async fn alert(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let read = format!("SELECT {} FROM @alert a WHERE a.id = $1 AND a.organization = $2", alerts::ALERT);
        let read = self.database.names.query(&read).bind(alerts::number(id.number())).bind(self.organization.as_str());
        fetch(&mut self.change, read).await?.first().map(alerts::read_alert).transpose()
    }

    async fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let read = format!("SELECT {} FROM @delivery d WHERE d.id = $1 AND d.organization = $2", alerts::DELIVERY);
        let read = self.database.names.query(&read).bind(alerts::number(id.number())).bind(self.organization.as_str());
        fetch(&mut self.change, read).await?.first().map(alerts::read_delivery).transpose()
    }

    async fn webhooks(&mut self) -> Result<Vec<Webhook>, StoreError> {
        let query = alerts::webhooks(&self.database.names, &self.organization);
        alerts::read_webhooks(&fetch(&mut self.change, query).await?)
    }

    async fn remembered(&mut self, request: &str) -> Result<Option<Remembered>, StoreError> {
        let query = reads::remembered(&self.database.names, &self.organization, request);
        reads::read_remembered(&fetch(&mut self.change, query).await?)
    }

    async fn commit(self: Box<Self>, changes: Changes) -> Result<Option<u64>, StoreError> {
        let SqlTransaction { database, organization, mut change } = *self;
        let names = &database.names;
        let applied = async {
            changes::apply(&mut change, names, &organization, changes.changes).await?;
            match changes.affects_callers {
                true => history::record(&mut change, names, &changes.invalidations).await.map(Some),
                false => Ok(None),
            }
        };
        match applied.await {
            Ok(revision) => {
                change.commit().await.map_err(error::commit_failed)?;
                if !changes.invalidations.is_empty() {
                    hints::tell(&database).await;
                }
                Ok(revision)
            }
            Err(error) => {
                change.rollback().await;
                Err(error)
            }
        }
    }
}
