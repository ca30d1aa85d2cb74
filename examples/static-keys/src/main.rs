//! A file service whose API keys stand in a file, with axum and without a database.
//!
//! ```console
//! $ cargo run -p static-keys
//! ```
//!
//! The first start makes `api-keys.toml` and prints a key, once. Then:
//!
//! ```console
//! $ curl http://127.0.0.1:3000/healthz
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/whoami
//! $ curl -i -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
//!     -d '{"name":"hello.txt","content":"hello, world"}' http://127.0.0.1:3000/files
//! $ curl -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/files
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/admin/files/hello.txt
//! ```
//!
//! `ADDR`, `API_KEYS_FILE`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a key was refused) are settings from the
//! environment.

mod files;
mod key_file;
mod problem;
mod routes;
mod server;

use std::{env, error::Error, io, path::PathBuf, process::ExitCode, time::Duration};

use axum_apikey::{Authenticator, Checksum, KeyFormat};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let log: LevelFilter = setting("LOG", "info").parse().map_err(|error| format!("LOG: {error}"))?;
    // Standard output has the address and the first key, and nothing else.
    tracing_subscriber::fmt().with_max_level(log).with_writer(io::stderr).init();

    // Before a key is made: if the address is taken, none is lost.
    let address = setting("ADDR", "127.0.0.1:3000");
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("ADDR {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = server::stop_signal()?;
    let client_timeout = client_timeout()?;

    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let (keys, first_key) = key_file::open(&PathBuf::from(setting("API_KEYS_FILE", "api-keys.toml")), &format)?;
    let authenticator =
        Authenticator::builder(keys).format(format).catalog(routes::Scopes::catalog()).realm("files").build()?;

    if let Some(key) = first_key {
        let secret = key.secret().expose_secret();
        println!("a key that may do everything, shown only now: {secret}");
        println!("try it: curl -H \"Authorization: Bearer {secret}\" http://{address}/files");
    }
    println!("listening on http://{address}");
    server::serve(listener, routes::app(authenticator, client_timeout), client_timeout, stop).await;
    Ok(())
}

/// How long clients may take: for the head of a request, for its body, and for the rest of one that is refused.
fn client_timeout() -> Result<Duration, Box<dyn Error>> {
    let seconds = setting("CLIENT_TIMEOUT", "30").parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "CLIENT_TIMEOUT: must be a number of seconds".into())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
