//! The read path: everything that verdicts on a batch of digests need, in one statement.

use std::borrow::Cow;

use apikey_core::{KeyDigest, KeyId};
use apikey_manager::{Found, FoundKey, Lookup, OrganizationId, StoreError};

use crate::{
    dialect::Dialect,
    query::{Names, Query},
    row::{self, Field, Row, account_id, corrupt, json, scopes},
};

/// Declares each column of a key once for both databases: its name, its type and its SQL.
macro_rules! fields {
    ($($name:ident: $type:ty = $sql:expr,)*) => {
        /// The columns of a key, and the digest that found it.
        struct Fields<'r> {
            $($name: $type,)*
            digest: Digest,
        }

        #[cfg(feature = "sqlite")]
        impl Fields<'_> {
            /// The list of SQLite, in the order in which [`Fields`] is deserialized.
            const LISTED: &'static str = concat!("json_array(", $($sql, ", ",)* "hex(s.digest))");
        }

        #[cfg(feature = "sqlite")]
        impl<'r> serde::Deserialize<'r> for Fields<'r> {
            fn deserialize<D: serde::Deserializer<'r>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($name,)* digest) = serde::Deserialize::deserialize(deserializer)?;
                Ok(Fields { $($name,)* digest })
            }
        }

        #[cfg(feature = "postgres")]
        impl<'r> Fields<'r> {
            /// The select list of PostgreSQL.
            const SELECTED: &'static str = concat!($($sql, " AS ", stringify!($name), ", ",)* "s.digest");

            fn selected(row: &'r Row) -> Result<Self, StoreError> {
                Ok(Fields { $($name: row.get(stringify!($name))?,)* digest: Digest(row.get("digest")?) })
            }
        }
    };
}

// Disabled accounts and suspended organizations are looked up by index for each row: the planner may run a join or a
// correlated `EXISTS` over whole tables. If no organization is suspended, as nearly always, none is looked up.
fields! {
    id: Text<'r> = "k.id",
    organization: Text<'r> = "k.organization",
    service_account: Option<Text<'r>> = "k.service_account",
    name: Text<'r> = "k.name",
    environment: Option<Text<'r>> = "k.environment",
    scopes: Text<'r> = "k.scopes",
    not_before: Option<i64> = "k.not_before",
    expires_at: Option<i64> = "k.expires_at",
    metadata: Option<Text<'r>> = "NULLIF(k.metadata, '{}')",
    secret_ends_at: Option<i64> = "s.ends_at",
    state: i64 = "CAST(CASE WHEN k.revoked_at IS NULL THEN 0 ELSE 1 END \
        + CASE WHEN k.disabled_at IS NULL THEN 0 ELSE 2 END \
        + CASE WHEN k.service_account IS NULL OR (SELECT a.version FROM @service_account a \
        WHERE a.id = k.service_account AND a.organization = k.organization AND a.disabled_at IS NULL) IS NOT NULL \
        THEN 0 ELSE 4 END \
        + CASE WHEN EXISTS (SELECT 1 FROM @organization WHERE suspended_at IS NOT NULL) AND (SELECT o.suspended_at \
        FROM @organization o WHERE o.id = k.organization AND o.suspended_at IS NOT NULL) IS NOT NULL \
        THEN 8 ELSE 0 END + CASE WHEN s.ended_at IS NULL THEN 0 ELSE 16 END AS BIGINT)",
    algorithm: Text<'r> = "s.algorithm",
}

/// A text, copied only if JSON has escaped something.
struct Text<'r>(Cow<'r, str>);

impl<'r> Field<'r> for Text<'r> {
    type Kept = &'r str;

    fn read(text: &'r str) -> Result<Self, StoreError> {
        Ok(Text(text.into()))
    }
}

struct Digest([u8; 32]);

