//! Rows of both databases, and records read from them, each column by its name.

use apikey_core::{JsonObject, KeyDigest, KeyId, ScopeSet, Timestamp};
use apikey_manager::{
    ActorId, Cursor, KeyHead, KeyRecord, OrganizationId, Revocation, SecretRecord, ServiceAccount, ServiceAccountId,
    StoreError, Switched,
};

use crate::error;

/// A row of either database.
pub(crate) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

/// A type that both databases return.
pub(crate) trait Kept<'r>: Sized {
    /// Reads a column, which may be null.
    fn read(row: &'r Row, column: &str) -> Result<Option<Self>, sqlx::Error>;
}

macro_rules! kept {
    ($($kept:ty),*) => {$(
        impl<'r> Kept<'r> for $kept {
            fn read(row: &'r Row, column: &str) -> Result<Option<Self>, sqlx::Error> {
                match row {
                    #[cfg(feature = "sqlite")]
                    Row::Sqlite(row) => sqlx::Row::try_get(row, column),
                    #[cfg(feature = "postgres")]
                    Row::Postgres(row) => sqlx::Row::try_get(row, column),
                }
            }
        }
    )*};
}

kept!(i64, &'r str, &'r [u8]);

/// A type that a column is read as.
pub(crate) trait Field<'r>: Sized {
    /// The type that the database returns for it.
    type Kept: Kept<'r>;

    fn read(kept: Self::Kept) -> Result<Self, StoreError>;

    /// Returns the value of a null, or `None` if a null is an error.
    fn null() -> Option<Self> {
        None
    }
}

impl<'r, T: Field<'r>> Field<'r> for Option<T> {
    type Kept = T::Kept;

    fn read(kept: T::Kept) -> Result<Self, StoreError> {
        T::read(kept).map(Some)
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}

macro_rules! fields {
    ($($field:ty: $kept:ty = $read:expr;)*) => {$(
        impl<'r> Field<'r> for $field {
            type Kept = $kept;

            fn read(kept: $kept) -> Result<Self, StoreError> {
                $read(kept)
            }
        }
    )*};
}

fields! {
    i64: i64 = Ok;
    &'r str: &'r str = Ok;
    String: &'r str = |text: &str| Ok(text.to_owned());
    u64: i64 = |count: i64| u64::try_from(count).map_err(|_| corrupt("a negative count"));
    [u8; 32]: &'r [u8] = |bytes: &[u8]| bytes.try_into().map_err(|_| corrupt("a digest's length"));
    Timestamp: i64 = moment;
    KeyId: &'r str = |text| KeyId::new(text).map_err(|_| corrupt("a key's id"));
    OrganizationId: &'r str = |text| OrganizationId::new(text).map_err(|_| corrupt("an organization's id"));
    ActorId: &'r str = |text| ActorId::new(text).map_err(|_| corrupt("an actor's id"));
    ServiceAccountId: &'r str = account_id;
    ScopeSet: &'r str = scopes;
    JsonObject: &'r str = json;
}

/// The columns of a key for [`Row::key`], from a table `k`, beside its secrets `s`. Metadata may be large, and is
/// selected with the newest secret only.
pub(crate) const KEY: &str = "k.id, k.organization, k.service_account, k.name, k.description, k.environment, k.hint, \
    k.scopes, k.created_at, k.created_by, k.created_by_key, k.not_before, k.expires_at, k.last_used_at, \
    k.disabled_at, k.disabled_by, k.revoked_at, k.revoked_by, k.revoked_reason, k.version, \
    CASE WHEN s.number = (SELECT max(m.number) FROM @secret m WHERE m.key_id = k.id) THEN k.metadata END AS metadata, \
    (SELECT max(w.at) FROM @seen w WHERE w.key_id = k.id) AS last_seen_at";

/// The columns of a key for [`Row::head`], from a table `k`.
pub(crate) const HEAD: &str = "k.id, k.organization, k.service_account, k.name, k.environment, k.hint, k.scopes, \
    k.created_at, k.created_by, k.created_by_key, k.not_before, k.expires_at, k.disabled_at, k.disabled_by, \
    k.revoked_at, k.revoked_by, k.revoked_reason, k.version";

