//! A product's own program, whole.

use std::process::ExitCode;

use apikey_client::{AuthCommand, Credentials, Error, KeyFormat};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[arg(long, global = true, default_value = "https://registry.example")]
    host: String,
    #[arg(long, global = true, default_value = "default")]
    profile: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Auth(AuthCommand),
    /// Print what a path of the service holds
    Get { path: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = KeyFormat::builder("acme").environment("live").build().expect("a valid format");
    let credentials = Credentials::for_service("registry").host("https://registry.example").at(cli.host);
    let credentials = credentials.env("REGISTRY_API_KEY").profile(cli.profile).format(format);
    match cli.command {
        Command::Auth(command) => command.run(&credentials).await,
        Command::Get { path } => get(&credentials, &path).await.map_or_else(
            |error| {
                error.report();
                error.exit_code()
            },
            |()| ExitCode::SUCCESS,
        ),
    }
}

async fn get(credentials: &Credentials, path: &str) -> Result<(), Error> {
    let client = credentials.client().await?;
    println!("{}", client.send(client.get(path)?).await?.text().await?);
    Ok(())
}
