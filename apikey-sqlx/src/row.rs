//! Rows as both databases return them, and records read from them, column by column.

use std::time::SystemTime;

use apikey_core::{DigestAlgorithm, KeyDigest, KeyId, PepperVersion, ScopeSet};
use apikey_manager::{
    ActorId, KeyRecord, OrganizationId, Revocation, SecretRecord, ServiceAccount, ServiceAccountId, StoreError,
    Switched, time,
};
use serde_json::{Map, Value};
use sqlx::{ColumnIndex, Decode, Type};

use crate::error;

/// A row of either database.
pub(crate) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

/// Reads a row from left to right.
pub(crate) struct Reader<'r> {
    row: &'r Row,
    at: usize,
}

/// The columns of a key that [`Reader::key`] reads, of a table `k`.
pub(crate) const KEY: &str = "k.id, k.organization, k.service_account, k.name, k.description, k.environment, k.hint, \
    k.scopes, k.created_at, k.created_by, k.created_by_key, k.not_before, k.expires_at, k.last_used_at, \
    k.disabled_at, k.disabled_by, k.revoked_at, k.revoked_by, k.revoked_reason, k.metadata, k.version, \
    (SELECT max(w.at) FROM @seen w WHERE w.key_id = k.id)";

/// The columns of a secret that [`Reader::secret`] reads, of tables `s` and `n`.
pub(crate) const SECRET: &str = "s.digest, s.algorithm, s.created_at, s.superseded_at, s.ends_at, n.at";

impl Row {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { row: self, at: 0 }
    }
}

impl<'r> Reader<'r> {
    #[cfg(all(feature = "sqlite", feature = "postgres"))]
    fn next<T>(&mut self) -> Result<T, StoreError>
    where
        T: Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite> + Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
    {
        let at = self.step();
        match self.row {
            Row::Sqlite(row) => column(row, at),
            Row::Postgres(row) => column(row, at),
        }
    }

    #[cfg(all(feature = "sqlite", not(feature = "postgres")))]
    fn next<T>(&mut self) -> Result<T, StoreError>
    where
        T: Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite>,
    {
        let at = self.step();
        let Row::Sqlite(row) = self.row;
        column(row, at)
    }

    #[cfg(all(feature = "postgres", not(feature = "sqlite")))]
    fn next<T>(&mut self) -> Result<T, StoreError>
    where
        T: Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
    {
        let at = self.step();
        let Row::Postgres(row) = self.row;
        column(row, at)
    }

    fn step(&mut self) -> usize {
        self.at += 1;
        self.at - 1
    }

    pub(crate) fn skip(&mut self, columns: usize) {
        self.at += columns;
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.next()
    }

    pub(crate) fn optional_int(&mut self) -> Result<Option<i64>, StoreError> {
        self.next()
    }

