//! What happened: usage, activity, and the audit trail.

use apikey_console::views;
use apikey_core::{ActorId, KeyId, ServiceAccountId, Timestamp};
use apikey_manager::{Action, AuditFilter, Bucket, UsageOf};
use clap::Args;

use crate::{context::Context, failure::Failure, keys::Paging, moment::Moment, show};

#[derive(Clone, Debug, Args)]
pub(crate) struct ShowUsage {
    /// The key's id; a deleted key keeps its usage [default: all keys of the organization]
    #[arg(conflicts_with_all = ["account", "environment"])]
    id: Option<KeyId>,
    /// Only keys of this service account
    #[arg(long, value_name = "ID", conflicts_with = "environment")]
    account: Option<ServiceAccountId>,
    /// Only keys of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The beginning: a full hour in UTC [default: a day before the end by the hour, 30 days by the day]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// The end: a full hour in UTC [default: that of the current hour or day]
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// By the hour or by the day
    #[arg(long, value_name = "hour|day", default_value_t)]
    by: Bucket,
}

impl ShowUsage {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let of = match (self.id, self.account, self.environment) {
            (Some(key), ..) => UsageOf::Key(key),
            (None, Some(account), _) => UsageOf::Account(account),
            (None, None, Some(environment)) => UsageOf::Environment(environment),
            (None, None, None) => UsageOf::Organization,
        };
        let to = self.to.unwrap_or_else(|| self.by.end(context.keys.now()));
        let from = self.from.unwrap_or_else(|| to.saturating_sub(self.by.usual_span()));
        let usage = context.keys.usage(&context.actor, of, from, to, self.by).await?;
        let mut rows: Vec<_> = usage
            .buckets
            .iter()
            .map(|bucket| [bucket.start.to_string(), bucket.ok.to_string(), bucket.refused.to_string()])
            .collect();
        rows.push(["total".to_owned(), usage.ok.to_string(), usage.refused.to_string()]);
        let text = show::table(["FROM", "ACCEPTED", "LACKED A SCOPE"], rows, "");
        context.print(views::usage(usage, from..to, self.by), || text)
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListActivity {
    /// The key's id
    id: KeyId,
    /// Only since: a time, or a span ago
    #[arg(long, value_name = "WHEN")]
    from: Option<Moment>,
    /// Only before: a time, or a span ago
    #[arg(long, value_name = "WHEN")]
    to: Option<Moment>,
    #[command(flatten)]
    page: Paging,
}

impl ListActivity {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let now = context.keys.now();
        let from = self.from.map_or(Timestamp::UNIX_EPOCH, |moment| moment.before(now));
        let to = self.to.map_or_else(|| now.saturating_add(Bucket::Day.length()), |moment| moment.before(now));
        let page = context.keys.activity(&context.actor, &self.id, from..to, self.page.request()).await?;
        let rows = page.items.iter().map(|request| {
            [
                request.at.to_string(),
                request.method.clone(),
                show::optional(request.route.as_ref()),
                request.status.to_string(),
                show::optional(request.address.as_ref()),
                show::optional(request.user_agent.as_ref()),
            ]
        });
        let head = ["TIME", "METHOD", "ROUTE", "STATUS", "ADDRESS", "USER AGENT"];
        let (text, next) = (show::table(head, rows.collect(), "no requests are recorded"), page.next.clone());
        context.print(views::activity(page), || text)?;
        context.tell_next(next.as_ref());
        Ok(())
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListAudit {
    /// Only actions of this actor, such as key:… or host:cli
    #[arg(long = "by", value_name = "ACTOR")]
    by: Option<ActorId>,
    /// Only this action, such as key.issued
    #[arg(long)]
    action: Option<Action>,
    /// Only actions on the key, the service account or the organization with this id
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only since: a time, or a span ago
    #[arg(long, value_name = "WHEN")]
    from: Option<Moment>,
    /// Only before: a time, or a span ago
    #[arg(long, value_name = "WHEN")]
    to: Option<Moment>,
    #[command(flatten)]
    page: Paging,
}

impl ListAudit {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let now = context.keys.now();
        let mut filter = AuditFilter::default();
        filter.actor = self.by;
        filter.action = self.action;
        filter.target = self.target;
        filter.from = self.from.map(|moment| moment.before(now));
        filter.to = self.to.map(|moment| moment.before(now));
        let page = context.keys.audit(&context.actor, filter, self.page.request()).await?;
        let rows = page.items.iter().map(|event| {
            [event.at.to_string(), event.actor.to_string(), event.action.to_string(), event.target.clone()]
        });
        let head = ["TIME", "ACTOR", "ACTION", "TARGET"];
        let (text, next) = (show::table(head, rows.collect(), "no events"), page.next.clone());
        context.print(views::audit_events(page), || text)?;
        context.tell_next(next.as_ref());
        Ok(())
    }
}
