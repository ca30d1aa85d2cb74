//! Applies the steps of a transaction in order, with as few statements as possible for many similar steps.

mod alerts;
mod keys;
mod values;

use std::collections::HashSet;

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    AuditEvent, Change as Step, KeyRecord, KeyState, Lineage, Made, OrganizationId, OrganizationRecord, Remembered,
    ServiceAccount, ServiceAccountId, StoreError,
};

pub(crate) use self::values::{MADE_KEY, MADE_WIDENING};
use self::values::{MADE_SECRET, account_values, event_values, switched};
use crate::{
    database::Change,
    error,
    query::{Names, Query, Value},
};

/// The rows of one statement. A key has 21 values, and SQLite accepts 32,766.
const CHUNK: usize = 500;

/// Events, lineage and alerts come last, all together. Nothing depends on them, and between the keys of an import they would
/// separate runs.
pub(crate) async fn apply(
    change: &mut Change,
    names: &Names,
    organization: &OrganizationId,
    steps: Vec<Step>,
) -> Result<(), StoreError> {
    let mut writer = Writer { change, names, organization };
    let (mut events, mut lineage, mut alerts) = (Vec::new(), Vec::new(), Vec::new());
    let mut run = Run::default();
    for step in steps {
        if !run.goes_on_with(&step) {
            writer.write_run(std::mem::take(&mut run)).await?;
        }
        match step {
            Step::Audit(event) => events.push(event),
            Step::Lineage(made) => lineage.push(made),
            Step::Alert(alert) => alerts.push(*alert),
            Step::InsertKey(key) => run.inserted.push(*key),
            Step::UpdateKey(key) => {
                run.changed.insert(key.id.clone());
                run.updated.push(*key);
            }
            Step::SetState(state) => {
                run.changed.insert(state.id.clone());
                run.states.push(*state);
            }
            Step::EndSecrets(id, version, digests, at) => writer.end_secrets(&id, version, &digests, at).await?,
            Step::RetireSecrets(id, digests) => writer.retire_secrets(&id, &digests).await?,
            Step::DeleteKey(id) => writer.delete_key(&id).await?,
            Step::InsertAccount(account) => writer.insert_account(&account).await?,
            Step::UpdateAccount(account) => writer.update_account(&account).await?,
            Step::DeleteAccount(id) => writer.delete_account(&id).await?,
            Step::SetOrganization(record) => writer.set_organization(&record).await?,
            Step::SetMarker(name, value) => writer.set_marker(&name, &value).await?,
            Step::Remember(request) => writer.remember(&request).await?,
            Step::ForgetRequests { before, keep } => writer.forget_requests(before, keep).await?,
            Step::AcknowledgeAlert(id, by) => writer.acknowledge_alert(id, &by).await?,
            Step::CloseAlerts(keys, events, by) => writer.close_alerts(&keys, events, &by).await?,
            Step::SetAlertSettings(settings) => writer.set_alert_settings(&settings).await?,
            Step::SetWebhook(webhook) => writer.set_webhook(&webhook).await?,
            Step::DeleteWebhook(id) => writer.delete_webhook(&id).await?,
            Step::RetryDelivery(id, at) => writer.retry_delivery(id, at).await?,
            _ => return Err(StoreError::unavailable("a change that this version of apikey-sqlx does not know")),
        }
    }
    writer.write_run(run).await?;
    writer.add_lineage(&lineage).await?;
    writer.add_alerts(&alerts).await?;
    writer.add_events(&events).await
}

/// Consecutive steps of one kind that don't depend on each other.
#[derive(Default)]
struct Run {
    inserted: Vec<KeyRecord>,
    updated: Vec<KeyRecord>,
    states: Vec<KeyState>,
    /// The keys that are updated or whose state is set.
    changed: HashSet<KeyId>,
}

impl Run {
    fn goes_on_with(&self, step: &Step) -> bool {
        match step {
            Step::Audit(_) | Step::Lineage(_) | Step::Alert(_) => true,
            Step::InsertKey(_) => self.changed.is_empty(),
            Step::UpdateKey(key) => {
                self.inserted.is_empty() && self.states.is_empty() && !self.changed.contains(&key.id)
            }
            Step::SetState(state) => {
                self.inserted.is_empty() && self.updated.is_empty() && !self.changed.contains(&state.id)
            }
            _ => false,
        }
    }
}

struct Writer<'t> {
    change: &'t mut Change,
    names: &'t Names,
    organization: &'t OrganizationId,
}