impl Fields<'_> {
    /// A key or the error of its row, with the bytes of the digest that found it.
    fn into_answer(self) -> Answer {
        let (bytes, id) = (self.digest.0, self.id.0.clone());
        let key = self.into_key();
        if let Err(error) = &key {
            let error = error as &dyn std::error::Error;
            tracing::error!(target: "apikey", key_id = &*id, error, "a key can't be read, so it is not accepted");
        }
        (bytes, key)
    }

    fn into_key(self) -> Result<FoundKey, StoreError> {
        let digest = row::digest(self.digest.0, &self.algorithm.0)?;
        let id = KeyId::new(self.id.0).map_err(|_| corrupt("a key's id"))?;
        let organization = OrganizationId::new(self.organization.0).map_err(|_| corrupt("an organization's id"))?;
        let mut key = FoundKey::new(id, organization, digest);
        key.service_account = self.service_account.map(|account| account_id(&account.0)).transpose()?;
        key.name = self.name.0.into_owned();
        key.environment = self.environment.map(|environment| environment.0.into_owned());
        key.scopes = scopes(&self.scopes.0)?;
        key.not_before = self.not_before.map(row::moment).transpose()?;
        key.expires_at = self.expires_at.map(row::moment).transpose()?;
        key.metadata = self.metadata.map(|metadata| json(&metadata.0)).transpose()?.unwrap_or_default();
        key.secret_ends_at = self.secret_ends_at.map(row::moment).transpose()?;
        key.is_revoked = self.state & 1 != 0;
        key.is_disabled = self.state & 2 != 0;
        key.is_account_disabled = self.state & 4 != 0;
        key.is_organization_suspended = self.state & 8 != 0;
        key.is_secret_ended = self.state & 16 != 0;
        Ok(key)
    }
}

/// A key or the error of its row, with the bytes of its digest.
type Answer = ([u8; 32], Result<FoundKey, StoreError>);

/// The query for digests of any algorithm. It returns the revision even without a key.
pub(crate) fn query<'n>(names: &'n Names, digests: &[KeyDigest]) -> Query<'n> {
    // In index order, for a single pass, and without duplicates, which would find a key twice.
    let mut digests = sorted(digests);
    digests.dedup_by_key(|digest| digest.as_bytes());
    match names.dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => sqlite::query(names, &digests),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => postgres::query(names, &digests),
    }
}

/// Reads the rows of [`query`] for `digests`, and not for other algorithms' digests with the same bytes.
pub(crate) fn read(rows: &[Row], digests: &[KeyDigest]) -> Result<Lookup, StoreError> {
    let mut answers = Vec::with_capacity(digests.len());
    let mut revision = None;
    for row in rows {
        match row {
            #[cfg(feature = "sqlite")]
            Row::Sqlite(_) => revision = Some(sqlite::read(row, &mut answers)?),
            #[cfg(feature = "postgres")]
            Row::Postgres(_) => revision = Some(postgres::read(row, &mut answers)?),
        }
    }
    let revision = revision.ok_or_else(no_revision)?;
    let digests = sorted(digests);
    let mut found = Vec::with_capacity(answers.len());
    for (bytes, answer) in answers {
        let first = digests.partition_point(|digest| *digest.as_bytes() < bytes);
        let mut alike = digests[first..].iter().take_while(|digest| *digest.as_bytes() == bytes);
        match answer {
            Ok(key) if alike.any(|digest| **digest == key.digest) => found.push(Found::Key(Box::new(key))),
            Ok(_) => {}
            // The algorithm may be the corrupt column.
            Err(error) => {
                let what = error.to_string();
                let corrupt = |digest: &&KeyDigest| Found::Corrupt {
                    digest: (*digest).clone(),
                    error: StoreError::corrupt(what.clone()),
                };
                found.extend(alike.map(corrupt));
            }
        }
    }
    Ok(Lookup { revision, found })
}

fn sorted(digests: &[KeyDigest]) -> Vec<&KeyDigest> {
    let mut digests: Vec<_> = digests.iter().collect();
    digests.sort_unstable_by_key(|digest| digest.as_bytes());
    digests
}

