//! Rows of both databases, and records read from them column by column.

use apikey_core::{JsonObject, KeyDigest, KeyId, ScopeSet, Timestamp};
use apikey_manager::{
    ActorId, Cursor, KeyHead, KeyRecord, OrganizationId, Revocation, SecretRecord, ServiceAccount, ServiceAccountId,
    StoreError, Switched,
};
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

/// The columns of a key for [`Reader::key`], from a table `k`, beside its secrets `s`. Metadata may be large, and is
/// selected with the newest secret only.
pub(crate) const KEY: &str = "k.id, k.organization, k.service_account, k.name, k.description, k.environment, k.hint, \
    k.scopes, k.created_at, k.created_by, k.created_by_key, k.not_before, k.expires_at, k.last_used_at, \
    k.disabled_at, k.disabled_by, k.revoked_at, k.revoked_by, k.revoked_reason, \
    CASE WHEN s.number = (SELECT max(m.number) FROM @secret m WHERE m.key_id = k.id) THEN k.metadata END, k.version, \
    (SELECT max(w.at) FROM @seen w WHERE w.key_id = k.id)";

/// The columns of a key for [`Reader::head`], from a table `k`.
pub(crate) const HEAD: &str = "k.id, k.organization, k.service_account, k.name, k.environment, k.hint, k.scopes, \
    k.created_at, k.created_by, k.created_by_key, k.not_before, k.expires_at, k.disabled_at, k.disabled_by, \
    k.revoked_at, k.revoked_by, k.revoked_reason, k.version";

