//! The upkeep of the database.

use clap::Args;
use serde_json::json;

use crate::{context::Context, failure::Failure, moment::Moment};

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Prune {
    /// Usage from before: a time, or a span ago such as 730d
    #[arg(long, value_name = "WHEN")]
    usage_before: Option<Moment>,
    /// Activity from before: a time, or a span ago such as 7d
    #[arg(long, value_name = "WHEN")]
    activity_before: Option<Moment>,
    /// Audit events from before: a time, or a span ago such as 730d
    #[arg(long, value_name = "WHEN")]
    audit_before: Option<Moment>,
}

impl Prune {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let now = context.keys.now();
        let mut prune = apikey_manager::Prune::default();
        prune.usage_before = self.usage_before.map(|moment| moment.before(now));
        prune.activity_before = self.activity_before.map(|moment| moment.before(now));
        prune.audit_before = self.audit_before.map(|moment| moment.before(now));
        context.confirm("Deletes old rows of all organizations.", "yes")?;
        let pruned = context.keys.prune(&context.actor, prune).await?;
        let json = json!({ "usage": pruned.usage, "activity": pruned.activity, "audit": pruned.audit });
        context.print(json, || {
            format!(
                "deleted: {} of usage, {} of activity, {} audit events",
                pruned.usage, pruned.activity, pruned.audit
            )
        })
    }
}
