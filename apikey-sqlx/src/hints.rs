//! Hints that something has changed, so that a process need not wait for its next renewal. Nothing depends on them.
//!
//! SQLite is asked for its revision every few milliseconds, which costs less than a thousandth of a processor.
//! PostgreSQL notifies, unless a pooler or a proxy loses the notifications; then it is asked, too. A session that a pooler
//! lends must not listen: the notifications would reach whoever has it next.

use std::{sync::Arc, time::Duration};

use apikey_fleet::Revision;
#[cfg(feature = "postgres")]
use sqlx::postgres::PgListener;
#[cfg(feature = "postgres")]
use tokio::time::timeout;

use crate::database::{Database, Pools};
#[cfg(feature = "postgres")]
use crate::{
    ear::{Ear, HEARD_WITHIN, Hearing},
    sessions::Sessions,
};

#[cfg(feature = "sqlite")]
const FILE_ASKED_EVERY: Duration = Duration::from_millis(20);
#[cfg(feature = "postgres")]
const SERVER_ASKED_EVERY: Duration = Duration::from_millis(250);
/// One for all schemas of a database: a hint too many does no harm.
#[cfg(feature = "postgres")]
const CHANNEL: &str = "apikey_change";
#[cfg(feature = "postgres")]
const TOLD_WITHIN: Duration = Duration::from_millis(100);

pub(crate) async fn changed(database: &Database, known: Revision) {
    match &database.pools {
        #[cfg(feature = "sqlite")]
        Pools::Sqlite { .. } => poll(database, known, FILE_ASKED_EVERY).await,
        #[cfg(feature = "postgres")]
        Pools::Postgres { sessions: Sessions::Lent, .. } => poll(database, known, SERVER_ASKED_EVERY).await,
        #[cfg(feature = "postgres")]
        Pools::Postgres { pool, .. } => {
            let mut ear = database.ear.lock().await;
            // The listener's connection is not the pool's, but ends with it.
            let _ = pool.close_event().do_until(hear(database, pool, &mut ear, known)).await;
        }
    }
}

/// Whoever renews drops this at each renewal, and calls it again.
#[cfg(feature = "postgres")]
async fn hear(database: &Database, pool: &sqlx::PgPool, ear: &mut Ear, known: Revision) {
    // While it is not known whether notifications arrive, the server is asked, too.
    if ear.is_tested_now() {
        tokio::select! {
            tested = timeout(HEARD_WITHIN, listen(database, pool)) => match tested {
                Ok(Some(hearing)) => *ear = Ear::Hears(hearing),
                // A server that could not be reached is tried again.
                Ok(None) => *ear = Ear::Untested,
                Err(_) => ear.fails(),
            },
            () = poll(database, known, SERVER_ASKED_EVERY) => return,
        }
    }
    let Ear::Hears(hearing) = ear else { return poll(database, known, SERVER_ASKED_EVERY).await };
    if hearing.is_doubtful(known) {
        tokio::select! {
            answers = hearing.answers(known) => if !answers {
                *ear = Ear::Untested;
                return;
            },
            () = poll(database, known, SERVER_ASKED_EVERY) => return,
        }
    // What was committed before this began to listen is not heard.
    } else if differs(database, known).await {
        return;
    }
    match hearing.listener.try_recv().await {
        Ok(Some(_)) => hearing.heard(),
        _ => *ear = Ear::Untested,
    }
}

async fn poll(database: &Database, known: Revision, every: Duration) {
    while !differs(database, known).await {
        tokio::time::sleep(every).await;
    }
}

async fn differs(database: &Database, known: Revision) -> bool {
    let rows = database.look_up(database.names.query("SELECT revision FROM @fleet")).await.unwrap_or_default();
    rows.first().and_then(|row| row.get::<u64>("revision").ok()).is_some_and(|revision| revision != known.get())
}

/// Tells other processes of a committed change. Whoever made it applies it without waiting for longer than a moment.
pub(crate) async fn tell(database: &Arc<Database>) {
    match &database.pools {
        #[cfg(feature = "sqlite")]
        Pools::Sqlite { .. } => {}
        #[cfg(feature = "postgres")]
        Pools::Postgres { .. } => {
            let database = Arc::clone(database);
            // Its failure delays them until their next renewals.
            let told = tokio::spawn(async move { notify(&database, CHANNEL).await });
            let _ = timeout(TOLD_WITHIN, told).await;
        }
    }
}

#[cfg(feature = "postgres")]
async fn notify(database: &Database, channel: &str) {
    let _ = database.look_up(database.names.query("SELECT pg_notify($1, '')").bind(channel)).await;
}

/// Listens, and waits until a notification has arrived. It sends one that reaches nobody else.
#[cfg(feature = "postgres")]
async fn listen(database: &Database, pool: &sqlx::PgPool) -> Option<Hearing> {
    let mut listener = PgListener::connect_with(&crate::postgres::of_a_listener(pool, database.timeout)).await.ok()?;
    let own = format!("{CHANNEL}_{}", crate::history::nonce().ok()?);
    listener.listen_all([CHANNEL, &own]).await.ok()?;
    notify(database, &own).await;
    listener.recv().await.ok()?;
    Some(Hearing::new(listener))
}