    pub(crate) fn count(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.int()?).map_err(|_| corrupt("a negative count"))
    }

    pub(crate) fn text(&mut self) -> Result<&'r str, StoreError> {
        self.next()
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<&'r str>, StoreError> {
        self.next()
    }

    pub(crate) fn moment(&mut self) -> Result<SystemTime, StoreError> {
        Ok(time::from_millis(self.int()?))
    }

    pub(crate) fn optional_moment(&mut self) -> Result<Option<SystemTime>, StoreError> {
        Ok(self.optional_int()?.map(time::from_millis))
    }

    pub(crate) fn key_id(&mut self) -> Result<KeyId, StoreError> {
        KeyId::new(self.text()?).map_err(|_| corrupt("a key's id"))
    }

    pub(crate) fn organization(&mut self) -> Result<OrganizationId, StoreError> {
        OrganizationId::new(self.text()?).map_err(|_| corrupt("an organization's id"))
    }

    pub(crate) fn actor(&mut self) -> Result<ActorId, StoreError> {
        ActorId::new(self.text()?).map_err(|_| corrupt("an actor's id"))
    }

    /// A moment and an actor, or neither.
    pub(crate) fn switched(&mut self) -> Result<Option<Switched>, StoreError> {
        match (self.optional_moment()?, self.optional_text()?) {
            (Some(at), Some(by)) => {
                let by = ActorId::new(by).map_err(|_| corrupt("an actor's id"))?;
                Ok(Some(Switched { at, by }))
            }
            (None, None) => Ok(None),
            _ => Err(corrupt("a moment without an actor, or an actor without a moment")),
        }
    }

    pub(crate) fn digest(&mut self) -> Result<KeyDigest, StoreError> {
        let bytes: &[u8] = self.next()?;
        let algorithm = self.text()?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| corrupt("a digest's length"))?;
        if algorithm == "sha256" {
            return Ok(KeyDigest::sha256_from_bytes(bytes));
        }
        let version = algorithm.strip_prefix("hmac-sha256:v").and_then(|version| version.parse().ok());
        let pepper = version.map(PepperVersion::new).ok_or_else(|| corrupt("a digest's algorithm"))?;
        let digest = KeyDigest::hmac_sha256_from_bytes(pepper, bytes);
        match (digest.algorithm(), digest.algorithm().to_string() == algorithm) {
            (DigestAlgorithm::HmacSha256 { .. }, true) => Ok(digest),
            _ => Err(corrupt("a digest's algorithm")),
        }
    }

    pub(crate) fn json(&mut self) -> Result<Option<Map<String, Value>>, StoreError> {
        json(self.optional_text()?)
    }

    /// A key, without its secrets.
    pub(crate) fn key(&mut self) -> Result<KeyRecord, StoreError> {
        let id = self.key_id()?;
        let organization = self.organization()?;
        // The digest is a place-holder: the secrets come after.
        let none = KeyDigest::sha256_from_bytes([0; 32]);
        let mut key = KeyRecord::new(id, organization, none, SystemTime::UNIX_EPOCH, nobody()?);
        key.secrets.clear();
        key.service_account = self.optional_text()?.map(account_id).transpose()?;
        key.name = self.text()?.to_owned();
        key.description = self.text()?.to_owned();
        key.environment = self.optional_text()?.map(str::to_owned);
        key.hint = self.text()?.to_owned();
        key.scopes = scopes(self.text()?)?;
        key.created_at = self.moment()?;
        key.created_by = self.actor()?;
        let parent = self.optional_text()?;
        key.created_by_key = parent.map(KeyId::new).transpose().map_err(|_| corrupt("a key's id"))?;
        key.not_before = self.optional_moment()?;
        key.expires_at = self.optional_moment()?;
        key.last_used_at = self.optional_moment()?;
        key.disabled = self.switched()?;
        key.revoked = self.switched()?.map(|Switched { at, by }| Revocation { at, by, reason: String::new() });
        let reason = self.optional_text()?;
        if let (Some(revoked), Some(reason)) = (&mut key.revoked, reason) {
            reason.clone_into(&mut revoked.reason);
        }
        key.metadata = self.json()?.unwrap_or_default();
        key.version = self.count()?;
        // Whichever is later: what the key came with, or what its secrets were seen at.
        key.last_used_at = key.last_used_at.max(self.optional_moment()?);
        Ok(key)
    }

    pub(crate) fn secret(&mut self) -> Result<SecretRecord, StoreError> {
        let mut secret = SecretRecord::new(self.digest()?, self.moment()?);
        secret.superseded_at = self.optional_moment()?;
        secret.ends_at = self.optional_moment()?;
        secret.last_used_at = self.optional_moment()?;
        Ok(secret)
    }

    pub(crate) fn account(&mut self) -> Result<ServiceAccount, StoreError> {
        let id = account_id(self.text()?)?;
        let mut account =
            ServiceAccount::new(id, self.organization()?, self.text()?, SystemTime::UNIX_EPOCH, nobody()?);
        account.description = self.text()?.to_owned();
        account.disabled = self.switched()?;
        account.created_at = self.moment()?;
        account.created_by = self.actor()?;
        account.version = self.count()?;
        Ok(account)
    }
}

fn column<'r, R, T>(row: &'r R, at: usize) -> Result<T, StoreError>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get(at).map_err(error::failed)
}

/// Keys from rows of [`KEY`] and [`SECRET`], where those of one key stand together, its newest secret first.
pub(crate) fn keys(rows: &[Row]) -> Result<Vec<KeyRecord>, StoreError> {
    let mut keys: Vec<KeyRecord> = Vec::new();
    for row in rows {
        let mut reader = row.reader();
        let id = row.reader().text()?;
        if keys.last().is_none_or(|key| key.id.as_str() != id) {
            keys.push(reader.key()?);
        } else {
            reader.skip(KEY_COLUMNS);
        }
        let secret = reader.secret()?;
        if let Some(key) = keys.last_mut() {
            key.secrets.push(secret);
        }
    }
    Ok(keys)
}

const KEY_COLUMNS: usize = 22;

pub(crate) fn scopes(text: &str) -> Result<ScopeSet, StoreError> {
    match text {
        "" => Ok(ScopeSet::empty()),
        text => ScopeSet::parse(text).map_err(|_| corrupt("a key's scopes")),
    }
}

pub(crate) fn json(text: Option<&str>) -> Result<Option<Map<String, Value>>, StoreError> {
    text.map(serde_json::from_str).transpose().map_err(|_| corrupt("JSON that can't be read"))
}

pub(crate) fn account_id(text: &str) -> Result<ServiceAccountId, StoreError> {
    ServiceAccountId::new(text).map_err(|_| corrupt("a service account's id"))
}

fn nobody() -> Result<ActorId, StoreError> {
    ActorId::new("-").map_err(|_| corrupt("an actor's id"))
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(format!("the database holds what this crate does not write: {what}"))
}