/// The columns of a secret for [`Reader::secret`], from tables `s` and `n`.
pub(crate) const SECRET: &str = "s.digest, s.algorithm, s.created_at, s.superseded_at, s.ends_at, s.ended_at, n.at";

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

    pub(crate) fn moment(&mut self) -> Result<Timestamp, StoreError> {
        moment(self.int()?)
    }

    pub(crate) fn optional_moment(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.optional_int()?.map(moment).transpose()
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

    /// Reads a moment and an actor, or neither.
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
        let bytes = self.digest_bytes()?;
        digest(bytes, self.text()?)
    }

    pub(crate) fn optional_digest(&mut self) -> Result<Option<KeyDigest>, StoreError> {
        let bytes: Option<&[u8]> = self.next()?;
        match (bytes, self.optional_text()?) {
            (Some(bytes), Some(algorithm)) => digest(digest_bytes(bytes)?, algorithm).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn digest_bytes(&mut self) -> Result<[u8; 32], StoreError> {
        digest_bytes(self.next()?)
    }

    pub(crate) fn json(&mut self) -> Result<Option<JsonObject>, StoreError> {
        json(self.optional_text()?)
    }

    /// Reads a key without its secrets.
    pub(crate) fn key(&mut self) -> Result<KeyRecord, StoreError> {
        let id = self.key_id()?;
        let organization = self.organization()?;
        // A placeholder: the secrets are read next.
        let none = KeyDigest::sha256_from_bytes([0; 32]);
        let mut key = KeyRecord::new(id, organization, none, Timestamp::UNIX_EPOCH, nobody()?);
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
        key.revoked = self.revocation()?;
        key.metadata = self.json()?.unwrap_or_default();
        key.version = self.count()?;
        // The later one of the imported last use and the last use of its secrets.
        key.last_used_at = key.last_used_at.max(self.optional_moment()?);
        Ok(key)
    }

    /// Reads the part of a key that decides rights and states. Unreadable scopes count as all scopes: an actor that
    /// changes such a key must be allowed to change every key.
    pub(crate) fn head(&mut self) -> Result<KeyHead, StoreError> {
        let (id, organization) = (self.key_id()?, self.organization()?);
        let mut head = KeyHead::new(id, organization, Timestamp::UNIX_EPOCH, nobody()?);
        head.service_account = self.optional_text()?.map(account_id).transpose()?;
        head.name = self.text()?.to_owned();
        head.environment = self.optional_text()?.map(str::to_owned);
        head.hint = self.text()?.to_owned();
        head.scopes = scopes(self.text()?).unwrap_or_else(|_| everything());
        head.created_at = self.moment()?;
        head.created_by = self.actor()?;
        let parent = self.optional_text()?;
        head.created_by_key = parent.map(KeyId::new).transpose().map_err(|_| corrupt("a key's id"))?;
        head.not_before = self.optional_moment()?;
        head.expires_at = self.optional_moment()?;
        head.disabled = self.switched()?;
        head.revoked = self.revocation()?;
        head.version = self.count()?;
        Ok(head)
    }

    fn revocation(&mut self) -> Result<Option<Revocation>, StoreError> {
        let switched = self.switched()?;
        let reason = self.optional_text()?.unwrap_or_default();
        Ok(switched.map(|Switched { at, by }| Revocation { at, by, reason: reason.to_owned() }))
    }

    pub(crate) fn secret(&mut self) -> Result<SecretRecord, StoreError> {
        let mut secret = SecretRecord::new(self.digest()?, self.moment()?);
        secret.superseded_at = self.optional_moment()?;
        secret.ends_at = self.optional_moment()?;
        secret.ended_at = self.optional_moment()?;
        secret.last_used_at = self.optional_moment()?;
        Ok(secret)
    }

    pub(crate) fn account(&mut self) -> Result<ServiceAccount, StoreError> {
        let id = account_id(self.text()?)?;
        let mut account = ServiceAccount::new(id, self.organization()?, self.text()?, Timestamp::UNIX_EPOCH, nobody()?);
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

/// The result of reading a list's rows.
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    /// The number of rows, including unreadable ones.
    pub(crate) count: usize,
    /// The place of the last row in the list.
    pub(crate) last: Option<Cursor>,
}

impl<T> Batch<T> {
    /// Reads `count` runs of rows, one run for each item. Unreadable items are skipped, and logged with their `place`.
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
        read: impl Fn(Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        Batch::of(rows.chunks(1), place, |run| read(run[0].reader()))
    }
}

/// Returns the place of a row with its time in column `at` and its id in column `id`.
pub(crate) fn place(row: &Row, id: usize, at: usize) -> Result<Cursor, StoreError> {
    let column = |at| Reader { row, at };
    Ok(Cursor { at: column(at).moment()?, id: column(id).text()?.to_owned() })
}

/// The column of a key's id in [`KEY`] and [`HEAD`].
const ID: usize = 0;

/// Reads keys from rows of [`KEY`], [`SECRET`] and the time by which they are ordered. The rows of one key are
/// adjacent, its newest secret first.
pub(crate) fn keys(rows: &[Row]) -> Result<Batch<KeyRecord>, StoreError> {
    let id = |row: &Row| Reader { row, at: ID }.text().map(str::to_owned).ok();
    let runs = rows.chunk_by(|a, b| id(a) == id(b));
    Batch::of(runs, |row| place(row, ID, KEY_COLUMNS + SECRET_COLUMNS), key_of)
}

/// Reads the key from its rows. Returns an error if it can't be read.
pub(crate) fn key(rows: &[Row]) -> Result<Option<KeyRecord>, StoreError> {
    if rows.is_empty() { Ok(None) } else { key_of(rows).map(Some) }
}

fn key_of(rows: &[Row]) -> Result<KeyRecord, StoreError> {
    let mut reader = rows[0].reader();
    let mut key = reader.key()?;
    for row in rows {
        let mut reader = row.reader();
        reader.skip(KEY_COLUMNS);
        key.secrets.push(reader.secret()?);
    }
    Ok(key)
}

/// Reads heads from rows of [`HEAD`].
pub(crate) fn heads(rows: &[Row]) -> Result<Vec<KeyHead>, StoreError> {
    Ok(Batch::single(rows, |row| place(row, ID, 7), |mut reader| reader.head())?.items)
}

const KEY_COLUMNS: usize = 22;
const SECRET_COLUMNS: usize = 7;

/// Returns the digest with these bytes and this algorithm's name.
pub(crate) fn digest(bytes: [u8; 32], algorithm: &str) -> Result<KeyDigest, StoreError> {
    let algorithm = algorithm.parse().map_err(|_| corrupt("a digest's algorithm"))?;
    Ok(KeyDigest::from_bytes(algorithm, bytes))
}

fn digest_bytes(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| corrupt("a digest's length"))
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

pub(crate) fn json(text: Option<&str>) -> Result<Option<JsonObject>, StoreError> {
    text.map(JsonObject::from_stored).transpose().map_err(|_| corrupt("JSON that can't be read"))
}

pub(crate) fn account_id(text: &str) -> Result<ServiceAccountId, StoreError> {
    ServiceAccountId::new(text).map_err(|_| corrupt("a service account's id"))
}

fn nobody() -> Result<ActorId, StoreError> {
    ActorId::new("-").map_err(|_| corrupt("an actor's id"))
}

/// Returns the moment that is stored as `millis`.
pub(crate) fn moment(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millis(millis).ok_or_else(|| corrupt("a time"))
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(format!("corrupt row: {what}"))
}
