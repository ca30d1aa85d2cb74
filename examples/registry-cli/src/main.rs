//! The registry's command line: sign in once, or set `REGISTRY_API_KEY`, then publish and pull.
//!
//! ```console
//! $ registry auth login
//! $ registry publish tools 1.0.0 tools.tar
//! $ registry pull tools
//! $ registry list
//! ```

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use apikey_client::{AuthCommand, Client, Credentials, Error, KeyFormat, reqwest::Method};
use clap::{Parser, Subcommand};
use serde::Deserialize;

/// The registry. Your product sets its own, such as `https://registry.example`.
const HOST: &str = "http://127.0.0.1:3000";

/// Publish and pull bundles
///
/// REGISTRY_API_KEY holds the key where nobody signs in, such as in CI.
#[derive(Parser)]
#[command(name = "registry", version)]
struct Arguments {
    /// Another registry. Its key is in REGISTRY_API_KEY_AT_ and its name, such as REGISTRY_API_KEY_AT_LOCALHOST_3000
    #[arg(long, global = true, value_name = "URL", env = "REGISTRY_HOST", default_value = HOST)]
    host: String,
    /// Another organization or account of yours, with a key of its own
    #[arg(long, global = true, value_name = "NAME", default_value = "default")]
    profile: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign in and out
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Publish a file as a version of a bundle
    Publish {
        #[arg(value_parser = segment)]
        bundle: String,
        #[arg(value_parser = segment)]
        version: String,
        file: PathBuf,
    },
    /// Get a bundle
    Pull {
        #[arg(value_parser = segment)]
        bundle: String,
        /// [default: the latest]
        #[arg(value_parser = segment)]
        version: Option<String>,
        /// The file to write, which must not exist [default: the bundle's name in this folder]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List bundles, or the versions of one
    List {
        #[arg(value_parser = segment)]
        bundle: Option<String>,
    },
}

#[derive(Deserialize)]
struct Bundle {
    name: String,
    latest: Option<String>,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    size: u64,
    published_by: String,
    published_at: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { host, profile, command } = Arguments::parse();
    let format = KeyFormat::builder("reg").environment("live").build();
    let credentials = Credentials::for_service("registry").host(HOST).at(host).profile(profile);
    let credentials = credentials.env("REGISTRY_API_KEY").format(format.expect("a valid format"));
    let done = match command {
        Command::Auth(command) => return command.run(&credentials).await,
        Command::Publish { bundle, version, file } => publish(&credentials, &bundle, &version, &file).await,
        Command::Pull { bundle, version, output } => pull(&credentials, bundle, version, output).await,
        Command::List { bundle } => list(&credentials, bundle.as_deref()).await,
    };
    done.map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            error.downcast_ref().map_or(ExitCode::FAILURE, Error::exit_code)
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn publish(credentials: &Credentials, bundle: &str, version: &str, file: &Path) -> anyhow::Result<()> {
    let content = fs::read(file).with_context(|| file.display().to_string())?;
    let client = credentials.client().await?;
    let request = client.request(Method::PUT, &path(bundle, version))?.body(content);
    let published: Version = client.fetch(request).await?.json().await.map_err(Error::from)?;
    println!("published {bundle} {} ({} bytes)", published.version, published.size);
    Ok(())
}

async fn pull(
    credentials: &Credentials,
    bundle: String,
    version: Option<String>,
    output: Option<PathBuf>,
) -> anyhow::Result<()> {
    let client = credentials.client().await?;
    let version = match version {
        Some(version) => version,
        None => found(&client, &bundle).await?.latest.context("the bundle has no version")?,
    };
    let content = client.fetch(client.get(&path(&bundle, &version))?).await?.bytes().await.map_err(Error::from)?;
    let file = output.unwrap_or_else(|| PathBuf::from(&bundle));
    // Written once the content is complete, and over no other file.
    let written = File::create_new(&file).and_then(|mut open| open.write_all(&content));
    written.with_context(|| file.display().to_string())?;
    println!("pulled {bundle} {version} to {}", file.display());
    Ok(())
}

async fn list(credentials: &Credentials, bundle: Option<&str>) -> anyhow::Result<()> {
    let client = credentials.client().await?;
    if let Some(bundle) = bundle {
        for Version { version, size, published_by, published_at } in found(&client, bundle).await?.versions {
            println!("{version}\t{size} bytes\t{published_at} by {published_by}");
        }
        return Ok(());
    }
    let bundles: Vec<Bundle> = client.fetch(client.get("v1/bundles")?).await?.json().await.map_err(Error::from)?;
    for Bundle { name, latest, .. } in bundles {
        println!("{name}\t{}", latest.unwrap_or_default());
    }
    Ok(())
}

async fn found(client: &Client, bundle: &str) -> Result<Bundle, Error> {
    Ok(client.fetch(client.get(&format!("v1/bundles/{bundle}"))?).await?.json().await?)
}

/// Reads a name or a version, which is one segment of a path.
fn segment(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+');
    let is_segment = text.chars().all(is_plain) && !matches!(text, "" | "." | "..");
    is_segment.then(|| text.to_owned()).ok_or("must be letters, digits, hyphens, dots and plus signs")
}

fn path(bundle: &str, version: &str) -> String {
    format!("v1/bundles/{bundle}/versions/{version}")
}
