//! Applies a transaction's steps: in their order, and of many alike as few statements as can be.

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use apikey_core::{JsonObject, KeyDigest, KeyId};
use apikey_manager::{
    AuditEvent, Change as Step, KeyRecord, KeyState, Lineage, Made, OrganizationId, OrganizationRecord, Revocation,
    SecretRecord, ServiceAccount, ServiceAccountId, StoreError, Switched, time,
};

use crate::{
    database::Change,
    error,
    query::{Names, Query, Value},
    usage,
};

/// Rows of one statement. A key has 21 values, and SQLite takes 32,766.
const CHUNK: usize = 500;

/// Events and lineage come last, all together: nothing depends on them, and between the keys of an import they would keep
/// those apart.
pub(crate) async fn apply(
    change: &mut Change,
    names: &Names,
    organization: &OrganizationId,
    steps: Vec<Step>,
) -> Result<(), StoreError> {
    let mut writer = Writer { change, names, organization };
    let (mut events, mut lineage) = (Vec::new(), Vec::new());
    let mut run = Run::default();
    for step in steps {
        if !run.goes_on_with(&step) {
            writer.write_run(std::mem::take(&mut run)).await?;
        }
        match step {
            Step::Audit(event) => events.push(event),
            Step::Lineage(made) => lineage.push(made),
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
            _ => return Err(StoreError::unavailable("a change that this version of apikey-sqlx does not know")),
        }
    }
    writer.write_run(run).await?;
    writer.add_lineage(&lineage).await?;
    writer.add_events(&events).await
}

/// Steps of one kind that follow one another, of which none depends on another.
#[derive(Default)]
struct Run {
    inserted: Vec<KeyRecord>,
    updated: Vec<KeyRecord>,
    states: Vec<KeyState>,
    /// The keys that are updated, or whose state is set.
    changed: HashSet<KeyId>,
}