fn no_revision() -> StoreError {
    corrupt("no revision")
}

/// Returns all keys as one row of JSON. A connection's thread transfers value by value, and each transfer costs as much
/// as finding a key.
#[cfg(feature = "sqlite")]
mod sqlite {
    use std::fmt;

    use serde::{Deserialize, Deserializer, de};

    use super::*;

    pub(super) fn query<'n>(names: &'n Names, digests: &[&KeyDigest]) -> Query<'n> {
        let mut query = names.query("SELECT (SELECT revision FROM @fleet WHERE id = 1) AS revision, json_group_array(");
        query.push(Fields::LISTED).push(") AS keys FROM json_each(");
        // SQLite runs `CROSS JOIN` in the written order.
        query
            .push_value(listed(digests))
            .push(") d CROSS JOIN @secret s ON s.digest = unhex(d.value) CROSS JOIN @key k ON k.id = s.key_id");
        query
    }

    /// Serializes bytes as hexadecimal texts.
    fn listed(digests: &[&KeyDigest]) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut listed = String::with_capacity(2 + 67 * digests.len());
        for digest in digests {
            listed.push_str(if listed.is_empty() { "[\"" } else { ",\"" });
            for byte in digest.as_bytes() {
                listed.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
            }
            listed.push('"');
        }
        listed.push_str(if listed.is_empty() { "[]" } else { "]" });
        listed
    }

    fn unhex(digits: &str) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        Some(bytes)
    }

    pub(super) fn read(row: &Row, answers: &mut Vec<Answer>) -> Result<u64, StoreError> {
        let revision = row.get::<Option<_>>("revision")?.ok_or_else(no_revision)?;
        let listed: Vec<Fields<'_>> =
            serde_json::from_str(row.get("keys")?).map_err(|_| corrupt("a key with fields of other types"))?;
        answers.extend(listed.into_iter().map(Fields::into_answer));
        Ok(revision)
    }

    impl<'r> Deserialize<'r> for Digest {
        fn deserialize<D: Deserializer<'r>>(deserializer: D) -> Result<Self, D::Error> {
            let digits = <&str>::deserialize(deserializer)?;
            unhex(digits).map(Digest).ok_or_else(|| de::Error::custom("a digest's length"))
        }
    }

    impl<'r> Deserialize<'r> for Text<'r> {
        fn deserialize<D: Deserializer<'r>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(TextVisitor)
        }
    }

    struct TextVisitor;

    impl<'r> de::Visitor<'r> for TextVisitor {
        type Value = Text<'r>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_borrowed_str<E>(self, text: &'r str) -> Result<Text<'r>, E> {
            Ok(Text(Cow::Borrowed(text)))
        }

        fn visit_str<E>(self, text: &str) -> Result<Text<'r>, E> {
            Ok(Text(Cow::Owned(text.to_owned())))
        }
    }
}

/// Returns a row for each key, and at least one.
#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    pub(super) fn query<'n>(names: &'n Names, digests: &[&KeyDigest]) -> Query<'n> {
        // A server may have become read-only since the connection was opened, and a standby may be stale.
        let mut query = names.query(
            "SELECT CASE WHEN (SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on') \
             THEN -1 ELSE f.revision END AS revision, ",
        );
        query.push(Fields::SELECTED).push(" FROM @fleet f LEFT JOIN (unnest(").push_digests(digests);
        query.push(
            ") AS d (digest) JOIN @secret s ON s.digest = d.digest JOIN @key k ON k.id = s.key_id) ON TRUE \
             WHERE f.id = 1",
        );
        query
    }

    pub(super) fn read(row: &Row, answers: &mut Vec<Answer>) -> Result<u64, StoreError> {
        let revision = u64::try_from(row.get::<i64>("revision")?)
            .map_err(|_| StoreError::unavailable("the server is read-only or recovering"))?;
        if row.get::<Option<&str>>("id")?.is_some() {
            answers.push(Fields::selected(row)?.into_answer());
        }
        Ok(revision)
    }
}
