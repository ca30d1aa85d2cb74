//! Imports keys in batches. Each batch is imported as a whole or not at all, and once.

use std::{collections::HashSet, sync::Arc};

use apikey_core::{KeyDigest, KeyId, text};

use super::{
    KeyManager, Shared,
    operation::{Operation, describe_key},
};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    import::{ImportKey, ImportProgress, ImportSecret, RowError},
    limits::Limits,
    organization::Switched,
    record::KeyRecord,
    rights::Level,
    store::Change,
    validate::{FieldError, Fields},
};

/// The largest batch.
const MAX_BATCH: usize = 100_000;
/// The most errors that are reported for one batch.
const MAX_ERRORS: usize = 1_000;

impl KeyManager {
    /// Imports keys into the actor's organization, `batch` at a time (1 to 100,000). Only the host may call this.
    ///
    /// Each batch is one transaction. To resume an interrupted import, run it again with the same name, rows and batch
    /// size: batches that were imported are skipped. `progress` is called after each batch.
    ///
    /// # Errors
    ///
    /// [`Import`](ManageError::Import) names the invalid rows of a batch; earlier batches stay.
    /// [`LimitReached`](ManageError::LimitReached) if the plan has no room for a batch.
    pub async fn import(
        &self,
        host: &Actor,
        name: &str,
        keys: impl IntoIterator<Item = ImportKey>,
        batch: usize,
        progress: impl FnMut(ImportProgress),
    ) -> Result<ImportProgress, ManageError> {
        self.import_batches(host, name, keys, batch, Run::Import, progress).await
    }

    /// Checks the rows of an [`import`](KeyManager::import), batch by batch, and changes nothing.
    ///
    /// A key that occurs in two batches, and a limit that only several batches exceed, are found by the import itself.
    ///
    /// # Errors
    ///
    /// As [`import`](KeyManager::import).
    pub async fn preview_import(
        &self,
        host: &Actor,
        name: &str,
        keys: impl IntoIterator<Item = ImportKey>,
        batch: usize,
    ) -> Result<ImportProgress, ManageError> {
        self.import_batches(host, name, keys, batch, Run::Preview, |_| {}).await
    }

    async fn import_batches(
        &self,
        host: &Actor,
        name: &str,
        keys: impl IntoIterator<Item = ImportKey>,
        batch: usize,
        run: Run,
        mut progress: impl FnMut(ImportProgress),
    ) -> Result<ImportProgress, ManageError> {
        if !text::is_name(name, 128) {
            return Err(ManageError::field(
                "name",
                "malformed",
                "an import's name has 1 to 128 characters, none of them invisible",
            ));
        }
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(ManageError::field("batch", "out_of_range", "a batch has 1 to 100000 keys"));
        }
        let mut keys = keys.into_iter();
        let mut reached = ImportProgress::default();
        for number in 1usize.. {
            let rows: Vec<ImportKey> = keys.by_ref().take(batch).collect();
            if rows.is_empty() {
                break;
            }
            let (count, first_row) = (rows.len(), reached.done);
            let marker = format!("import:{}:{name}:{number}", host.organization);
            let actor = host.clone();
            let imported = self
                .run(async move |shared: Arc<Shared>| import_batch(shared, actor, marker, rows, first_row, run).await)
                .await?;
            reached.done += count;
            reached.skipped += if imported { 0 } else { count };
            progress(reached);
        }
        Ok(reached)
    }
}

/// Whether a batch is imported or only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Import,
    Preview,
}

/// Imports one batch. Returns `true` unless it was imported before.
async fn import_batch(
    shared: Arc<Shared>,
    actor: Actor,
    marker: String,
    rows: Vec<ImportKey>,
    first_row: usize,
    run: Run,
) -> Result<bool, ManageError> {
    let limits = shared.limits(&actor).await?;
    let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
    operation.standing.needs_host()?;
    let size = rows.len().to_string();
    if let Some(before) = operation.transaction.marker(&marker).await? {
        return match before == size {
            true => Ok(false),
            false => Err(ManageError::field("batch", "changed", format!("this batch had {before} keys before"))),
        };
    }
    let mut problems = Problems { first_row, errors: Vec::new() };
    let mut keys = Vec::with_capacity(rows.len());
    let mut presented = Vec::with_capacity(rows.len());
    for (row, key) in rows.into_iter().enumerate() {
        match operation.import_row(key, &limits).await? {
            Ok((key, digests)) => {
                presented.push((row, digests));
                keys.push((row, key));
            }
            Err(fields) => fields.into_iter().for_each(|error| problems.push(row, error)),
        }
    }
    operation.find_duplicates(&keys, &presented, &mut problems).await?;
    if !problems.errors.is_empty() {
        return Err(ManageError::Import(problems.errors));
    }
    let now = operation.now;
    let counted = keys.iter().filter(|(_, key)| key.status(now).is_counted()).count();
    operation.keep_key_limit(&limits, counted as u64).await?;
    if run == Run::Preview {
        return Ok(true);
    }
    // All keys first, then their audit events: stores write runs of one kind at once.
    for (_, key) in &keys {
        operation.change(Change::InsertKey(Box::new(key.clone())));
    }
    for (_, key) in &keys {
        let described = describe_key(key, now);
        operation.audit(Action::KeyImported, key.id.as_str(), None, Some(described))?;
    }
    operation.affect_callers();
    operation.change(Change::SetMarker(marker, size));
    operation.forget_refused();
    operation.commit().await?;
    Ok(true)
}

