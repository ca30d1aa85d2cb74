//! Keys and other objects as text, for people.

use apikey_core::Timestamp;
use apikey_manager::{KeyRecord, Receipt, ServiceAccount};
use comfy_table::{Table, presets};

/// Returns a table, with `nothing` in place of one without rows.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, nothing: &str) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head).add_rows(rows);
    table.trim_fmt()
}

/// Returns two columns of names and values, without empty values.
fn list<const N: usize>(lines: [(&str, String); N]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_owned(), value]);
    }
    table.trim_fmt()
}

pub(crate) fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(crate) fn keys(keys: &[KeyRecord], now: Timestamp) -> String {
    let head = ["ID", "NAME", "STATUS", "ENVIRONMENT", "HINT", "SCOPES", "EXPIRES", "LAST USED"];
    let rows = keys.iter().map(|key| {
        [
            key.id.to_string(),
            key.name.clone(),
            key.status(now).to_string(),
            optional(key.environment.as_ref()),
            key.hint.clone(),
            key.scopes.to_string(),
            optional(key.expires_at),
            optional(key.last_used_at),
        ]
    });
    table(head, rows.collect(), "no keys")
}

pub(crate) fn key(key: &KeyRecord, now: Timestamp) -> String {
    let by = |at: Timestamp, by: &dyn ToString| format!("{at} by {}", by.to_string());
    let secrets = key.live_secrets(now).map(|secret| match secret.ends_at {
        Some(end) => format!("of {}, until {end}", secret.created_at),
        None => format!("of {}", secret.created_at),
    });
    list([
        ("id", key.id.to_string()),
        ("organization", key.organization.to_string()),
        ("name", key.name.clone()),
        ("description", key.description.clone()),
        ("status", key.status(now).to_string()),
        ("environment", optional(key.environment.as_ref())),
        ("hint", key.hint.clone()),
        ("scopes", key.scopes.to_string()),
        ("service account", optional(key.service_account.as_ref())),
        ("created", by(key.created_at, &key.created_by)),
        ("not before", optional(key.not_before)),
        ("expires", optional(key.expires_at)),
        ("last used", optional(key.last_used_at)),
        ("disabled", optional(key.disabled.as_ref().map(|off| by(off.at, &off.by)))),
        ("revoked", optional(key.revoked.as_ref().map(|end| by(end.at, &end.by)))),
        ("reason", key.revoked.as_ref().map(|end| end.reason.clone()).unwrap_or_default()),
        ("metadata", if key.metadata.is_empty() { String::new() } else { key.metadata.as_str().to_owned() }),
        ("secrets", secrets.collect::<Vec<_>>().join("\n")),
    ])
}

pub(crate) fn accounts(accounts: &[ServiceAccount]) -> String {
    let rows = accounts.iter().map(|account| {
        [
            account.id.to_string(),
            account.name.clone(),
            account.description.clone(),
            account.created_at.to_string(),
            optional(account.disabled.as_ref().map(|off| off.at)),
        ]
    });
    table(["ID", "NAME", "DESCRIPTION", "CREATED", "DISABLED"], rows.collect(), "no service accounts")
}

pub(crate) fn receipt(receipt: &Receipt) -> String {
    let waited_out = match receipt.waited_out.len() {
        0 => String::new(),
        count => format!("; {count} of them gave no sign of life, and may still send responses that they had begun"),
    };
    let processes = if receipt.nodes == 1 { "process" } else { "processes" };
    format!("holds in {} {processes}{waited_out}", receipt.nodes)
}
