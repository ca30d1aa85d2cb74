//! The built program against real databases, with a service beside it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod asking;
mod bulk;
mod help;
mod imports;
mod life;
mod secrets;
mod stand;
mod trace;