#[cfg(test)]
#[cfg(all(unix, feature = "postgres"))]
mod tests {
    use apikey_manager::{Changes, Invalidation, KeyStore, OrganizationId};
    use apikey_testkit::PrivatePostgres;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::watch,
        time::Instant,
    };

    use super::*;
    use crate::SqlStore;

    /// A server, reached through a network that loses connections of one kind while it is told to: those on which a statement
    /// with `word` was sent. Nobody is told that they are lost.
    struct Lossy {
        direct: SqlStore,
        url: String,
        loses: watch::Sender<bool>,
    }

    async fn before_server(word: &'static str) -> Option<Lossy> {
        let server = PrivatePostgres::shared()?;
        let (direct, to) = (server.create_database(), server.port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let loses = watch::Sender::new(false);
        let told = loses.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::spawn(pass_on(client, server, word, told.clone()));
            }
        });
        let url = direct.replace(&format!(":{to}/"), &format!(":{own}/"));
        Some(Lossy { direct: SqlStore::connect(&direct).await.unwrap(), url, loses })
    }

    async fn pass_on(mut client: TcpStream, mut server: TcpStream, word: &str, mut loses: watch::Receiver<bool>) {
        let (mut sent, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut has_word = false;
        loop {
            tokio::select! {
                Ok(count @ 1..) = client.read(&mut sent) => {
                    has_word |= sent[..count].windows(word.len()).any(|part| part == word.as_bytes());
                    if has_word && *loses.borrow() {
                        return std::future::pending().await;
                    }
                    server.write_all(&sent[..count]).await.unwrap();
                }
                Ok(count @ 1..) = server.read(&mut answer) => {
                    if has_word && *loses.borrow() {
                        return std::future::pending().await;
                    }
                    client.write_all(&answer[..count]).await.unwrap();
                }
                Ok(()) = loses.changed() => {}
                else => return,
            }
        }
    }

    async fn change(store: &SqlStore, invalidations: Vec<Invalidation>) -> Revision {
        let transaction = store.begin(&OrganizationId::new("acme").unwrap()).await.unwrap();
        let changes = Changes { changes: Vec::new(), affects_callers: true, invalidations };
        Revision::new(transaction.commit(changes).await.unwrap().unwrap())
    }

    /// Waits as whoever renews does: again and again, while nothing is heard.
    async fn hear_of(store: &SqlStore, known: Revision) -> Duration {
        let begun = Instant::now();
        while timeout(Duration::from_millis(400), store.fleet().changed(known)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "a change is not heard of");
        }
        begun.elapsed()
    }

    async fn kind(store: &SqlStore) -> &'static str {
        match &*store.database.ear.lock().await {
            Ear::Untested | Ear::Testing { .. } => "untested",
            Ear::Hears(_) => "hears",
            Ear::Deaf { .. } => "deaf",
        }
    }

    /// Renews with nothing new until it is known whether notifications arrive.
    async fn until(store: &SqlStore, known: Revision, wanted: &str) {
        let begun = Instant::now();
        while kind(store).await != wanted {
            let _ = timeout(Duration::from_millis(400), store.fleet().changed(known)).await;
            assert!(begun.elapsed() < Duration::from_secs(20), "{} instead of {wanted}", kind(store).await);
        }
    }

    #[tokio::test]
    async fn given_a_listener_that_is_lost_when_a_change_was_missed_then_the_server_is_asked_and_later_heard_again() {
        let Some(Lossy { direct, url, loses }) = before_server("LISTEN").await else { return };
        let store = SqlStore::connect(&url).await.unwrap();
        let known = change(&direct, vec![Invalidation::Refused]).await;
        until(&store, known, "hears").await;
        loses.send_replace(true);
        // A renewal finds it. The next listener is lost, too.
        let missed = change(&direct, vec![Invalidation::Refused]).await;
        until(&store, missed, "deaf").await;
        let (took, next) = tokio::join!(hear_of(&store, missed), change(&direct, vec![Invalidation::Refused]));
        assert!(took < 2 * SERVER_ASKED_EVERY, "{took:?}");
        loses.send_replace(false);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
        until(&store, next, "hears").await;
        let (took, _) = tokio::join!(hear_of(&store, next), change(&direct, vec![Invalidation::Refused]));
        assert!(took < SERVER_ASKED_EVERY, "{took:?}");
        assert_eq!(kind(&store).await, "hears");
    }

    #[tokio::test]
    async fn given_a_listener_that_hears_when_changes_are_found_that_nobody_is_told_of_then_it_is_kept() {
        let Some(Lossy { direct, url, .. }) = before_server("LISTEN").await else { return };
        let store = SqlStore::connect(&url).await.unwrap();
        let mut known = change(&direct, Vec::new()).await;
        until(&store, known, "hears").await;
        for _ in 0..3 {
            known = change(&direct, Vec::new()).await;
            assert!(timeout(2 * HEARD_WITHIN, store.fleet().changed(known)).await.is_err(), "nothing has changed");
            assert_eq!(kind(&store).await, "hears");
        }
        let (took, _) = tokio::join!(hear_of(&store, known), change(&direct, vec![Invalidation::Refused]));
        assert!(took < SERVER_ASKED_EVERY, "{took:?}");
    }

    #[tokio::test]
    async fn given_a_network_that_goes_silent_after_a_commit_when_others_are_told_then_the_change_does_not_wait() {
        let Some(Lossy { url, loses, .. }) = before_server("pg_notify").await else { return };
        let store = SqlStore::connect(&url).await.unwrap();
        loses.send_replace(true);
        let begun = Instant::now();
        change(&store, vec![Invalidation::Refused]).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
