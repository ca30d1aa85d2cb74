//! A list of revoked ids, kept and signed for those who check them, behind API keys; with actix-web and an embedded
//! database.
//!
//! ```console
//! $ cargo run -p authority-api
//! ```
//!
//! The first start makes `api-keys.db` and prints a key, once. Then:
//!
//! ```console
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"id":"card-1842","reason":"lost"}' http://127.0.0.1:3000/revocations
//! $ AUTHORIZER=$(cargo run -q -p authority-api -- issue production-authorizer authorizer)
//! $ curl -H "Authorization: Bearer $AUTHORIZER" http://127.0.0.1:3000/revocations/card-1842/check
//! $ curl -H "Authorization: Bearer $AUTHORIZER" http://127.0.0.1:3000/revocation-list
//! $ curl http://127.0.0.1:3000/.well-known/jwks.json
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/keys/v1/api-keys
//! ```
//!
//! `ADDR`, `DATABASE_URL`, `SIGNING_KEY`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a key was refused) are settings
//! from the environment.

mod authority;
mod deadline;
mod keys;
mod problem;
mod routes;
mod shutdown;
mod signer;

use std::{env, error::Error, io, iter, net::TcpListener, process::ExitCode, time::Duration};

use actix_apikey::BoxError;
use actix_web::{App, HttpServer};
use tracing_subscriber::filter::LevelFilter;

use crate::authority::Authority;

const HELP: &str = "\
usage: authority-api                                  serve
       authority-api issue <name> [role or scope]...  make a key, and print it";

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => serve().await,
        ["issue", name, scopes @ ..] if !words.iter().any(|word| word.starts_with('-')) => issue(name, scopes).await,
        ["-h" | "--help"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => {
            eprintln!("error: not understood: {}\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), BoxError> {
    start_log()?;
    // Before a key is made: if the address is taken, none is lost.
    let address = setting("ADDR", "127.0.0.1:3000");
    let listener = TcpListener::bind(&address).map_err(|error| format!("ADDR {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = shutdown::signal()?;
    let client_timeout = client_timeout()?;

    let database = setting("DATABASE_URL", "sqlite:api-keys.db");
    let keys = keys::open(&database).await?;
    let signing_key = env::var_os("SIGNING_KEY").map(|key| key.to_string_lossy().into_owned());
    let authority = Authority::open(&database, signing_key.as_deref()).await?;
    if let Some(key) = keys::first(&keys).await? {
        keys::show(&key, address);
    }
    println!("listening on http://{address}");
    // Every worker has an application of its own; what they share is made before.
    let configure = routes::configure(&keys, authority, client_timeout);
    let served = HttpServer::new(move || App::new().configure(&configure))
        .client_request_timeout(client_timeout)
        .client_disconnect_timeout(client_timeout)
        .listen(listener)?
        .shutdown_signal(stop)
        .shutdown_timeout(shutdown::GRACE_SECONDS)
        .run()
        .await;
    // Writes what was counted since usage was last written.
    keys.shutdown().await;
    Ok(served?)
}

async fn issue(name: &str, scopes: &[&str]) -> Result<(), BoxError> {
    start_log()?;
    let keys = keys::open(&setting("DATABASE_URL", "sqlite:api-keys.db")).await?;
    let key = keys::issue(&keys, name, scopes).await?;
    eprintln!("issued {} to {name}; the key itself is shown only now", key.id());
    println!("{}", key.secret().expose_secret());
    keys.shutdown().await;
    Ok(())
}

/// Standard output has the address and new keys, and nothing else.
fn start_log() -> Result<(), BoxError> {
    let log: LevelFilter = setting("LOG", "info").parse().map_err(|error| format!("LOG: {error}"))?;
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();
    Ok(())
}

/// How long clients may take: for the head of a request, for its body, and for the rest of one that is refused.
fn client_timeout() -> Result<Duration, BoxError> {
    let seconds = setting("CLIENT_TIMEOUT", "30").parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "CLIENT_TIMEOUT: must be a number of seconds".into())
}

fn setting(name: &str, default: &str) -> String {
    env::var_os(name).map_or_else(|| default.to_owned(), |value| value.to_string_lossy().into_owned())
}

/// An error and its causes, which its own text leaves out.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