struct Problems {
    first_row: usize,
    errors: Vec<RowError>,
}

impl Problems {
    fn push(&mut self, row: usize, error: FieldError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(RowError { row: self.first_row + row, error });
        }
    }
}

type Row = (KeyRecord, Vec<KeyDigest>);

impl Operation {
    /// Returns the record of a row, and every digest by which its key may already be known.
    async fn import_row(
        &mut self,
        row: ImportKey,
        limits: &Limits,
    ) -> Result<Result<Row, Vec<FieldError>>, ManageError> {
        let shared = Arc::clone(&self.shared);
        let mut fields = Fields::default();
        fields.name(&row.name);
        fields.description(&row.description);
        fields.metadata(&row.metadata);
        if let Some(environment) = &row.environment {
            fields.label("environment", environment);
        }
        let scopes = shared.check_scopes(&mut fields, &row.scopes);
        let (mut hint, mut environment) = (String::new(), row.environment);
        let digests = match &row.secret {
            ImportSecret::Raw(key) => {
                let text = key.expose_secret().as_bytes();
                let accepted =
                    shared.formats.iter().find_map(|format| format.check(text).ok().map(|parsed| (format, parsed)));
                match accepted {
                    Some((format, parsed)) => {
                        hint = format.hint(key, parsed.environment());
                        environment = parsed.environment().map(str::to_owned).or(environment);
                    }
                    None => fields.push("key", "malformed", "the key matches no accepted format"),
                }
                shared.hasher.digests(key)
            }
            ImportSecret::Hashed(digest) => {
                if !shared.hasher.accepts(digest) {
                    let message = format!("digests of {} are not accepted", digest.algorithm());
                    fields.push("digest", "unknown_algorithm", message);
                }
                vec![digest.clone()]
            }
        };
        if let Some(account) = &row.service_account
            && self.transaction.account(account).await?.is_none()
        {
            fields.push("service_account", "unknown", "there is no such service account");
        }
        let expires_at = row.expires_at;
        let created_at = row.created_at.unwrap_or(self.now);
        if created_at > self.now {
            fields.push("created_at", "future", "must not be in the future");
        }
        if let Err(ManageError::Invalid(errors)) = self.check_expiry("expires_at", None, expires_at, limits) {
            errors.into_iter().for_each(|error| fields.push(error.field, error.code, error.message));
        }
        if let Err(errors) = fields.finish() {
            return Ok(Err(errors));
        }
        let id = match row.id {
            Some(id) => id,
            None => KeyId::generate(self.now)?,
        };
        let organization = self.actor.organization.clone();
        let mut key = KeyRecord::new(id, organization, digests[0].clone(), created_at, self.actor.id.clone());
        key.name = row.name;
        key.description = row.description;
        key.scopes = scopes;
        key.environment = environment;
        key.service_account = row.service_account;
        key.hint = hint;
        key.expires_at = expires_at;
        key.metadata = row.metadata.into();
        key.disabled = row.is_disabled.then(|| Switched { at: self.now, by: self.actor.id.clone() });
        Ok(Ok((key, digests)))
    }

    async fn find_duplicates(
        &mut self,
        keys: &[(usize, KeyRecord)],
        presented: &[(usize, Vec<KeyDigest>)],
        problems: &mut Problems,
    ) -> Result<(), ManageError> {
        let all: Vec<KeyDigest> = presented.iter().flat_map(|(_, digests)| digests.iter().cloned()).collect();
        let mut taken: HashSet<KeyDigest> = self.transaction.taken(&all).await?.into_iter().collect();
        for (row, digests) in presented {
            if digests.iter().any(|digest| taken.contains(digest)) {
                problems.push(*row, FieldError::new("key", "duplicate", "this key exists already"));
            }
            taken.extend(digests.iter().cloned());
        }
        let ids: Vec<KeyId> = keys.iter().map(|(_, key)| key.id.clone()).collect();
        let mut taken: HashSet<KeyId> = self.transaction.taken_ids(&ids).await?.into_iter().collect();
        for (row, key) in keys {
            if !taken.insert(key.id.clone()) {
                problems.push(*row, FieldError::new("id", "duplicate", "this id is taken"));
            }
        }
        Ok(())
    }
}