/// The columns of a secret for [`Row::secret`], from tables `s` and `n`, named apart from those of its key.
pub(crate) const SECRET: &str = "s.digest, s.algorithm, s.created_at AS secret_created_at, s.superseded_at, s.ends_at, \
    s.ended_at, n.at AS secret_seen_at";

impl Row {
    /// Reads a column by its name.
    pub(crate) fn get<'r, T: Field<'r>>(&'r self, column: &str) -> Result<T, StoreError> {
        match T::Kept::read(self, column).map_err(error::failed)? {
            Some(kept) => T::read(kept),
            None => T::null().ok_or_else(|| corrupt(&format!("`{column}` is null"))),
        }
    }

    /// Reads a moment and an actor, or neither.
    pub(crate) fn switched(&self, at: &str, by: &str) -> Result<Option<Switched>, StoreError> {
        match (self.get(at)?, self.get(by)?) {
            (Some(at), Some(by)) => Ok(Some(Switched { at, by })),
            (None, None) => Ok(None),
            _ => Err(corrupt("a moment without an actor, or an actor without a moment")),
        }
    }

    pub(crate) fn digest(&self) -> Result<KeyDigest, StoreError> {
        digest(self.get("digest")?, self.get("algorithm")?)
    }

    /// Reads a key without its secrets.
    fn key(&self) -> Result<KeyRecord, StoreError> {
        // A placeholder: the secrets are read next.
        let none = KeyDigest::sha256_from_bytes([0; 32]);
        let (at, by) = (self.get("created_at")?, self.get("created_by")?);
        let mut key = KeyRecord::new(self.get("id")?, self.get("organization")?, none, at, by);
        key.secrets.clear();
        key.service_account = self.get("service_account")?;
        key.name = self.get("name")?;
        key.description = self.get("description")?;
        key.environment = self.get("environment")?;
        key.hint = self.get("hint")?;
        key.scopes = self.get("scopes")?;
        key.created_by_key = self.get("created_by_key")?;
        key.not_before = self.get("not_before")?;
        key.expires_at = self.get("expires_at")?;
        // The later one of the imported last use and the last use of its secrets.
        key.last_used_at = self.get::<Option<_>>("last_used_at")?.max(self.get("last_seen_at")?);
        key.disabled = self.switched("disabled_at", "disabled_by")?;
        key.revoked = self.revocation()?;
        key.metadata = self.get::<Option<_>>("metadata")?.unwrap_or_default();
        key.version = self.get("version")?;
        Ok(key)
    }

    /// Reads the part of a key that decides rights and states. Unreadable scopes count as all scopes: an actor that
    /// changes such a key must be allowed to change every key.
    fn head(&self) -> Result<KeyHead, StoreError> {
        let (at, by) = (self.get("created_at")?, self.get("created_by")?);
        let mut head = KeyHead::new(self.get("id")?, self.get("organization")?, at, by);
        head.service_account = self.get("service_account")?;
        head.name = self.get("name")?;
        head.environment = self.get("environment")?;
        head.hint = self.get("hint")?;
        head.scopes = scopes(self.get("scopes")?).unwrap_or_else(|_| everything());
        head.created_by_key = self.get("created_by_key")?;
        head.not_before = self.get("not_before")?;
        head.expires_at = self.get("expires_at")?;
        head.disabled = self.switched("disabled_at", "disabled_by")?;
        head.revoked = self.revocation()?;
        head.version = self.get("version")?;
        Ok(head)
    }

    fn revocation(&self) -> Result<Option<Revocation>, StoreError> {
        let switched = self.switched("revoked_at", "revoked_by")?;
        let reason: Option<String> = self.get("revoked_reason")?;
        Ok(switched.map(|Switched { at, by }| Revocation { at, by, reason: reason.unwrap_or_default() }))
    }

    fn secret(&self) -> Result<SecretRecord, StoreError> {
        let mut secret = SecretRecord::new(self.digest()?, self.get("secret_created_at")?);
        secret.superseded_at = self.get("superseded_at")?;
        secret.ends_at = self.get("ends_at")?;
        secret.ended_at = self.get("ended_at")?;
        secret.last_used_at = self.get("secret_seen_at")?;
        Ok(secret)
    }

