//! Asks before what can't be undone.

use std::io::{self, IsTerminal, Write};

use crate::{context::Context, failure::Failure};

impl Context<'_> {
    /// Asks whether to go on, unless `--yes` says so. The answer is to type `word`.
    pub(crate) fn confirm(&self, what: &str, word: &str) -> Result<(), Failure> {
        if self.is_confirmed {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::Usage(format!("{what} This can't be undone: confirm it with --yes")));
        }
        eprint!("{what} This can't be undone. Type {word} to go on: ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() == word { Ok(()) } else { Err(Failure::Declined) }
    }
}
