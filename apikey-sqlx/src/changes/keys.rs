//! Writes keys and their secrets.

use std::collections::{HashMap, HashSet};

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{KeyRecord, KeyState, SecretRecord, StoreError};

use super::{
    CHUNK, Writer,
    values::{KEY_COLUMNS, key_values, revoked, switched, version},
};
use crate::{error, query::Value, usage};

impl Writer<'_> {
    /// Sorted, so that two imports with common keys lock them in the same order and don't deadlock.
    pub(super) async fn insert_keys(&mut self, mut keys: Vec<KeyRecord>) -> Result<(), StoreError> {
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys.iter().try_for_each(|key| self.is_own(&key.organization))?;
        let rows = keys.iter().map(key_values).collect::<Result<Vec<_>, _>>()?;
        self.write(&format!("INSERT INTO @key ({KEY_COLUMNS}) "), rows, "").await?;
        // Checked after the insert, which has waited for a concurrent deletion of the id and its tombstone.
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
                secret.created_at.as_millis().into(),
                secret.superseded_at.map(Timestamp::as_millis).into(),
                secret.ends_at.map(Timestamp::as_millis).into(),
                secret.ended_at.map(Timestamp::as_millis).into(),
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

    pub(super) async fn update_keys(&mut self, keys: Vec<KeyRecord>) -> Result<(), StoreError> {
        keys.iter().try_for_each(|key| self.is_own(&key.organization))?;
        let rows = keys.iter().map(key_values).collect::<Result<Vec<_>, _>>()?;
        let set: Vec<_> = KEY_COLUMNS
            .split(", ")
            .enumerate()
            // All columns except the id and the organization, which never change, and `last_used_at`.
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
            // If a secret is named twice, the first one applies.
            let mut named = HashSet::new();
            for secret in key.secrets.iter().filter(|secret| named.insert(&secret.digest)) {
                let Some(known) = stored(secret) else { continue };
                let [superseded_at, ends_at, ended_at] = [secret.superseded_at, secret.ends_at, secret.ended_at]
                    .map(|moment| moment.map(Timestamp::as_millis));
                // A caller that doesn't know that a secret was ended must not revive it.
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
                let window = [row.get("superseded_at")?, row.get("ends_at")?, row.get("ended_at")?];
                let secret = KnownSecret { number: row.get("number")?, window };
                known.entry(row.get("key_id")?).or_default().insert(row.digest()?, secret);
            }
        }
        Ok(known)
    }

    pub(super) async fn set_states(&mut self, states: Vec<KeyState>) -> Result<(), StoreError> {
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

    pub(super) async fn end_secrets(
        &mut self,
        id: &KeyId,
        to_version: u64,
        digests: &[KeyDigest],
        at: Timestamp,
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
            let end = end.bind(digest.algorithm().to_string()).bind(at.as_millis());
            if self.execute(end).await? != 1 {
                return Err(StoreError::conflict("there is no such secret"));
            }
        }
        Ok(())
    }

    pub(super) async fn retire_secrets(&mut self, id: &KeyId, digests: &[KeyDigest]) -> Result<(), StoreError> {
        let own = "SELECT s.number, s.digest, s.algorithm FROM @secret s JOIN @key k ON k.id = s.key_id \
                   WHERE k.id = $1 AND k.organization = $2";
        let own = self.names.query(own).bind(id.as_str()).bind(self.organization.as_str());
        let mut numbers = HashMap::new();
        for row in self.change.fetch(own).await.map_err(error::failed)? {
            numbers.insert(row.digest()?, row.get("number")?);
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
                last_used_at = last_used_at.max(Some(row.get::<i64>("at")?));
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

    pub(super) async fn delete_key(&mut self, id: &KeyId) -> Result<(), StoreError> {
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
}

/// A secret, as the database has it.
struct KnownSecret {
    number: i64,
    /// When it was superseded, when it ends, and when it was ended.
    window: [Option<i64>; 3],
}

/// Numbers secrets, newest first, from `last` on. The newest gets the greatest number.
fn numbered<'k>(
    key: &'k KeyId,
    secrets: impl Iterator<Item = &'k SecretRecord>,
    last: i64,
) -> Vec<(&'k KeyId, i64, &'k SecretRecord)> {
    let secrets: Vec<_> = secrets.collect();
    (last + 1..).zip(secrets.into_iter().rev()).map(|(number, secret)| (key, number, secret)).collect()
}
