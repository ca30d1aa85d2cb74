//! The ledger's client: makes one call with the key in `API_KEY`, and prints the answer.
//!
//! ```console
//! $ cargo run -q -p grpc --bin client -- open cash
//! $ cargo run -q -p grpc --bin client -- post cash 1250 "first sale"
//! $ cargo run -q -p grpc --bin client -- entries cash
//! $ cargo run -q -p grpc --bin client -- follow cash
//! ```
//!
//! `API_KEY` and `SERVER` (`http://127.0.0.1:50051`) come from the environment, because arguments are visible in
//! process lists.

use std::{env, error::Error, process::ExitCode};

use grpc::{
    Bearer,
    proto::{
        EntriesRequest, Entry, OpenRequest, PostRequest, accounts_client::AccountsClient, ledger_client::LedgerClient,
    },
};
use tonic::{Status, transport::Endpoint};

const USAGE: &str = "usage: client open ACCOUNT | post ACCOUNT CENTS TEXT | entries ACCOUNT | follow ACCOUNT";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Status>() {
                Some(status) => eprintln!("error: {} ({:?})", status.message(), status.code()),
                None => eprintln!("error: {}", with_causes(&*error)),
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let server = env::var("SERVER").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let key = env::var("API_KEY").map_err(|error| format!("API_KEY: {error}"))?;
    let bearer = Bearer::new(&key).map_err(|error| format!("API_KEY: {error}"))?;
    let channel = Endpoint::new(server)?.connect_lazy();

    match *arguments {
        ["open", account] => {
            let mut accounts = AccountsClient::with_interceptor(channel, bearer);
            accounts.open(OpenRequest { account: account.to_owned() }).await?;
            println!("opened {account}");
        }
        ["post", account, cents, text] => {
            let mut ledger = LedgerClient::with_interceptor(channel, bearer);
            let amount = cents.parse().map_err(|error| format!("{cents}: {error}"))?;
            let request = PostRequest { account: account.to_owned(), amount, text: text.to_owned() };
            let answer = ledger.post(request).await?.into_inner();
            println!("posted entry {}", answer.number);
        }
        [command @ ("entries" | "follow"), account] => {
            let mut ledger = LedgerClient::with_interceptor(channel, bearer);
            let request = EntriesRequest { account: account.to_owned(), follow: command == "follow" };
            let mut entries = ledger.entries(request).await?.into_inner();
            while let Some(Entry { number, amount, text, posted_by }) = entries.message().await? {
                println!("{number}\t{amount}\t{text}\t{posted_by}");
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut error = error;
    while let Some(cause) = error.source() {
        text = format!("{text}: {cause}");
        error = cause;
    }
    text
}
