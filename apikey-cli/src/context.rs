//! What every sub-command works with, and how it prints.

use std::io::{self, ErrorKind, Write};

use apikey_manager::{Actor, Cursor, KeyManager};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

pub(crate) struct Context<'a> {
    pub(crate) keys: &'a KeyManager,
    pub(crate) actor: Actor,
    pub(crate) json: bool,
    pub(crate) is_confirmed: bool,
}

impl Context<'_> {
    /// Prints `json` with `--json`, and `text` otherwise.
    pub(crate) fn print(&self, json: impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let out = match self.json {
            true => serde_json::to_string_pretty(&json).map_err(io::Error::from)?,
            false => text(),
        };
        match writeln!(io::stdout(), "{out}") {
            // The reader has seen enough, such as `head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        }
    }

    /// Prints that the command is done. With `--json` that is an object with `outcome` alone.
    pub(crate) fn done(&self, outcome: &str, text: &str) -> Result<(), Failure> {
        self.print(json!({ "outcome": outcome }), || text.to_owned())
    }

    /// Tells people how to read the next page.
    pub(crate) fn tell_next(&self, next: Option<&Cursor>) {
        if let Some(next) = next.filter(|_| !self.json) {
            eprintln!("more: --cursor {next}");
        }
    }
}
