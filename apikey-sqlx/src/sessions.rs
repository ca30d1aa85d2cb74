//! Sessions of PostgreSQL: whose they are between two transactions, and the settings that they need.

use std::time::Duration;

/// Who has a connection's session on the server between two transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// The connection.
    Own,
    /// Whoever a pooler lends it to. So every statement, a single read, too, has a transaction, which begins with the
    /// settings that it needs. No statement has a name, and nobody listens.
    Lent,
}

/// Planner settings that are off, so that only index scans and nested loops are left. With stale statistics, as after an
/// import, the planner would read whole tables for one key, or spend a hundred times a lookup's time on compiling it.
const OFF: [&str; 4] = ["enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"];

/// The settings of the store's own sessions: time limits, and the planner's.
pub(crate) fn settings(timeout: Duration) -> Vec<(&'static str, String)> {
    let millis = timeout.as_millis().to_string();
    let limits = ["statement_timeout", "lock_timeout"].map(|name| (name, millis.clone()));
    limits.into_iter().chain(OFF.map(|name| (name, "off".to_owned()))).collect()
}

/// Begins a transaction, also on a service's pool. Rows are locked, so read committed is enough and nothing has to be
/// retried. `READ WRITE` is not set, because it would override a server that has been made read-only.
///
/// A session that is lent gets all its settings here, because none of its start's is certain.
pub(crate) fn begin(sessions: Sessions, timeout: Duration) -> String {
    let millis = timeout.as_millis();
    let planner = match sessions {
        Sessions::Own => String::new(),
        Sessions::Lent => OFF.map(|name| format!("SET LOCAL {name} = off; ")).concat(),
    };
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {planner}\
         SET LOCAL statement_timeout = {millis}; \
         SET LOCAL lock_timeout = {millis}; \
         SET LOCAL idle_in_transaction_session_timeout = {}; \
         SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
        3 * millis,
    )
}
