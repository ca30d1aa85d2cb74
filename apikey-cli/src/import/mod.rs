//! Imports of keys from files, and from better-auth.

mod better_auth;
mod read;
mod row;

use std::{fs, path::PathBuf};

use apikey_core::Timestamp;
use apikey_manager::{ImportKey, ManageError};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{bulk::progress, context::Context, failure::Failure};

#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Columns of a CSV file, and members of the objects of a JSON file: one of `key` (the key's text) and `digest` \
(sha256:HEX), and name, id, description, scopes (separated by spaces; in JSON also a list), environment, \
service_account_id, created_at, expires_at, metadata (a JSON object), disabled.

From better-auth, export the table `apikey` as CSV or JSON, with its column names. Taken over are id, name, key (as \
SHA-256, which is the plugin's default), enabled, createdAt, expiresAt, permissions ({\"files\":[\"read\"]} becomes the \
scope files:read), metadata, and userId or referenceId (as `better_auth_reference_id` in the metadata). Not taken over \
are rate limits, refills, counts, configId, start and prefix. Expired keys are left out. Keys with a count of remaining requests are an error, \
unless --drop-quotas.

An interrupted import continues if it is repeated with the same file and --batch.")]
pub(crate) struct Import {
    /// The file
    file: PathBuf,
    /// The kind of file [default: by the file's extension]
    #[arg(long, value_name = "KIND")]
    format: Option<Format>,
    /// The rows are those of better-auth's table `apikey`
    #[arg(long)]
    better_auth: bool,
    /// Take over keys of better-auth without their count of remaining requests
    #[arg(long, requires = "better_auth")]
    drop_quotas: bool,
    /// Check all rows, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keys in a transaction: 1 to 100000
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    batch: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
}

impl Import {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let extension = self.file.extension().and_then(|extension| extension.to_str());
        let format = match (self.format, extension) {
            (Some(format), _) => format,
            (None, Some("csv")) => Format::Csv,
            (None, Some("json")) => Format::Json,
            _ => return Err(Failure::Usage("--format: csv or json is required for this file".to_owned())),
        };
        let bytes = fs::read(&self.file).map_err(|error| Failure::file(&self.file, error))?;
        let rows = match format {
            Format::Csv => read::csv(&bytes),
            Format::Json => read::json(&bytes),
        };
        let rows = rows.map_err(|error| Failure::file(&self.file, error))?;
        let rows_in_file = rows.len();
        let (numbers, keys): (Vec<usize>, Vec<ImportKey>) = self.keys(rows, context.keys.now())?.into_iter().unzip();
        let (total, name) = (keys.len(), name_of(&bytes));
        if total < rows_in_file {
            eprintln!("left out: {} expired keys", rows_in_file - total);
        }
        let (manager, actor) = (context.keys, &context.actor);
        if self.dry_run {
            manager.preview_import(actor, &name, keys, self.batch).await.map_err(|error| numbered(&numbers, error))?;
            return context.print(json!({ "checked": total }), || format!("{total} keys can be imported"));
        }
        let bar = progress(total as u64);
        let imported =
            manager.import(actor, &name, keys, self.batch, |reached| bar.set_position(reached.done as u64)).await;
        bar.finish_and_clear();
        let imported = imported.map_err(|error| {
            if bar.position() > 0 {
                eprintln!("the first {} rows are imported; they are skipped if the import is repeated", bar.position());
            }
            numbered(&numbers, error)
        })?;
        let json = json!({ "done": imported.done, "skipped": imported.skipped });
        context.print(json, || match imported.skipped {
            0 => format!("{} keys imported", imported.done),
            skipped => format!("{} keys imported, {skipped} of them by an earlier run", imported.done),
        })
    }

    /// Returns the keys of all rows with the rows' numbers, without expired ones, or the mistakes of all rows.
    fn keys(&self, rows: Vec<Map<String, Value>>, now: Timestamp) -> Result<Vec<(usize, ImportKey)>, Failure> {
        let (mut keys, mut mistakes) = (Vec::with_capacity(rows.len()), Vec::new());
        for (number, row) in rows.into_iter().enumerate() {
            let key = match self.better_auth {
                true => better_auth::key(&row, self.drop_quotas, now),
                false => row::key(row).map(Some),
            };
            match key {
                Ok(key) => keys.extend(key.map(|key| (number, key))),
                Err(mistake) => mistakes.push(at_row(number, &mistake)),
            }
        }
        if mistakes.is_empty() { Ok(keys) } else { Err(Failure::Rows(mistakes)) }
    }
}

/// Rows count from 1, without a CSV file's header.
fn at_row(number: usize, mistake: &str) -> String {
    format!("row {}: {mistake}", number + 1)
}

/// Names the rows of the file. `numbers` are those of the imported ones.
fn numbered(numbers: &[usize], error: ManageError) -> Failure {
    match error {
        ManageError::Import(rows) => {
            Failure::Rows(rows.iter().map(|row| at_row(numbers[row.row], &row.error.to_string())).collect())
        }
        error => error.into(),
    }
}

/// Returns the import's name: the digest of the file, so that only the same file continues an interrupted import.
fn name_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