impl Run {
    fn goes_on_with(&self, step: &Step) -> bool {
        match step {
            Step::Audit(_) | Step::Lineage(_) => true,
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

    /// `rows`, `CHUNK` at a time, between `before` and `after`; how many rows that changed.
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

    /// Sorted, so that of two imports with keys in common one waits for the other, and never each for the other.
    async fn insert_keys(&mut self, mut keys: Vec<KeyRecord>) -> Result<(), StoreError> {
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys.iter().try_for_each(|key| self.is_own(&key.organization))?;
        let rows = keys.iter().map(key_values).collect::<Result<Vec<_>, _>>()?;
        self.write(&format!("INSERT INTO @key ({KEY_COLUMNS}) "), rows, "").await?;
        // Not before: a concurrent deletion of the id has been waited for by now, and left its tombstone.
        let ids: Vec<Value> = keys.iter().map(|key| key.id.as_str().into()).collect();
        for chunk in ids.chunks(CHUNK) {
            let mut deleted = self.names.query("SELECT id FROM @deleted_key WHERE id");
            deleted.push_one_of(chunk);
            if !self.change.fetch(deleted).await.map_err(error::failed)?.is_empty() {
                return Err(StoreError::conflict("the key's id is taken"));
            }
        }
        let secrets = keys.iter().flat_map(|key| numbered(&key.id, key.secrets.iter(), 0)).collect();
        self.insert_secrets(secrets).await
    }

    async fn insert_secrets(&mut self, mut secrets: Vec<(&KeyId, i64, &SecretRecord)>) -> Result<(), StoreError> {
        secrets.sort_by(|(_, _, a), (_, _, b)| a.digest.as_bytes().cmp(b.digest.as_bytes()));
        let rows = secrets.iter().map(|(key, number, secret)| {
            vec![
                (&secret.digest).into(),
                secret.digest.algorithm().to_string().into(),
                key.as_str().into(),
                (*number).into(),
                time::to_millis(secret.created_at).into(),
                secret.superseded_at.map(time::to_millis).into(),
                secret.ends_at.map(time::to_millis).into(),
                secret.ended_at.map(time::to_millis).into(),
            ]
        });
        let insert = "INSERT INTO @secret \
             (digest, algorithm, key_id, number, created_at, superseded_at, ends_at, ended_at) ";
        self.write(insert, rows.collect(), "").await?;
        let seen: Vec<_> = secrets
            .iter()
            .filter_map(|(key, _, secret)| Some((key.as_str(), &secret.digest, secret.last_used_at?)))
            .collect();
        usage::set_seen(self.change, self.names, &seen).await.map_err(error::failed)
    }

    async fn update_keys(&mut self, keys: Vec<KeyRecord>) -> Result<(), StoreError> {
        keys.iter().try_for_each(|key| self.is_own(&key.organization))?;
        let rows = keys.iter().map(key_values).collect::<Result<Vec<_>, _>>()?;
        let set: Vec<_> = KEY_COLUMNS
            .split(", ")
            .enumerate()
            // All but the id and the organization, which a key keeps, and `last_used_at`.
            .filter(|(_, column)| !matches!(*column, "id" | "organization" | "last_used_at"))
            .map(|(at, column)| format!("{column} = v.column{}", at + 1))
            .collect();
        let changed = self
            .write(
                &format!("UPDATE @key AS k SET {} FROM (", set.join(", ")),
                rows,
                ") AS v WHERE k.id = v.column1 AND k.organization = v.column2 AND k.version = v.column21 - 1",
            )
            .await?;
        if changed != keys.len() as u64 {
            return Err(StoreError::conflict("the record has changed"));
        }
        let known = self.secrets_of(&keys).await?;
        let mut new = Vec::new();
        let mut windows = Vec::new();
        for key in &keys {
            let known = known.get(key.id.as_str());
            let stored = |secret: &SecretRecord| known.and_then(|known| known.get(&secret.digest));
            let last = known.and_then(|known| known.values().map(|known| known.number).max()).unwrap_or(0);
            new.extend(numbered(&key.id, key.secrets.iter().filter(|secret| stored(secret).is_none()), last));
            // Of one that is named twice, the first holds.
            let mut named = HashSet::new();
            for secret in key.secrets.iter().filter(|secret| named.insert(&secret.digest)) {
                let Some(known) = stored(secret) else { continue };
                let [superseded_at, ends_at, ended_at] =
                    [secret.superseded_at, secret.ends_at, secret.ended_at].map(|moment| moment.map(time::to_millis));
                // Whoever has not heard that a secret was ended doesn't revive it.
                let window = [superseded_at, ends_at, known.window[2].or(ended_at)];
                if known.window != window {
                    let place = vec![key.id.as_str().into(), known.number.into()];
                    windows.push([place, window.map(Value::from).to_vec()].concat());
                }
            }
        }
        self.write(
            "UPDATE @secret AS s SET superseded_at = v.column3, ends_at = v.column4, ended_at = v.column5 FROM (",
            windows,
            ") AS v WHERE s.key_id = v.column1 AND s.number = v.column2",
        )
        .await?;
        self.insert_secrets(new).await
    }

    async fn secrets_of(
        &mut self,
        keys: &[KeyRecord],
    ) -> Result<HashMap<String, HashMap<KeyDigest, KnownSecret>>, StoreError> {
        let mut known: HashMap<String, HashMap<KeyDigest, KnownSecret>> = HashMap::new();
        for chunk in keys.chunks(CHUNK) {
            let ids: Vec<Value> = chunk.iter().map(|key| key.id.as_str().into()).collect();
            let mut query = self.names.query(
                "SELECT key_id, number, digest, algorithm, superseded_at, ends_at, ended_at FROM @secret WHERE key_id",
            );
            query.push_one_of(&ids);
            for row in self.change.fetch(query).await.map_err(error::failed)? {
                let mut reader = row.reader();
                let key = reader.text()?.to_owned();
                let (number, digest) = (reader.int()?, reader.digest()?);
                let window = [reader.optional_int()?, reader.optional_int()?, reader.optional_int()?];
                known.entry(key).or_default().insert(digest, KnownSecret { number, window });
            }
        }
        Ok(known)
    }

    async fn set_states(&mut self, states: Vec<KeyState>) -> Result<(), StoreError> {
        let count = states.len() as u64;
        let rows = states.into_iter().map(|state| {
            let (disabled_at, disabled_by) = switched(state.disabled.as_ref());
            let [revoked_at, revoked_by, revoked_reason] = revoked(state.revoked.as_ref());
            let id = vec![state.id.as_str().into(), self.organization.as_str().into(), version(state.version)?];
            Ok([id, vec![disabled_at, disabled_by, revoked_at, revoked_by, revoked_reason]].concat())
        });
        let rows = rows.collect::<Result<_, StoreError>>()?;
        let set = "UPDATE @key AS k SET version = v.column3, disabled_at = v.column4, disabled_by = v.column5, \
                   revoked_at = v.column6, revoked_by = v.column7, revoked_reason = v.column8 FROM (";
        let of = ") AS v WHERE k.id = v.column1 AND k.organization = v.column2 AND k.version = v.column3 - 1";
        match self.write(set, rows, of).await? == count {
            true => Ok(()),
            false => Err(StoreError::conflict("the record has changed")),
        }
    }

    async fn end_secrets(
        &mut self,
        id: &KeyId,
        to_version: u64,
        digests: &[KeyDigest],
        at: SystemTime,
    ) -> Result<(), StoreError> {
        let set = "UPDATE @key SET version = $3 WHERE id = $1 AND organization = $2 AND version = $3 - 1";
        let mut set = self.names.query(set).bind(id.as_str()).bind(self.organization.as_str());
        set = set.bind(version(to_version)?);
        if self.execute(set).await? != 1 {
            return Err(StoreError::conflict("the record has changed"));
        }
        for digest in digests {
            let end = "UPDATE @secret SET ended_at = COALESCE(ended_at, $4), superseded_at = COALESCE(superseded_at, $4), \
                       ends_at = CASE WHEN ends_at < $4 THEN ends_at ELSE $4 END \
                       WHERE key_id = $1 AND digest = $2 AND algorithm = $3";
            let end = self.names.query(end).bind(id.as_str()).bind(digest);
            let end = end.bind(digest.algorithm().to_string()).bind(time::to_millis(at));
            if self.execute(end).await? != 1 {
                return Err(StoreError::conflict("there is no such secret"));
            }
        }
        Ok(())
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

    async fn retire_secrets(&mut self, id: &KeyId, digests: &[KeyDigest]) -> Result<(), StoreError> {
        let own = "SELECT s.number, s.digest, s.algorithm FROM @secret s JOIN @key k ON k.id = s.key_id \
                   WHERE k.id = $1 AND k.organization = $2";
        let own = self.names.query(own).bind(id.as_str()).bind(self.organization.as_str());
        let mut numbers = HashMap::new();
        for row in self.change.fetch(own).await.map_err(error::failed)? {
            let mut reader = row.reader();
            let number = reader.int()?;
            numbers.insert(reader.digest()?, number);
        }
        let retired: Option<HashSet<i64>> = digests.iter().map(|digest| numbers.get(digest).copied()).collect();
        let Some(retired) = retired.filter(|retired| retired.len() == digests.len() && retired.len() < numbers.len())
        else {
            return Err(StoreError::conflict("there is no such secret to spare"));
        };
        let mut last_used_at = None;
        for number in retired {
            let secret = |sql| self.names.query(sql).bind(id.as_str()).bind(number);
            let seen = secret("DELETE FROM @seen WHERE key_id = $1 AND number = $2 RETURNING at");
            for row in self.change.fetch(seen).await.map_err(error::failed)? {
                last_used_at = last_used_at.max(Some(row.reader().int()?));
            }
            let retire = secret(
                "UPDATE @secret SET key_id = NULL, number = NULL, created_at = NULL, superseded_at = NULL, \
                 ends_at = NULL, ended_at = NULL WHERE key_id = $1 AND number = $2",
            );
            self.execute(retire).await?;
        }
        let Some(last_used_at) = last_used_at else { return Ok(()) };
        let keep = "UPDATE @key SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        self.execute(self.names.query(keep).bind(id.as_str()).bind(last_used_at)).await.map(drop)
    }

    async fn delete_key(&mut self, id: &KeyId) -> Result<(), StoreError> {
        let tombstone = self
            .names
            .query("INSERT INTO @deleted_key (id) SELECT id FROM @key WHERE id = $1 AND organization = $2")
            .bind(id.as_str())
            .bind(self.organization.as_str());
        if self.execute(tombstone).await? == 0 {
            return Err(StoreError::conflict("there is no such key"));
        }
        let secrets = "UPDATE @secret SET key_id = NULL, number = NULL, created_at = NULL, superseded_at = NULL, \
                       ends_at = NULL, ended_at = NULL WHERE key_id = $1";
        self.execute(self.names.query(secrets).bind(id.as_str())).await?;
        self.execute(self.names.query("DELETE FROM @key WHERE id = $1").bind(id.as_str())).await.map(drop)
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

    async fn add_events(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        events.iter().try_for_each(|event| self.is_own(&event.organization))?;
        let insert = "INSERT INTO @audit \
             (id, at, organization, actor, action, target, state_before, state_after, request_id) ";
        let rows = events.iter().map(event_values).collect();
        self.write(insert, rows, "").await.map(drop)
    }
}

/// A secret as it stands in the database.
struct KnownSecret {
    number: i64,
    /// When it was superseded, ends, and was ended.
    window: [Option<i64>; 3],
}

/// Secrets, the newest first, with numbers after `last`; the newest has the greatest.
fn numbered<'k>(
    key: &'k KeyId,
    secrets: impl Iterator<Item = &'k SecretRecord>,
    last: i64,
) -> Vec<(&'k KeyId, i64, &'k SecretRecord)> {
    let secrets: Vec<_> = secrets.collect();
    (last + 1..).zip(secrets.into_iter().rev()).map(|(number, secret)| (key, number, secret)).collect()
}

/// What a line of lineage says was made.
pub(crate) const MADE_KEY: &str = "key";
pub(crate) const MADE_SECRET: &str = "secret";
pub(crate) const MADE_WIDENING: &str = "widening";

const KEY_COLUMNS: &str = "id, organization, service_account, name, description, environment, hint, scopes, \
    created_at, created_by, created_by_key, not_before, expires_at, last_used_at, disabled_at, disabled_by, \
    revoked_at, revoked_by, revoked_reason, metadata, version";

fn key_values(key: &KeyRecord) -> Result<Vec<Value>, StoreError> {
    let (disabled_at, disabled_by) = switched(key.disabled.as_ref());
    let [revoked_at, revoked_by, revoked_reason] = revoked(key.revoked.as_ref());
    Ok(vec![
        key.id.as_str().into(),
        key.organization.as_str().into(),
        key.service_account.as_ref().map(ServiceAccountId::as_str).into(),
        key.name.as_str().into(),
        key.description.as_str().into(),
        key.environment.as_deref().into(),
        key.hint.as_str().into(),
        key.scopes.as_str().into(),
        time::to_millis(key.created_at).into(),
        key.created_by.as_str().into(),
        key.created_by_key.as_ref().map(KeyId::as_str).into(),
        key.not_before.map(time::to_millis).into(),
        key.expires_at.map(time::to_millis).into(),
        key.last_used_at.map(time::to_millis).into(),
        disabled_at,
        disabled_by,
        revoked_at,
        revoked_by,
        revoked_reason,
        key.metadata.as_str().into(),
        version(key.version)?,
    ])
}

fn account_values(account: &ServiceAccount) -> Vec<Value> {
    let (disabled_at, disabled_by) = switched(account.disabled.as_ref());
    vec![
        account.id.as_str().into(),
        account.organization.as_str().into(),
        account.name.as_str().into(),
        account.description.as_str().into(),
        disabled_at,
        disabled_by,
        time::to_millis(account.created_at).into(),
        account.created_by.as_str().into(),
        i64::try_from(account.version).unwrap_or(i64::MAX).into(),
    ]
}

fn event_values(event: &AuditEvent) -> Vec<Value> {
    vec![
        event.id.as_str().into(),
        time::to_millis(event.at).into(),
        event.organization.as_str().into(),
        event.actor.as_str().into(),
        event.action.as_str().into(),
        event.target.as_str().into(),
        event.before.as_ref().map(JsonObject::as_str).into(),
        event.after.as_ref().map(JsonObject::as_str).into(),
        event.request_id.as_deref().into(),
    ]
}

fn switched(switched: Option<&Switched>) -> (Value, Value) {
    let at = switched.map(|switched| time::to_millis(switched.at));
    (at.into(), switched.map(|switched| switched.by.as_str()).into())
}

fn revoked(revoked: Option<&Revocation>) -> [Value; 3] {
    [
        revoked.map(|revoked| time::to_millis(revoked.at)).into(),
        revoked.map(|revoked| revoked.by.as_str()).into(),
        revoked.map(|revoked| revoked.reason.as_str()).into(),
    ]
}

fn version(version: u64) -> Result<Value, StoreError> {
    i64::try_from(version).map(Value::from).map_err(|_| StoreError::conflict("the record has changed"))
}
