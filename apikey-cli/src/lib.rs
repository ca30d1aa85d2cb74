//! The operator's tool for API keys: a sub-command of [clap] that a service embeds in its own program.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use apikey_cli::KeysCommand;
//! use apikey_core::{KeyFormat, OrganizationId};
//! use apikey_manager::{KeyManager, MemoryStore};
//! use clap::{Parser, Subcommand};
//!
//! #[derive(Parser)]
//! struct Arguments {
//!     #[command(subcommand)]
//!     command: Command,
//! }
//!
//! #[derive(Subcommand)]
//! enum Command {
//!     /// Manage API keys
//!     Keys(KeysCommand),
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
//!     let Command::Keys(command) = Arguments::parse().command;
//!     // The service's own manager: its database, formats, scopes and limits.
//!     let format = KeyFormat::builder("acme").environment("live").build()?;
//!     let keys = KeyManager::builder(MemoryStore::new()).format(format).without_requests().build()?;
//!     Ok(command.run(&keys, &OrganizationId::new("main")?).await)
//! }
//! ```
//!
//! The commands work on the service's database while the service runs. A change holds in all of its processes when the
//! command returns, and the command says in how many. The commands obey the manager's rules, and the audit
//! trail names them `host:cli`, or as `--actor` says.
//!
//! The program `apikey` (feature `program`, enabled by default) is the same command over a `--database-url`. Embed the
//! command in services whose keys have a checksum, roles, or a plan's limits, which that program doesn't know.
//!
//! # Secrets
//!
//! A new key is shown once, on a terminal. Without a terminal the command fails before it makes a key, unless
//! `--key-output` names another place: `stdout` or `file:` and a path. `--json` contains a key only with
//! `--key-output stdout`.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed, or declined at the prompt; nothing was changed, unless the message says so |
//! | 2 | wrong usage, an invalid value, or a confirmation that could not be asked for |
//! | 3 | no such key or service account |
//! | 4 | refused: the key's status, a limit of the plan, or missing rights |
//! | 5 | not confirmed: the database did not answer whether the change was made, or whether it holds in all processes |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
mod bulk;
mod command;
mod confirm;
mod context;
mod failure;
mod history;
mod import;
mod keys;
mod moment;
mod show;
mod trace;
mod upkeep;

pub use self::command::KeysCommand;