    pub(crate) fn account(&self) -> Result<ServiceAccount, StoreError> {
        let (at, by) = (self.get("created_at")?, self.get("created_by")?);
        let name: &str = self.get("name")?;
        let mut account = ServiceAccount::new(self.get("id")?, self.get("organization")?, name, at, by);
        account.description = self.get("description")?;
        account.disabled = self.switched("disabled_at", "disabled_by")?;
        account.version = self.get("version")?;
        Ok(account)
    }
}

/// The result of reading a list's rows.
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    /// The number of rows, including unreadable ones.
    pub(crate) count: usize,
    /// The place of the last row in the list.
    pub(crate) last: Option<Cursor>,
}

impl<T> Batch<T> {
    /// Reads runs of rows, one run for each item. Unreadable items are skipped, and logged with their `place`.
    fn of<'r>(
        runs: impl Iterator<Item = &'r [Row]>,
        place: impl Fn(&Row) -> Result<Cursor, StoreError>,
        read: impl Fn(&'r [Row]) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut batch = Batch { items: Vec::new(), count: 0, last: None };
        for run in runs {
            let place = place(&run[0])?;
            batch.count += 1;
            match read(run) {
                Ok(item) => batch.items.push(item),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(target: "apikey", id = place.id, error, "a row can't be read, and is skipped");
                }
            }
            batch.last = Some(place);
        }
        Ok(batch)
    }

    /// Reads rows that are one item each.
    pub(crate) fn single(
        rows: &[Row],
        place: impl Fn(&Row) -> Result<Cursor, StoreError>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        Batch::of(rows.chunks(1), place, |run| read(&run[0]))
    }
}

/// Returns the place of a row in a list that is ordered by its column `at`.
pub(crate) fn place(row: &Row, at: &str) -> Result<Cursor, StoreError> {
    Ok(Cursor { at: row.get(at)?, id: row.get("id")? })
}

/// Reads keys from rows of [`KEY`], [`SECRET`] and `place`, the time by which they are ordered. The rows of one key are
/// adjacent, its newest secret first.
pub(crate) fn keys(rows: &[Row]) -> Result<Batch<KeyRecord>, StoreError> {
    let id = |row: &Row| row.get::<String>("id").ok();
    Batch::of(rows.chunk_by(|a, b| id(a) == id(b)), |row| place(row, "place"), key_of)
}

/// Reads the key from its rows. Returns an error if it can't be read.
pub(crate) fn key(rows: &[Row]) -> Result<Option<KeyRecord>, StoreError> {
    if rows.is_empty() { Ok(None) } else { key_of(rows).map(Some) }
}

fn key_of(rows: &[Row]) -> Result<KeyRecord, StoreError> {
    let mut key = rows[0].key()?;
    key.secrets = rows.iter().map(Row::secret).collect::<Result<_, _>>()?;
    Ok(key)
}

/// Reads heads from rows of [`HEAD`].
pub(crate) fn heads(rows: &[Row]) -> Result<Vec<KeyHead>, StoreError> {
    Ok(Batch::single(rows, |row| place(row, "created_at"), Row::head)?.items)
}

/// Returns the digest with these bytes and this algorithm's name.
pub(crate) fn digest(bytes: [u8; 32], algorithm: &str) -> Result<KeyDigest, StoreError> {
    let algorithm = algorithm.parse().map_err(|_| corrupt("a digest's algorithm"))?;
    Ok(KeyDigest::from_bytes(algorithm, bytes))
}

/// The scopes assumed for a key whose scopes can't be read.
pub(crate) fn everything() -> ScopeSet {
    ScopeSet::parse("*").unwrap_or_default()
}

pub(crate) fn scopes(text: &str) -> Result<ScopeSet, StoreError> {
    match text {
        "" => Ok(ScopeSet::empty()),
        text => ScopeSet::parse(text).map_err(|_| corrupt("a key's scopes")),
    }
}

pub(crate) fn json(text: &str) -> Result<JsonObject, StoreError> {
    JsonObject::from_stored(text).map_err(|_| corrupt("JSON that can't be read"))
}

pub(crate) fn account_id(text: &str) -> Result<ServiceAccountId, StoreError> {
    ServiceAccountId::new(text).map_err(|_| corrupt("a service account's id"))
}

/// Returns the moment that is stored as `millis`.
pub(crate) fn moment(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millis(millis).ok_or_else(|| corrupt("a time"))
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(format!("corrupt row: {what}"))
}
