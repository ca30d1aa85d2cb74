//! Whether notifications of PostgreSQL arrive.

use std::time::Duration;

use apikey_fleet::Revision;
use sqlx::postgres::PgListener;
use tokio::time::Instant;

/// How long a connection may take to show that it hears.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_millis(500);
/// Whatever loses notifications may be gone then, or was only slow.
const RETESTED_EVERY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) enum Ear {
    #[default]
    Untested,
    /// It is being found out, perhaps with interruptions.
    Testing {
        since: Instant,
        was_deaf: bool,
    },
    Hears(Hearing),
    Deaf {
        since: Instant,
    },
}

pub(crate) struct Hearing {
    pub(crate) listener: PgListener,
    /// The revision since which nothing was heard.
    known: Option<Revision>,
    /// When the server was asked whether it still knows the connection. It has not answered yet.
    asked: Option<Instant>,
}

impl Ear {
    pub(crate) fn deaf() -> Self {
        Ear::Deaf { since: Instant::now() }
    }

    /// Returns `true` if it is to be found out now whether notifications arrive.
    pub(crate) fn is_tested_now(&mut self) -> bool {
        let was_deaf = match self {
            Ear::Untested => false,
            Ear::Deaf { since } if since.elapsed() >= RETESTED_EVERY => true,
            Ear::Hears(Hearing { asked: Some(asked), .. }) if asked.elapsed() >= HEARD_WITHIN => false,
            Ear::Testing { since, .. } if since.elapsed() >= HEARD_WITHIN => {
                self.fails();
                return false;
            }
            Ear::Testing { .. } => return true,
            Ear::Hears(_) | Ear::Deaf { .. } => return false,
        };
        *self = Ear::Testing { since: Instant::now(), was_deaf };
        true
    }

    /// No notification has arrived in time.
    pub(crate) fn fails(&mut self) {
        if !matches!(self, Ear::Testing { was_deaf: true, .. }) {
            tracing::info!(target: "apikey", "no notification arrives, so the server is asked for changes instead");
        }
        *self = Ear::deaf();
    }
}

impl Hearing {
    pub(crate) fn new(listener: PgListener) -> Self {
        Hearing { listener, known: None, asked: None }
    }

    /// Something was heard.
    pub(crate) fn heard(&mut self) {
        self.known = None;
    }

    /// Returns `true` if a renewal has found changes of which nothing was heard. They may be of a kind that isn't told, or a
    /// network has lost the connection, and neither side knows.
    pub(crate) fn is_doubtful(&mut self, known: Revision) -> bool {
        *self.known.get_or_insert(known) != known
    }

    /// Asks the server over the same connection, and returns `false` if it doesn't answer.
    pub(crate) async fn answers(&mut self, known: Revision) -> bool {
        let asked = *self.asked.get_or_insert_with(Instant::now);
        let answer = sqlx::Executor::execute(&mut self.listener, "SELECT 1");
        let answers = matches!(tokio::time::timeout_at(asked + HEARD_WITHIN, answer).await, Ok(Ok(_)));
        if answers {
            (self.asked, self.known) = (None, Some(known));
        }
        answers
    }
}
