//! Service accounts, which own keys.

use apikey_console::views;
use apikey_core::ServiceAccountId;
use apikey_manager::{NewAccount, Overlap, ServiceAccount};
use clap::{Args, Subcommand};

use crate::{
    context::Context,
    failure::Failure,
    keys::{Paging, SecretPlace},
    moment, show,
};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// List service accounts, newest first
    List(Paging),
    /// Show a service account
    Show(AccountArgument),
    /// Create a service account
    Create(Create),
    /// Reject all keys of a service account until it is enabled
    Disable(AccountArgument),
    /// Accept the keys of a disabled service account again
    Enable(AccountArgument),
    /// Give all keys of a service account new secrets, and show them once
    Rotate(Rotate),
    /// Delete a service account, and revoke its keys
    Delete(AccountArgument),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AccountArgument {
    /// The service account's id
    id: ServiceAccountId,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Create {
    /// The name
    name: String,
    /// The purpose
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    account: AccountArgument,
    /// How long the old secrets stay valid: a span such as 7d, none, or until-ended
    #[arg(long, value_name = "SPAN", value_parser = moment::overlap)]
    overlap: Overlap,
    #[command(flatten)]
    secret: SecretPlace,
}

impl AccountsCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (keys, actor) = (context.keys, &context.actor);
        match self {
            AccountsCommand::List(page) => {
                let page = keys.accounts(actor, page.request()).await?;
                let (text, next) = (show::accounts(&page.items), page.next.clone());
                context.print(views::accounts(page), || text)?;
                context.tell_next(next.as_ref());
                Ok(())
            }
            AccountsCommand::Show(account) => shown(context, keys.account(actor, &account.id).await?),
            AccountsCommand::Create(new) => {
                let account = NewAccount::new(new.name).description(new.description);
                shown(context, keys.create_account(actor, account).await?)
            }
            AccountsCommand::Disable(account) => shown(context, keys.disable_account(actor, &account.id).await?),
            AccountsCommand::Enable(account) => shown(context, keys.enable_account(actor, &account.id).await?),
            AccountsCommand::Rotate(rotate) => rotate.run(context).await,
            AccountsCommand::Delete(account) => {
                account.confirm(context, "Revokes all keys of, and deletes,").await?;
                keys.delete_account(actor, &account.id).await?;
                context.done("deleted", "deleted")
            }
        }
    }
}

impl AccountArgument {
    async fn confirm(&self, context: &Context<'_>, what: &str) -> Result<(), Failure> {
        let account = context.keys.account(&context.actor, &self.id).await?;
        context.confirm(&format!("{what} {:?}, {}.", account.name, account.id), "yes")
    }
}

impl Rotate {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        self.secret.check_for_many()?;
        if self.overlap == Overlap::None {
            self.account.confirm(context, "Ends all secrets of").await?;
        }
        let rotated = context.keys.rotate_account(&context.actor, &self.account.id, self.overlap).await?;
        self.secret.show_many(context, rotated)
    }
}

fn shown(context: &Context<'_>, account: ServiceAccount) -> Result<(), Failure> {
    let text = show::accounts(std::slice::from_ref(&account));
    context.print(views::account(account), || text)
}
