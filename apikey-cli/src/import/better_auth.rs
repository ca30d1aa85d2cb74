//! A row of the table `apikey` of better-auth's API-key plugin, as databases export it.
//!
//! The columns are those of the plugin's documented schema. Its default hash of a key is the SHA-256 in base64url
//! without padding. Numbers and flags may be text, because a CSV file has nothing else, and SQLite has no booleans.

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::ImportKey;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Returns the key of a row, or `None` if it has expired. A row with a quota is an error, unless quotas are dropped.
pub(super) fn key(row: &Map<String, Value>, drops_quotas: bool, now: Timestamp) -> Result<Option<ImportKey>, String> {
    let expires_at = moment(row, "expiresAt")?;
    if expires_at.is_some_and(|end| end <= now) {
        return Ok(None);
    }
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    if row.contains_key("remaining") && !drops_quotas {
        return Err("remaining: quotas are not taken over; --drop-quotas imports the key without".to_owned());
    }
    let id = match row.get("id").ok_or("id: is missing")? {
        // Serial ids.
        Value::Number(number) => number.to_string(),
        id => id.as_str().ok_or("id: must be text")?.to_owned(),
    };
    let digest = digest(text("key").ok_or("key: is missing")?)?;
    let name = text("name").or(text("start")).unwrap_or(&id);
    let mut metadata = match embedded(row.get("metadata")).map_err(|error| format!("metadata: {error}"))? {
        Some(Value::Object(object)) => object,
        Some(_) => return Err("metadata: must be an object".to_owned()),
        None => Map::new(),
    };
    if let Some(owner) = row.get("referenceId").or(row.get("userId")) {
        metadata.insert("better_auth_reference_id".to_owned(), owner.clone());
    }
    let mut key = ImportKey::hashed(name, digest)
        .id(KeyId::new(&id).map_err(|error| format!("id: {error}"))?)
        .scopes(scopes(row.get("permissions"))?)
        .metadata(metadata)
        .disabled(!is_enabled(row.get("enabled"))?);
    if let Some(moment) = moment(row, "createdAt")? {
        key = key.created_at(moment);
    }
    if let Some(moment) = expires_at {
        key = key.expires_at(moment);
    }
    Ok(Some(key))
}

fn digest(text: &str) -> Result<KeyDigest, String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
    // The value isn't repeated, because it is a key if the plugin's hashing is disabled.
    let bytes = bytes
        .ok_or("key: is not a SHA-256 in base64url; keys that are not hashed are imported without --better-auth")?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().map_err(|_| "key: is not a digest".to_owned())
}

/// Returns the JSON in a column. The plugin writes it as text, and earlier versions as text in text.
fn embedded(column: Option<&Value>) -> Result<Option<Value>, serde_json::Error> {
    let mut value = column.cloned();
    for _ in 0..2 {
        if let Some(Value::String(text)) = &value {
            value = serde_json::from_str(text)?;
        }
    }
    Ok(value.filter(|value| !value.is_null()))
}

/// Returns `files:read` for `{"files":["read"]}`.
fn scopes(column: Option<&Value>) -> Result<Vec<String>, String> {
    let wrong = || "permissions: must be an object of lists of actions".to_owned();
    let Some(permissions) = embedded(column).map_err(|error| format!("permissions: {error}"))? else {
        return Ok(Vec::new());
    };
    let mut scopes = Vec::new();
    for (resource, actions) in permissions.as_object().ok_or_else(wrong)? {
        for action in actions.as_array().ok_or_else(wrong)? {
            scopes.push(format!("{resource}:{}", action.as_str().ok_or_else(wrong)?));
        }
    }
    Ok(scopes)
}

/// An absent value is the column's default.
fn is_enabled(column: Option<&Value>) -> Result<bool, String> {
    match column {
        None => Ok(true),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(value) => match value.to_string().trim_matches('"') {
            "1" | "t" | "true" | "TRUE" => Ok(true),
            "0" | "f" | "false" | "FALSE" => Ok(false),
            _ => Err("enabled: must be a boolean".to_owned()),
        },
    }
}

/// Reads a time as PostgreSQL, MySQL and SQLite export it: a date and a time of day, or seconds or milliseconds.
fn moment(row: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(value) = row.get(name) else { return Ok(None) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let moment = match text.parse::<u64>() {
        Ok(number) => Timestamp::UNIX_EPOCH.checked_add(since_epoch(number)),
        Err(_) => rfc3339(&text).parse().ok(),
    };
    moment.map(Some).ok_or_else(|| format!("{name}: must be a time"))
}

/// Milliseconds since the epoch have been more than this since 1973, and seconds will be less until the year 5138.
fn since_epoch(number: u64) -> std::time::Duration {
    match number > 99_999_999_999 {
        true => std::time::Duration::from_millis(number),
        false => std::time::Duration::from_secs(number),
    }
}

/// Returns `2026-01-31T12:00:00+00:00` for `2026-01-31 12:00:00+00`. A time without an offset is in UTC.
fn rfc3339(text: &str) -> String {
    let text = text.replacen(' ', "T", 1);
    let offset = text.find('T').and_then(|time| text[time..].find(['Z', '+', '-']).map(|at| &text[time + at..]));
    match offset.map(str::len) {
        None => text + "Z",
        Some(3) => text + ":00",
        Some(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_times_as_databases_export_them_when_read_then_they_are_one_moment() {
        let expected: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let cases = [
            Value::from("2026-01-31T12:00:00.000Z"),
            Value::from("2026-01-31 12:00:00+00"),
            Value::from("2026-01-31 12:00:00"),
            Value::from("2026-01-31 14:00:00.000+02"),
            Value::from(1_769_860_800),
            Value::from(1_769_860_800_000_u64),
            Value::from("1769860800000"),
        ];
        for value in cases {
            let row = Map::from_iter([("expiresAt".to_owned(), value.clone())]);
            assert_eq!(moment(&row, "expiresAt"), Ok(Some(expected)), "{value}");
        }
        let row = Map::from_iter([("expiresAt".to_owned(), Value::from("tomorrow"))]);
        assert!(moment(&row, "expiresAt").is_err());
    }

    #[test]
    fn given_permissions_when_read_then_each_action_is_a_scope() {
        let column = Value::from(r#"{"files":["read","write"],"users":["read"]}"#);
        let twice = Value::from(serde_json::to_string(&column).unwrap());
        for column in [column, twice] {
            assert_eq!(scopes(Some(&column)).unwrap(), ["files:read", "files:write", "users:read"]);
        }
        assert_eq!(scopes(None).unwrap(), [""; 0]);
        assert!(scopes(Some(&Value::from(r#"["files"]"#))).is_err());
    }

    #[test]
    fn given_a_key_that_is_not_hashed_when_read_then_the_mistake_does_not_repeat_it() {
        let row = Map::from_iter([("id".to_owned(), "1".into()), ("key".to_owned(), "acme_secretsecret".into())]);
        let mistake = key(&row, false, Timestamp::now()).unwrap_err();
        assert!(mistake.starts_with("key: ") && !mistake.contains("secret"), "{mistake}");
    }
}
