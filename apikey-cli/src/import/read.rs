//! Reads the rows of a file: a CSV file's records, or a JSON file's objects.

use std::io;

use serde_json::{Map, Value};

type Rows = Vec<Map<String, Value>>;

/// Returns the records with the header's names. An empty field counts as absent.
pub(super) fn csv(bytes: &[u8]) -> io::Result<Rows> {
    let mut reader = csv::Reader::from_reader(bytes);
    let names = reader.headers().map_err(io::Error::other)?.clone();
    let records = reader.records().map(|record| {
        let record = record.map_err(io::Error::other)?;
        let fields = names.iter().zip(&record).filter(|(_, field)| !field.is_empty());
        Ok(fields.map(|(name, field)| (name.to_owned(), Value::from(field))).collect())
    });
    records.collect()
}

/// Returns the objects of a list. A member that is null counts as absent.
pub(super) fn json(bytes: &[u8]) -> io::Result<Rows> {
    let mut rows: Rows = serde_json::from_slice(bytes)?;
    rows.iter_mut().for_each(|row| row.retain(|_, value| !value.is_null()));
    Ok(rows)
}
