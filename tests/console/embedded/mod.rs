//! The page's element in a page of the host, with the host's own login, in a real browser: what is done there stands in
//! `tests/page/embedded.mjs`.

mod host;
mod seed;
mod told;

use std::{env, time::Duration};

use apikey_core::{KeyFormat, scopes};
use apikey_manager::{KeyManager, MemoryStore, ReadSettings};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::chromium;

scopes! {
    Files {
        /// List and download files.
        FilesRead = "files:read",
        /// Upload files.
        FilesWrite = "files:write",
        /// Read invoices.
        BillingRead = "billing:read",
    }
}

/// Reads wait for longer than a busy machine stands still: a screen that asks for several things at once, and is answered
/// with 429, is not what these tests are about.
fn reads() -> ReadSettings {
    ReadSettings::new().patience(Duration::from_secs(15))
}

async fn keys() -> (KeyManager, MemoryStore) {
    let store = MemoryStore::new();
    let format = KeyFormat::builder("acme").environment("live").environment("test").build().unwrap();
    let keys = KeyManager::builder(store.clone()).format(format).catalog(Files::catalog()).reads(reads());
    let keys = keys.build().unwrap();
    seed::seed_usage(&keys, &store).await;
    (keys, store)
}

/// `SCREENSHOTS=1` makes those of the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn people_manage_keys_in_a_page_of_the_host() {
    let (keys, store) = keys().await;
    let is_for_docs = env::var_os("SCREENSHOTS").is_some();
    if !is_for_docs {
        seed::seed_many(&keys, &store).await;
    }
    let program = if is_for_docs { "screenshots.mjs" } else { "embedded.mjs" };
    let (stop, stopped) = oneshot::channel();
    let page = host::on_axum(&keys, stopped).await;
    spawn_blocking(move || chromium::run(program, &[&page, "", "all"])).await.unwrap();
    drop(stop);
}

/// What is done there stands in `tests/page/alerts.mjs`. `SCREENSHOTS=1` makes that of the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_of_their_keys() {
    let keys = told::keys().await;
    let (stop, stopped) = oneshot::channel();
    let page = host::on_axum(&keys, stopped).await;
    let (program, which) = match env::var_os("SCREENSHOTS") {
        Some(_) => ("screenshots.mjs", "told"),
        None => ("alerts.mjs", "all"),
    };
    spawn_blocking(move || chromium::run(program, &[&page, "", which])).await.unwrap();
    drop(stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_manage_keys_in_a_page_of_a_host_on_actix() {
    let (keys, _) = keys().await;
    let (stop, stopped) = oneshot::channel();
    let page = host::on_actix(&keys, stopped);
    spawn_blocking(move || chromium::run("embedded.mjs", &[&page, "", "main"])).await.unwrap();
    drop(stop);
}
