//! Statements: text for both databases, and values to go with it.

use std::sync::Arc;

use apikey_core::KeyDigest;

use crate::dialect::Dialect;

/// Rows that one statement writes at most.
pub(crate) const CHUNK: usize = 500;

/// How tables are called, and whose SQL is spoken.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) dialect: Dialect,
    /// What indexes and triggers begin with.
    prefix: Arc<str>,
    /// What tables begin with: the schema, if there is one, and the prefix.
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

    /// `sql` with names in place of `@table` and `#index`.
    pub(crate) fn fill(&self, sql: &str) -> String {
        sql.replace('@', &self.qualified).replace('#', &self.prefix)
    }

    /// A statement in which `@table` stands for a table, and `$1` for the first value.
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
    /// Will it come again, so that its plan is worth keeping?
    pub(crate) is_kept: bool,
}

/// PostgreSQL expects ten values in an array that it doesn't know. For one that it knows to have less it makes a plan of
/// its own, each time anew, and that takes longer than to look a key up.
#[cfg(feature = "postgres")]
const SHORTEST_ARRAY: usize = 16;

/// What both databases can keep.
#[derive(Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Digest([u8; 32]),
    /// No digest, where a column may have one.
    NoDigest,
    #[cfg(feature = "postgres")]
    Texts(Vec<String>),
    #[cfg(feature = "postgres")]
    Digests(Vec<Option<[u8; 32]>>),
}

/// Values are names, notes and digests, and nobody's to read in a log.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

impl<'n> Query<'n> {
    /// The value of the next `$n`, which the text has already.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Whether a value of it has a NUL character. PostgreSQL keeps no such text, and SQLite is given none either: so nothing is
    /// found that has one, and nothing is written.
    pub(crate) fn has_nul(&self) -> bool {
        self.values.iter().any(|value| match value {
            Value::Text(Some(text)) => text.contains('\0'),
            #[cfg(feature = "postgres")]
            Value::Texts(texts) => texts.iter().any(|text| text.contains('\0')),
            _ => false,
        })
    }

    /// More text.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(&self.names.fill(sql));
        self
    }

    /// A value, and its `$n`.
    pub(crate) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len();
        self.sql.push_str(&format!("${number}"));
        self
    }

    /// `field` contains `text`. `LIKE` takes up to forty times as long where texts repeat themselves.
    pub(crate) fn push_contains(&mut self, field: &str, text: &str) -> &mut Self {
        let place = match self.names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "instr",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "strpos",
        };
        self.push(&format!("{place}({field}, ")).push_value(text).push(") > 0")
    }

    /// A value after the last. SQLite looks up each name among all there are, which for many takes longer than the insert.
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

    /// An array of digests, and its `$n`; with room for [`SHORTEST_ARRAY`] at least.
    #[cfg(feature = "postgres")]
    pub(crate) fn push_digests(&mut self, digests: &[&KeyDigest]) -> &mut Self {
        let digests = digests.iter().map(|digest| Some(*digest.as_bytes()));
        let padding = SHORTEST_ARRAY.saturating_sub(digests.len());
        self.push_value(Value::Digests(digests.chain(std::iter::repeat_n(None, padding)).collect()))
    }

    /// ` = ANY ($n)` where there are arrays, and elsewhere a list ` IN ($n, …)`, padded so that few lengths occur.
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

    /// `VALUES (…), (…)`: a row for each of `rows`, and in a statement without other values. Statements of more than one
    /// row and less than `full` are not kept.
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
