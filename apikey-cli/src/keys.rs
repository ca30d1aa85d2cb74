//! The commands about one key, and the list of keys.

use std::time::Duration;

use apikey_console::views;
use apikey_core::{ActorId, JsonObject, KeyId, KeyOutput, ServiceAccountId, Timestamp};
use apikey_manager::{Cursor, Expiry, IssuedKey, KeyFilter, KeyRecord, KeySort, NewKey, Overlap, PageRequest, Status};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::{
    context::Context,
    failure::Failure,
    moment::{self, Moment},
    show,
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Issue {
    /// The name, for people
    name: String,
    /// The scopes, wildcards such as `files:*`, and roles
    #[arg(value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The purpose
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The environment [default: the service's first one]
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The service account that owns the key
    #[arg(long, value_name = "ID")]
    account: Option<ServiceAccountId>,
    /// The key's end: a time, a span such as 90d, or never [default: that of the organization's plan, or never]
    #[arg(long, value_name = "WHEN", value_parser = moment::expiry)]
    expires: Option<Expiry>,
    /// The time before which the key is rejected: a time, or a span such as 2h
    #[arg(long, value_name = "WHEN")]
    not_before: Option<Moment>,
    /// Additional data of the service, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = metadata)]
    metadata: Option<Metadata>,
    #[command(flatten)]
    secret: SecretPlace,
}

#[derive(Clone, Debug)]
struct Metadata(Map<String, Value>);

fn metadata(text: &str) -> Result<Metadata, String> {
    JsonObject::read(text.as_bytes()).map(Metadata).map_err(|error| error.to_string())
}

/// The place of a new secret.
#[derive(Clone, Debug, Args)]
pub(crate) struct SecretPlace {
    /// Where the key is shown: terminal, stdout, or file:PATH (which must not exist)
    #[arg(long, value_name = "PLACE", env = "KEY_OUTPUT", default_value = "terminal")]
    key_output: KeyOutput,
}

impl SecretPlace {
    /// Checks whether a key can be shown, before one is made.
    fn check(&self) -> Result<(), Failure> {
        Ok(self.key_output.check()?)
    }

    /// Shows the secret, and then the key. With `--json` on standard output, they are one document.
    fn show(&self, context: &Context<'_>, issued: IssuedKey) -> Result<(), Failure> {
        let now = context.keys.now();
        if context.json && self.key_output == KeyOutput::Stdout {
            let id = issued.id().to_string();
            let shown = context.print(views::issued(issued, now), String::new);
            return shown.map_err(|failure| match failure {
                Failure::Io(error) => Failure::Unshown { key: id, error },
                failure => failure,
            });
        }
        let shown = issued.show(&self.key_output);
        shown.map_err(|error| Failure::Unshown { key: issued.id().to_string(), error })?;
        let (key, _) = issued.into_parts();
        if context.json {
            return context.print(views::key(key, now), String::new);
        }
        // Standard output may hold the key alone.
        eprintln!("{}", show::key(&key, now));
        Ok(())
    }

    /// Checks whether the secrets of several keys can be shown.
    pub(crate) fn check_for_many(&self) -> Result<(), Failure> {
        if let KeyOutput::File(_) = self.key_output {
            return Err(Failure::Usage("--key-output: a file holds one key; use stdout for several".to_owned()));
        }
        self.check()
    }

    pub(crate) fn show_many(&self, context: &Context<'_>, issued: Vec<IssuedKey>) -> Result<(), Failure> {
        let now = context.keys.now();
        if context.json && self.key_output == KeyOutput::Stdout {
            return context.print(views::rotated(issued, now), String::new);
        }
        for issued in &issued {
            let shown = issued.show(&self.key_output);
            shown.map_err(|error| Failure::Unshown { key: issued.id().to_string(), error })?;
        }
        let keys: Vec<KeyRecord> = issued.into_iter().map(|issued| issued.into_parts().0).collect();
        if context.json {
            let page = apikey_manager::Page { items: keys, next: None };
            return context.print(views::keys(page, now), String::new);
        }
        eprintln!("{}", show::keys(&keys, now));
        Ok(())
    }
}

impl Issue {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.secret.check()?;
        let mut key = NewKey::new(self.name).scopes(self.scopes).expiry(self.expires.unwrap_or_default());
        if let Some(description) = self.description {
            key = key.description(description);
        }
        if let Some(environment) = self.environment {
            key = key.environment(environment);
        }
        if let Some(account) = self.account {
            key = key.service_account(account);
        }
        if let Some(moment) = self.not_before {
            key = key.not_before(moment.after(context.keys.now()));
        }
        if let Some(Metadata(metadata)) = self.metadata {
            key = key.metadata(metadata);
        }
        let issued = context.keys.issue(&context.actor, key).await?;
        self.secret.show(context, issued)
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListKeys {
    /// Only keys of this status: active, rotating, not_yet_valid, disabled, expired or revoked
    #[arg(long)]
    status: Option<Status>,
    /// Only keys of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only keys of this service account
    #[arg(long, value_name = "ID")]
    account: Option<ServiceAccountId>,
    /// Only keys issued by this actor, such as key:…
    #[arg(long, value_name = "ACTOR")]
    created_by: Option<ActorId>,
    /// Only keys with this text in their name, description or hint, or with this id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only keys that were never used
    #[arg(long)]
    unused: bool,
    /// Only keys that were used, but not since: a time, or a span ago
    #[arg(long, value_name = "WHEN", conflicts_with = "unused")]
    last_used_before: Option<Moment>,
    /// Only keys that expire before: a time, or a span from now
    #[arg(long, value_name = "WHEN")]
    expires_before: Option<Moment>,
    /// Only keys whose newest secret is at least this old, such as 90d
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    rotation_due: Option<Duration>,
    /// The order
    #[arg(long, value_enum, default_value_t = Sort::Created)]
    sort: Sort,
    #[command(flatten)]
    page: Paging,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// Newest first
    Created,
    /// Soonest expiry first
    Expiry,
    /// Longest unused first
    LastUse,
}

/// The place and size of a page.
#[derive(Clone, Debug, Args)]
pub(crate) struct Paging {
    /// The page size: 1 to 200
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// The next page, as printed after the one before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<Cursor>,
}

impl Paging {
    pub(crate) fn request(self) -> PageRequest {
        self.cursor.map_or_else(PageRequest::first, PageRequest::after).limit(self.limit)
    }
}

impl ListKeys {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let now = context.keys.now();
        let mut filter = KeyFilter::default();
        filter.status = self.status;
        filter.environment = self.environment;
        filter.service_account = self.account;
        filter.created_by = self.created_by;
        filter.text = self.search;
        filter.unused = self.unused.then_some(true);
        filter.last_used_before = self.last_used_before.map(|moment| moment.before(now));
        filter.expires_before = self.expires_before.map(|moment| moment.after(now));
        filter.rotation_due = self.rotation_due;
        let sort = match self.sort {
            Sort::Created => KeySort::Created,
            Sort::Expiry => KeySort::Expiry,
            Sort::LastUse => KeySort::LastUse,
        };
        let page = context.keys.list_sorted(&context.actor, filter, sort, self.page.request()).await?;
        let (text, next) = (show::keys(&page.items, now), page.next.clone());
        context.print(views::keys(page, now), || text)?;
        context.tell_next(next.as_ref());
        Ok(())
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: KeyArgument,
    /// How long the old secret stays valid: a span such as 7d, none, or until-ended (see `end-overlap`)
    #[arg(long, value_name = "SPAN", value_parser = moment::overlap)]
    overlap: Overlap,
    #[command(flatten)]
    secret: SecretPlace,
}

impl Rotate {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.secret.check()?;
        if self.overlap == Overlap::None {
            self.key.confirm(context, "Ends all secrets of").await?;
        }
        let issued = context.keys.rotate(&context.actor, &self.key.id, self.overlap).await?;
        self.secret.show(context, issued)
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    key: KeyArgument,
    /// The reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Revoke {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.key.confirm(context, "Revokes").await?;
        shown(context, context.keys.revoke(&context.actor, &self.key.id, self.reason).await?)
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgument {
    /// The key's id, not the key itself
    id: KeyId,
}

impl KeyArgument {
    pub(crate) async fn show(self, context: &Context<'_>) -> Result<(), Failure> {
        shown(context, context.keys.get(&context.actor, &self.id).await?)
    }

    pub(crate) async fn end_overlap(self, context: &Context<'_>) -> Result<(), Failure> {
        self.confirm(context, "Ends the old secret of").await?;
        shown(context, context.keys.end_overlap(&context.actor, &self.id).await?)
    }

    pub(crate) async fn disable(self, context: &Context<'_>) -> Result<(), Failure> {
        shown(context, context.keys.disable(&context.actor, &self.id).await?)
    }

    pub(crate) async fn enable(self, context: &Context<'_>) -> Result<(), Failure> {
        shown(context, context.keys.enable(&context.actor, &self.id).await?)
    }

    pub(crate) async fn delete(self, context: &Context<'_>) -> Result<(), Failure> {
        self.confirm(context, "Deletes").await?;
        context.keys.delete(&context.actor, &self.id).await?;
        context.done("deleted", "deleted")
    }

    /// Asks before the key is changed. A key that doesn't exist is reported first.
    async fn confirm(&self, context: &Context<'_>, what: &str) -> Result<(), Failure> {
        let key = context.keys.get(&context.actor, &self.id).await?;
        let status = key.status(context.keys.now());
        context.confirm(&format!("{what} {:?}, {} ({status}).", key.name, key.id), "yes")
    }
}

fn shown(context: &Context<'_>, key: KeyRecord) -> Result<(), Failure> {
    let now: Timestamp = context.keys.now();
    let text = show::key(&key, now);
    context.print(views::key(key, now), || text)
}
