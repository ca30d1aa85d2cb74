//! Alerts reach whoever asked for them: from a change or a sweep, through real processes that may be killed at any moment, to
//! a receiver of signed webhooks.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod database;
mod kills;
mod kinds;
mod node;
mod receiver;
mod retries;

use std::time::Duration;

/// Longer than anything takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);
