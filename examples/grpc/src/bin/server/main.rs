//! The ledger's server.
//!
//! ```console
//! $ cargo run -p grpc --bin server
//! ```
//!
//! `ADDR`, `API_KEYS_FILE`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a key was refused) are settings from the
//! environment.

mod key_file;
mod shutdown;

use std::{env, error::Error, io, path::PathBuf, process::ExitCode, time::Duration};

use grpc::server::{Scopes, serve};
use tokio::net::TcpListener;
use tower_apikey::{Authenticator, Checksum, KeyFormat};
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
    let address = setting("ADDR", "127.0.0.1:50051");
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("ADDR {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = shutdown::signal()?;
    let client_timeout = client_timeout()?;

    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let (keys, first_key) = key_file::open(&PathBuf::from(setting("API_KEYS_FILE", "api-keys.toml")), &format)?;
    let authenticator = Authenticator::builder(keys).format(format).catalog(Scopes::catalog()).build()?;

    if let Some(key) = first_key {
        println!("a key that may do everything, shown only now: {}", key.secret().expose_secret());
    }
    println!("listening on http://{address}");
    serve(listener, authenticator, client_timeout, stop).await?;
    Ok(())
}

/// How long clients may take to send a message, or to answer a ping.
fn client_timeout() -> Result<Duration, Box<dyn Error>> {
    let seconds = setting("CLIENT_TIMEOUT", "30").parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "CLIENT_TIMEOUT: must be a number of seconds".into())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
