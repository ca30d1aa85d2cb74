//! Statements: one text for both databases, and its values.

use std::sync::Arc;

use apikey_core::KeyDigest;

use crate::dialect::Dialect;

/// The most rows that one statement writes.
pub(crate) const CHUNK: usize = 500;

/// The names of tables, and the dialect.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) dialect: Dialect,
    /// The prefix of indexes and triggers.
    prefix: Arc<str>,
    /// The prefix of tables: the schema, if there is one, and the prefix.
    qualified: Arc<str>,
}

impl Names {
    pub(crate) fn new(dialect: Dialect, schema: Option<&str>, prefix: &str) -> Self {
        let qualified = match schema {
            Some(schema) => format!("\"{schema}\".{prefix}"),
            None => prefix.to_owned(),
        };
        Names { dialect, prefix: prefix.into(), qualified: qualified.into() }
    }

    /// Replaces `@table` and `#index` in `sql` with names.
    pub(crate) fn fill(&self, sql: &str) -> String {
        sql.replace('@', &self.qualified).replace('#', &self.prefix)
    }

    /// Creates a statement in which `@table` stands for a table, and `$1` for the first value.
    pub(crate) fn query(&self, sql: &str) -> Query<'_> {
        Query { names: self, sql: self.fill(sql), values: Vec::new(), is_kept: true }
    }
}

/// A statement and its values.
#[derive(Clone, Debug)]
pub(crate) struct Query<'n> {
    names: &'n Names,
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
    /// `true` if the statement will be run again, so that its plan should be kept.
    pub(crate) is_kept: bool,
}

/// PostgreSQL assumes ten values for an array of unknown length. If it knows that an array has fewer, it makes a new
/// plan each time, which takes longer than looking up a key.
#[cfg(feature = "postgres")]
const SHORTEST_ARRAY: usize = 16;

/// A value that both databases can store.
#[derive(Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Digest([u8; 32]),
    /// No digest, for a column that may be null.
    NoDigest,
    #[cfg(feature = "postgres")]
    Texts(Vec<String>),
    #[cfg(feature = "postgres")]
    Digests(Vec<Option<[u8; 32]>>),
}

/// Hides the values, because names, notes and digests don't belong in logs.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

impl<'n> Query<'n> {
    /// Adds the value of the next `$n`, which the text already contains.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Returns `true` if a value contains a NUL character. PostgreSQL can't store it, and SQLite is treated alike: such
    /// a query finds nothing, and such a change is rejected.
    pub(crate) fn has_nul(&self) -> bool {
        self.values.iter().any(|value| match value {
            Value::Text(Some(text)) => text.contains('\0'),
            #[cfg(feature = "postgres")]
            Value::Texts(texts) => texts.iter().any(|text| text.contains('\0')),
            _ => false,
        })
    }

    /// Appends text.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(&self.names.fill(sql));
        self
    }

    /// Appends a value and its `$n`.
    pub(crate) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len();
        self.sql.push_str(&format!("${number}"));
        self
    }

    /// Appends the condition that `field` contains `text`. `LIKE` is up to forty times as slow for repetitive texts.
    pub(crate) fn push_contains(&mut self, field: &str, text: &str) -> &mut Self {
        let place = match self.names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "instr",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "strpos",
        };
        self.push(&format!("{place}({field}, ")).push_value(text).push(") > 0")
    }

    /// Adds a value after the last one. SQLite searches all names for each one, which takes longer than the insert if
    /// there are many.
    fn push_next(&mut self, value: Value) {
        match self.names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                self.values.push(value);
                self.sql.push('?');
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                self.push_value(value);
            }
        }
    }

    /// Appends an array of digests and its `$n`, padded to at least [`SHORTEST_ARRAY`].
    #[cfg(feature = "postgres")]
    pub(crate) fn push_digests(&mut self, digests: &[&KeyDigest]) -> &mut Self {
        let digests = digests.iter().map(|digest| Some(*digest.as_bytes()));
        let padding = SHORTEST_ARRAY.saturating_sub(digests.len());
        self.push_value(Value::Digests(digests.chain(std::iter::repeat_n(None, padding)).collect()))
    }

    /// Appends ` = ANY ($n)` on PostgreSQL, and otherwise a list ` IN ($n, …)`, padded so that few lengths occur.
    pub(crate) fn push_one_of<T: Clone + Into<Value>>(&mut self, values: &[T]) -> &mut Self {
        #[cfg(feature = "postgres")]
        if self.names.dialect == Dialect::Postgres {
            let (mut texts, mut digests) = (Vec::new(), Vec::new());
            for value in values {
                match value.clone().into() {
                    Value::Text(Some(text)) => texts.push(text),
                    Value::Digest(digest) => digests.push(Some(digest)),
                    _ => {}
                }
            }
            self.push(" = ANY (");
            return match digests.is_empty() {
                true => self.push_value(Value::Texts(texts)),
                false => self.push_value(Value::Digests(digests)),
            }
            .push(")");
        }
        self.push(" IN (");
        let Some(last) = values.last() else { return self.push("NULL)") };
        let padding = values.len().next_power_of_two() - values.len();
        for (at, value) in values.iter().chain(std::iter::repeat_n(last, padding)).enumerate() {
            self.push(if at == 0 { "" } else { ", " }).push_value(value.clone());
        }
        self.push(")")
    }

    /// Appends `VALUES (…), (…)`, a row for each of `rows`, to a statement without other values. Plans of statements
    /// with more than one row and fewer than `full` are not kept.
    pub(crate) fn push_rows(&mut self, rows: impl ExactSizeIterator<Item = Vec<Value>>, full: usize) -> &mut Self {
        self.is_kept = rows.len() == 1 || rows.len() == full;
        self.sql.push_str("VALUES ");
        for (at, row) in rows.enumerate() {
            self.sql.push_str(if at == 0 { "(" } else { ", (" });
            for (at, value) in row.into_iter().enumerate() {
                if at > 0 {
                    self.sql.push_str(", ");
                }
                self.push_next(value);
            }
            self.sql.push(')');
        }
        self
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Value::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(Some(value))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Value::Text(value.map(str::to_owned))
    }
}

impl From<&&KeyDigest> for Value {
    fn from(digest: &&KeyDigest) -> Self {
        Value::from(*digest)
    }
}

impl From<&KeyDigest> for Value {
    fn from(digest: &KeyDigest) -> Self {
        Value::Digest(*digest.as_bytes())
    }
}
