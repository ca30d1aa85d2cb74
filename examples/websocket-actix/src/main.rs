//! A WebSocket behind API keys, with actix-web, that is closed when its key is revoked or expires.
//!
//! ```console
//! $ cargo run -p websocket-actix
//! ```
//!
//! The first start makes `api-keys.toml` and prints a key, once. Then, with any client for WebSockets:
//!
//! ```console
//! $ websocat -H "Authorization: Bearer $KEY" ws://127.0.0.1:3000/live
//! $ curl -i -X DELETE -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/keys/bootstrap
//! ```
//!
//! `ADDR`, `API_KEYS_FILE`, `CLIENT_TIMEOUT` and `LOG` (`debug` shows why a key was refused) are settings from the
//! environment.

mod key_file;
mod keys;
mod routes;
mod shutdown;
mod socket;

use std::{env, error::Error, io, net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use actix_apikey::{Authenticator, Checksum, KeyFormat};
use actix_web::{App, HttpServer};
use tracing_subscriber::filter::LevelFilter;

use crate::keys::Keys;

#[actix_web::main]
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
    let listener = TcpListener::bind(&address).map_err(|error| format!("ADDR {address}: {error}"))?;
    let address = listener.local_addr()?;
    let stop = shutdown::signal()?;
    let client_timeout = client_timeout()?;

    let format = KeyFormat::builder("demo").environment("live").checksum(Checksum::Crc32).build()?;
    let (listed, first_key) = key_file::open(&PathBuf::from(setting("API_KEYS_FILE", "api-keys.toml")), &format)?;
    let keys = Arc::new(Keys::new(listed));
    let authenticator = Authenticator::builder(Arc::clone(&keys))
        .format(format)
        .catalog(routes::Scopes::catalog())
        .realm("live")
        .build()?;

    if let Some(key) = first_key {
        let secret = key.secret().expose_secret();
        println!("a key that may do everything, shown only now: {secret}");
        println!("try it: websocat -H \"Authorization: Bearer {secret}\" ws://{address}/live");
    }
    println!("listening on http://{address}");
    // Every worker has an application of its own; what they share is made before.
    let configure = routes::configure(keys, authenticator);
    HttpServer::new(move || App::new().configure(&configure))
        .client_request_timeout(client_timeout)
        .listen(listener)?
        .shutdown_signal(stop)
        .shutdown_timeout(shutdown::GRACE_SECONDS)
        .run()
        .await?;
    Ok(())
}

/// How long clients may take for the head of a request.
fn client_timeout() -> Result<Duration, Box<dyn Error>> {
    let seconds = setting("CLIENT_TIMEOUT", "30").parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "CLIENT_TIMEOUT: must be a number of seconds".into())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
