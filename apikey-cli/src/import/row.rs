//! A row of this program's own form.

use apikey_core::{KeyDigest, KeyId, PlaintextKey, ServiceAccountId, Timestamp};
use apikey_manager::ImportKey;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    key: Option<String>,
    digest: Option<KeyDigest>,
    id: Option<KeyId>,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "words")]
    scopes: Vec<String>,
    environment: Option<String>,
    service_account_id: Option<ServiceAccountId>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "object")]
    metadata: Map<String, Value>,
    #[serde(default, deserialize_with = "flag")]
    disabled: bool,
}

pub(super) fn key(row: Map<String, Value>) -> Result<ImportKey, String> {
    let row: Row = serde_json::from_value(row.into()).map_err(|error| error.to_string())?;
    let mut key = match (row.key, row.digest) {
        (Some(text), None) => {
            // The error doesn't contain the key.
            let text: PlaintextKey = text.parse().map_err(|error| format!("key: {error}"))?;
            ImportKey::raw(row.name, text)
        }
        (None, Some(digest)) => ImportKey::hashed(row.name, digest),
        _ => return Err("exactly one of key and digest must be given".to_owned()),
    };
    key = key.description(row.description).scopes(row.scopes).metadata(row.metadata).disabled(row.disabled);
    if let Some(id) = row.id {
        key = key.id(id);
    }
    if let Some(environment) = row.environment {
        key = key.environment(environment);
    }
    if let Some(account) = row.service_account_id {
        key = key.service_account(account);
    }
    if let Some(moment) = row.created_at {
        key = key.created_at(moment);
    }
    if let Some(moment) = row.expires_at {
        key = key.expires_at(moment);
    }
    Ok(key)
}

/// Reads a list of words, or words that are separated by spaces.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        list => serde_json::from_value(list).map_err(|error| D::Error::custom(format!("scopes: {error}"))),
    }
}

/// Reads an object, or text that is the JSON of one.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let object = match Value::deserialize(deserializer)? {
        Value::String(text) => serde_json::from_str(&text),
        value => serde_json::from_value(value),
    };
    object.map_err(|error| D::Error::custom(format!("metadata: {error}")))
}

/// Reads `true` or `false`, also as text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Ok(flag),
        Value::String(text) => text.parse().map_err(|_| D::Error::custom("disabled must be true or false")),
        _ => Err(D::Error::custom("disabled must be true or false")),
    }
}
