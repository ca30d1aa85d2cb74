//! A file service behind API keys, with axum and an embedded database.
//!
//! ```console
//! $ cargo run -p axum-quickstart
//! ```
//!
//! The first start makes `api-keys.db` and prints a key, once. Then:
//!
//! ```console
//! $ curl http://127.0.0.1:3000/healthz
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/whoami
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"hello.txt","content":"hello, world"}' http://127.0.0.1:3000/files
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/files
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/admin/files/hello.txt
//! $ READER=$(cargo run -q -p axum-quickstart -- issue reader files:read)
//! $ curl -H "Authorization: Bearer $READER" http://127.0.0.1:3000/usage
//! $ ISSUED=$(curl -s -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"reporter","scopes":["files:read"]}' http://127.0.0.1:3000/keys/v1/api-keys)
//! ```
//!
//! `ADDR`, `DATABASE_URL`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a key was refused) are settings from the
//! environment.

mod files;
mod keys;
mod problem;
mod routes;
mod server;
mod usage;

use std::{env, error::Error, io, iter, process::ExitCode, time::Duration};

use axum_apikey::BoxError;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

const HELP: &str = "\
usage: axum-quickstart                          serve
       axum-quickstart issue <name> [scope]...  make a key, and print it";

#[tokio::main]
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
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("ADDR {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = server::stop_signal()?;
    let client_timeout = client_timeout()?;

    let keys = keys::open(&setting("DATABASE_URL", "sqlite:api-keys.db")).await?;
    if let Some(key) = keys::first(&keys).await? {
        keys::show(&key, address);
    }
    println!("listening on http://{address}");
    server::serve(listener, routes::app(keys.clone(), client_timeout), client_timeout, stop).await;
    // Writes what was counted since usage was last written.
    keys.shutdown().await;
    Ok(())
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
