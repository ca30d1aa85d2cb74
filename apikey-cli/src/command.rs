//! The command and its options, and the one place where each of its sub-commands is run.

use std::process::ExitCode;

use apikey_core::OrganizationId;
use apikey_manager::{Actor, KeyManager, Receipts};
use clap::{Args, Subcommand};

use crate::{
    accounts::AccountsCommand,
    bulk::BulkRevoke,
    context::Context,
    failure::Failure,
    history::{ListActivity, ListAudit, ShowUsage},
    import::Import,
    keys::{Issue, KeyArgument, ListKeys, Revoke, Rotate},
    show,
    trace::Trace,
    upkeep::Prune,
};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed or declined, 2 wrong usage or an invalid value, 3 no such key or \
service account, 4 refused by its status or the plan's limits, 5 not confirmed: the database did not answer whether the change was made or holds everywhere";

/// The management of keys, as a sub-command. See the [crate's documentation](crate).
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES)]
#[non_exhaustive]
pub struct KeysCommand {
    /// The organization whose keys are managed [default: that of the service]
    #[arg(long, global = true, value_name = "ID")]
    organization: Option<OrganizationId>,
    /// The name in the audit trail, after `host:`
    #[arg(long, global = true, value_name = "NAME", default_value = "cli")]
    actor: String,
    /// Print JSON, in the shapes of the management API
    #[arg(long, global = true)]
    json: bool,
    /// Do what can't be undone without asking
    #[arg(long, short, global = true)]
    yes: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Make a key, and show it once
    Issue(Issue),
    /// List keys, newest first
    List(ListKeys),
    /// Show a key
    Show(KeyArgument),
    /// Give a key a new secret, and show it once
    Rotate(Rotate),
    /// End the old secret of a rotated key now
    EndOverlap(KeyArgument),
    /// End a key for good
    Revoke(Revoke),
    /// Reject a key until it is enabled
    Disable(KeyArgument),
    /// Accept a disabled key again
    Enable(KeyArgument),
    /// Delete a revoked or expired key's record
    Delete(KeyArgument),
    /// End many keys for good
    BulkRevoke(BulkRevoke),
    /// Take over keys from a file, or from better-auth
    Import(Import),
    /// Show how often keys were used
    Usage(ShowUsage),
    /// List the requests of a key, newest first
    Activity(ListActivity),
    /// Show what a key did, from where, and what it changed: after a leak
    Trace(Trace),
    /// List who changed what, newest first
    Audit(ListAudit),
    /// Manage service accounts, which own keys
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Delete old usage, activity and audit events of all organizations
    Prune(Prune),
    /// Create or update the database's tables
    Migrate,
    /// Check whether the database can be read and written
    Check,
}

impl KeysCommand {
    /// Runs the command on `keys`, prints its outcome, and returns the exit code. `organization` is managed unless
    /// `--organization` names another one.
    ///
    /// Build the manager [`without_requests`](apikey_manager::KeyManagerBuilder::without_requests): a change waits until
    /// it holds in the running service, and the service doesn't wait for the command.
    ///
    /// # Security
    ///
    /// The command has every right in every organization: it acts as the service itself.
    pub async fn run(self, keys: &KeyManager, organization: &OrganizationId) -> ExitCode {
        let receipts = Receipts::default();
        let result = self.execute(keys, organization, &receipts).await;
        if let Some(receipt) = receipts.take() {
            eprintln!("{}", show::receipt(&receipt));
        }
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }

    /// Returns `true` for `migrate`. A program can leave the tables as they are for all other commands.
    #[must_use]
    pub fn migrates(&self) -> bool {
        matches!(self.command, Command::Migrate)
    }

    async fn execute(
        self,
        keys: &KeyManager,
        organization: &OrganizationId,
        receipts: &Receipts,
    ) -> Result<(), Failure> {
        let organization = self.organization.unwrap_or_else(|| organization.clone());
        let actor = Actor::host(&self.actor, organization).map_err(|error| Failure::usage("--actor", &error))?;
        let actor = actor.with_receipts(receipts);
        let context = Context { keys, actor, json: self.json, is_confirmed: self.yes };
        match self.command {
            Command::Issue(issue) => issue.run(&context).await,
            Command::List(list) => list.run(&context).await,
            Command::Show(key) => key.show(&context).await,
            Command::Rotate(rotate) => rotate.run(&context).await,
            Command::EndOverlap(key) => key.end_overlap(&context).await,
            Command::Revoke(revoke) => revoke.run(&context).await,
            Command::Disable(key) => key.disable(&context).await,
            Command::Enable(key) => key.enable(&context).await,
            Command::Delete(key) => key.delete(&context).await,
            Command::BulkRevoke(revoke) => revoke.run(&context).await,
            Command::Import(import) => import.run(&context).await,
            Command::Usage(usage) => usage.run(&context).await,
            Command::Activity(activity) => activity.run(&context).await,
            Command::Trace(trace) => trace.run(&context).await,
            Command::Audit(audit) => audit.run(&context).await,
            Command::Accounts(accounts) => accounts.run(&context).await,
            Command::Prune(prune) => prune.run(&context).await,
            // Whoever built the manager has connected, which migrates.
            Command::Migrate => context.done("migrated", "the tables are up to date"),
            Command::Check => {
                keys.readiness().await?;
                context.done("ready", "the database can be read and written")
            }
        }
    }
}