impl Writer<'_> {
    async fn execute(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        self.change.execute(query).await.map_err(error::failed)
    }

    /// Writes `rows`, `CHUNK` at a time, between `before` and `after`. Returns the number of changed rows.
    async fn write(&mut self, before: &str, rows: Vec<Vec<Value>>, after: &str) -> Result<u64, StoreError> {
        let mut changed = 0;
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
            let mut query = self.names.query(before);
            query.push_rows(chunk.into_iter(), CHUNK).push(after);
            changed += self.execute(query).await?;
        }
        Ok(changed)
    }

    async fn write_run(&mut self, run: Run) -> Result<(), StoreError> {
        self.insert_keys(run.inserted).await?;
        self.update_keys(run.updated).await?;
        self.set_states(run.states).await
    }

    fn is_own(&self, organization: &OrganizationId) -> Result<(), StoreError> {
        match organization == self.organization {
            true => Ok(()),
            false => Err(StoreError::conflict("the row belongs to another organization")),
        }
    }

    async fn add_lineage(&mut self, lineage: &[Lineage]) -> Result<(), StoreError> {
        let digest = |digest: Option<&KeyDigest>| digest.map_or(Value::NoDigest, Value::from);
        let rows = lineage.iter().map(|Lineage { actor, presented, key, made }| {
            let (made, secret) = match made {
                Made::Key => (MADE_KEY, None),
                Made::Secret(digest) => (MADE_SECRET, Some(digest)),
                Made::Widening => (MADE_WIDENING, None),
            };
            let who = vec![self.organization.as_str().into(), actor.as_str().into(), digest(presented.as_ref())];
            [who, vec![key.as_str().into(), made.into(), digest(secret)]].concat()
        });
        let rows = rows.collect();
        let insert = "INSERT INTO @lineage (organization, actor, presented, key_id, made, digest) ";
        self.write(insert, rows, "").await.map(drop)
    }

    async fn insert_account(&mut self, account: &ServiceAccount) -> Result<(), StoreError> {
        self.is_own(&account.organization)?;
        let insert = "INSERT INTO @service_account \
             (id, organization, name, description, disabled_at, disabled_by, created_at, created_by, version) ";
        self.write(insert, vec![account_values(account)], "").await.map(drop)
    }

    async fn update_account(&mut self, account: &ServiceAccount) -> Result<(), StoreError> {
        self.is_own(&account.organization)?;
        let update = "UPDATE @service_account AS a SET name = v.column3, description = v.column4, \
             disabled_at = v.column5, disabled_by = v.column6, created_at = v.column7, created_by = v.column8, \
             version = v.column9 FROM (";
        let of = ") AS v WHERE a.id = v.column1 AND a.organization = v.column2 AND a.version = v.column9 - 1";
        match self.write(update, vec![account_values(account)], of).await? {
            1 => Ok(()),
            _ => Err(StoreError::conflict("the record has changed")),
        }
    }

    async fn delete_account(&mut self, id: &ServiceAccountId) -> Result<(), StoreError> {
        let delete = self.names.query("DELETE FROM @service_account WHERE id = $1 AND organization = $2");
        match self.execute(delete.bind(id.as_str()).bind(self.organization.as_str())).await? {
            1 => Ok(()),
            _ => Err(StoreError::conflict("there is no such service account")),
        }
    }

    async fn set_organization(&mut self, record: &OrganizationRecord) -> Result<(), StoreError> {
        self.is_own(&record.id)?;
        let (at, by) = switched(record.suspended.as_ref());
        let set = "INSERT INTO @organization (id, suspended_at, suspended_by) VALUES ($1, $2, $3) ON CONFLICT (id) \
                   DO UPDATE SET suspended_at = excluded.suspended_at, suspended_by = excluded.suspended_by";
        self.execute(self.names.query(set).bind(record.id.as_str()).bind(at).bind(by)).await.map(drop)
    }

    async fn set_marker(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let set = self.names.query("INSERT INTO @marker (name, value) VALUES ($1, $2)").bind(name).bind(value);
        self.execute(set).await.map(drop)
    }

    async fn remember(&mut self, remembered: &Remembered) -> Result<(), StoreError> {
        let Remembered { request, input, keys, at } = remembered;
        let keys: Vec<&str> = keys.iter().map(KeyId::as_str).collect();
        let insert = "INSERT INTO @request (organization, request, input, keys, at) VALUES ($1, $2, $3, $4, $5)";
        let insert = self.names.query(insert).bind(self.organization.as_str()).bind(request.as_str());
        let insert = insert.bind(input.as_str()).bind(keys.join(" ")).bind(at.as_millis());
        self.execute(insert).await.map(drop)
    }

    async fn forget_requests(&mut self, before: Timestamp, keep: usize) -> Result<(), StoreError> {
        let old = "DELETE FROM @request WHERE organization = $1 AND at < $2";
        let old = self.names.query(old).bind(self.organization.as_str()).bind(before.as_millis());
        self.execute(old).await?;
        let beyond = "DELETE FROM @request WHERE organization = $1 AND (at, request) <= \
                      (SELECT at, request FROM @request WHERE organization = $1 \
                      ORDER BY at DESC, request DESC LIMIT 1 OFFSET $2)";
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        self.execute(self.names.query(beyond).bind(self.organization.as_str()).bind(keep)).await.map(drop)
    }

    async fn add_events(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        events.iter().try_for_each(|event| self.is_own(&event.organization))?;
        let insert = "INSERT INTO @audit \
             (id, at, organization, actor, action, target, state_before, state_after, request_id) ";
        let rows = events.iter().map(event_values).collect();
        self.write(insert, rows, "").await.map(drop)
    }
}
