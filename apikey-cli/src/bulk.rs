//! The revocation of many keys.

use apikey_console::views;
use apikey_core::{ActorId, KeyId, ServiceAccountId};
use apikey_manager::{BulkRevocation, BulkRevoked, Selection};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{context::Context, failure::Failure};

#[derive(Clone, Debug, Args)]
pub(crate) struct BulkRevoke {
    #[command(flatten)]
    selection: Selected,
    /// Also revoke keys that those keys (or that actor) issued, and end secrets that they obtained by rotating others
    #[arg(long)]
    descendants: bool,
    /// Leave the keys of service accounts, and what only those made
    #[arg(long)]
    keep_accounts: bool,
    /// The reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Print what would be revoked, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct Selected {
    /// This key; use it with --descendants
    #[arg(long, value_name = "ID")]
    key: Option<KeyId>,
    /// Keys that this actor issued, such as key:…
    #[arg(long, value_name = "ACTOR")]
    created_by: Option<ActorId>,
    /// Keys of this service account
    #[arg(long, value_name = "ID")]
    account: Option<ServiceAccountId>,
    /// Keys of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// All keys of the organization
    #[arg(long)]
    everything: bool,
}

impl Selected {
    fn selection(self) -> Selection {
        match self {
            Selected { key: Some(key), .. } => Selection::Key(key),
            Selected { created_by: Some(actor), .. } => Selection::CreatedBy(actor),
            Selected { account: Some(account), .. } => Selection::ServiceAccount(account),
            Selected { environment: Some(environment), .. } => Selection::Environment(environment),
            // The group requires exactly one.
            _ => Selection::Everything,
        }
    }
}

impl BulkRevoke {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (keys, actor) = (context.keys, &context.actor);
        let revocation = BulkRevocation::new(self.selection.selection())
            .descendants(self.descendants)
            .keep_accounts(self.keep_accounts)
            .reason(self.reason);
        let preview = keys.preview_revocation(actor, revocation.clone()).await?;
        let total = size(&preview) + preview.remaining;
        if self.dry_run {
            let ids = preview.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            let others = match preview.remaining {
                0 => String::new(),
                remaining => format!("\nand {remaining} others"),
            };
            let text = format!("{total} keys and secrets would end\n{ids}{others}");
            return context.print(views::revoked(preview), || text);
        }
        if total > 0 {
            context.confirm(&format!("Ends {total} keys and secrets."), &total.to_string())?;
        }
        let bar = progress(total);
        let mut all = BulkRevoked::default();
        let mut step = revocation.clone();
        loop {
            let revoked = match keys.revoke_selected(actor, step).await {
                Ok(revoked) => revoked,
                Err(error) => {
                    bar.abandon();
                    if size(&all) > 0 {
                        eprintln!("{} keys and secrets have ended; repeat the command to continue", size(&all));
                    }
                    return Err(error.into());
                }
            };
            bar.inc(size(&revoked));
            all.keys.extend(revoked.keys);
            all.secrets.extend(revoked.secrets);
            all.widened = revoked.widened;
            match revoked.next {
                Some(next) => step = revocation.clone().after(next),
                None => break,
            }
        }
        bar.finish_and_clear();
        let widened = match all.widened.len() {
            0 => String::new(),
            count => format!("; review {count} keys whose rights they had widened: see --json"),
        };
        let text = format!("{} keys revoked, {} secrets of others ended{widened}", all.keys.len(), all.secrets.len());
        context.print(views::revoked(all), || text)
    }
}

fn size(step: &BulkRevoked) -> u64 {
    (step.keys.len() + step.secrets.len()) as u64
}

/// Returns a progress bar on standard error. It is hidden unless that is a terminal.
pub(crate) fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
