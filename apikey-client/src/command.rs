//! The sub-commands of clap that a product's own program has over [`Credentials`].

use std::{
    error::Error as StdError,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Subcommand;

use crate::{
    credentials::{Credentials, FoundKey},
    error::Error,
    login::{KeySource, Login},
    place::Storage,
};

/// `login`, `status`, `token`, `logout` and `rotate`, to be flattened into a program's own sub-commands.
///
/// [`run`](Self::run) prints the outcome and returns the exit code: 0, 1 for a failure, 2 for wrong usage, 4 if not signed in.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum AuthCommand {
    /// Sign in: read a key without showing it, verify it, and store it in the keyring
    #[non_exhaustive]
    Login {
        /// Read the key from standard input
        #[arg(long)]
        with_token: bool,
        /// Store the key in a file that is not encrypted (mode 0600) instead of the keyring
        #[arg(long)]
        insecure_storage: bool,
    },
    /// Show where the key is kept, its beginning and end, and whose it is
    Status,
    /// Print the key, for a program that takes it from its standard input or its environment
    Token,
    /// Forget the stored key
    #[non_exhaustive]
    Logout {
        /// Revoke the key as well: nobody can use it any more
        #[arg(long)]
        revoke: bool,
        /// Revoke without asking
        #[arg(long, short, requires = "revoke")]
        yes: bool,
    },
    /// Replace the stored key by a new one
    #[non_exhaustive]
    Rotate {
        /// Seconds for which the old key stays valid, and an interrupted rotation can be completed (300 or more)
        #[arg(long, default_value_t = 604_800, value_parser = clap::value_parser!(u64).range(300..=31_622_400))]
        overlap_seconds: u64,
    },
}

impl AuthCommand {
    /// Runs the command, prints its outcome, and returns the exit code.
    pub async fn run(self, credentials: &Credentials) -> ExitCode {
        match self.text(credentials).await {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                error.report();
                error.exit_code()
            }
        }
    }

    async fn text(self, credentials: &Credentials) -> Result<String, Error> {
        Ok(match self {
            AuthCommand::Login { with_token, insecure_storage } => {
                let source = if with_token { KeySource::StandardInput } else { KeySource::Terminal };
                let storage = if insecure_storage { Storage::InsecureFile } else { Storage::Keyring };
                let Login { caller, place } = credentials.login(source, storage).await?;
                let name = caller.key.map(|key| key.name).unwrap_or_default();
                format!("signed in with {name:?} of {}; the key is in {place}", caller.organization)
            }
            AuthCommand::Status => credentials.status().await?.to_string(),
            AuthCommand::Token => credentials.key().await?.key.expose_secret().to_owned(),
            AuthCommand::Logout { revoke, yes } => {
                if revoke && !yes {
                    let FoundKey { key, place } = credentials.key().await?;
                    confirm(&format!("Revokes {}, the key in {place}.", credentials.hint(&key)))?;
                }
                credentials.logout(revoke).await?;
                if revoke { "signed out; the key is revoked".to_owned() } else { "signed out".to_owned() }
            }
            AuthCommand::Rotate { overlap_seconds } => {
                let rotated = credentials.rotate(Duration::from_secs(overlap_seconds)).await?;
                format!("the new key is in {}; the old one ends at {}", rotated.place, rotated.old_ends_at)
            }
        })
    }
}

/// Asks whether to go on with what can't be undone.
fn confirm(what: &str) -> Result<(), Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::Usage(format!("{what} This can't be undone: confirm it with --yes")));
    }
    eprint!("{what} This can't be undone. Type yes to go on: ");
    let mut answer = String::new();
    io::stderr().flush().and_then(|()| io::stdin().read_line(&mut answer)).map_err(Error::Input)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Error::Declined) }
}

impl Error {
    /// Prints the error and its causes to standard error.
    pub fn report(&self) {
        eprint!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            eprint!(": {error}");
            cause = error.source();
        }
        eprintln!();
    }
}
