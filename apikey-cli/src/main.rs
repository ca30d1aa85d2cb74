//! The program `apikey`: manages the API keys in a database.

use std::{io, process::ExitCode};

use anyhow::Context;
use apikey_cli::KeysCommand;
use apikey_core::OrganizationId;
use apikey_manager::{BuildError, KeyManager};
use apikey_sqlx::{Dialect, SqlOptions};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Manage the API keys in a database
///
/// The format of keys is read as a service does with `KeyManagerBuilder::from_env`: API_KEY_PREFIX, API_KEY_ENVIRONMENTS
/// (names, separated by commas) and API_KEY_PEPPERS.
#[derive(Parser)]
#[command(name = "apikey", version)]
struct Arguments {
    /// The database: sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Manage keys
    Keys(Box<KeysCommand>),
    /// Print the SQL that creates the tables, to be applied by hand
    Migrations {
        /// The database
        dialect: Database,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse()).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { database_url, command } = arguments;
    match command {
        Command::Keys(command) => {
            let Some(url) = database_url else {
                eprintln!("error: --database-url or DATABASE_URL must name the database");
                return Ok(ExitCode::from(2));
            };
            let keys = open(&url, command.migrates()).await?;
            let code = command.run(&keys, &OrganizationId::new("main")?).await;
            keys.shutdown().await;
            Ok(code)
        }
        Command::Migrations { dialect } => {
            let dialect = match dialect {
                Database::Sqlite => Dialect::Sqlite,
                Database::Postgres => Dialect::Postgres,
            };
            println!("{}", SqlOptions::new().migrations(dialect)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "apikey", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Opens the database. Only `keys migrate` changes its tables, which the running service may not know yet.
async fn open(url: &str, migrates: bool) -> anyhow::Result<KeyManager> {
    let store = SqlOptions::new().migrate(migrates).connect(url).await;
    let store = store.context("can't use the database (`apikey keys migrate` creates its tables)")?;
    match KeyManager::builder(store).without_requests().from_env()?.build() {
        Err(BuildError::NoFormat) => anyhow::bail!("API_KEY_PREFIX must be set as in the service"),
        keys => Ok(keys?),
    }
}
