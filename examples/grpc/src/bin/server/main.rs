//! The ledger's server.
//!
//! ```console
//! $ cargo run -p grpc --bin server
//! ```
//!
//! `ADDR`, `API_KEYS_FILE` and `LOG` (`debug` shows why a key was refused) are settings from the environment.

mod key_file;
mod shutdown;

use std::{env, error::Error, io, path::PathBuf, process::ExitCode};

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

    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let (keys, first_key) = key_file::open(&PathBuf::from(setting("API_KEYS_FILE", "api-keys.toml")), &format)?;
    let authenticator = Authenticator::builder(keys).format(format).catalog(Scopes::catalog()).build()?;

    if let Some(key) = first_key {
        println!("a key that may do everything, shown only now: {}", key.secret().expose_secret());
    }
    println!("listening on http://{address}");
    serve(listener, authenticator, stop).await?;
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
