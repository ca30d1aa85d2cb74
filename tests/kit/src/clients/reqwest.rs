//! reqwest, which is a library.

use std::time::Duration;

use reqwest::{Client, Method};

use super::{Outcome, PATIENCE, Upload};

pub(super) async fn send(uploads: &[Upload], http2: bool) -> Vec<Outcome> {
    // `apikey-client` enables TLS in the workspace's reqwest, which then wants a provider for plain HTTP, too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().timeout(Duration::from_secs(PATIENCE)).no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
    let client = builder.build().expect("a client");
    let mut outcomes = Vec::new();
    for upload in uploads {
        outcomes.push(send_one(&client, upload).await.map_err(|error| format!("{error:?}")));
    }
    outcomes
}

async fn send_one(client: &Client, upload: &Upload) -> Result<u16, reqwest::Error> {
    let method = Method::from_bytes(upload.method.as_bytes()).expect("a method");
    let request = client.request(method, &upload.url);
    let request = upload.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = if upload.size > 0 { request.body(vec![0; upload.size]) } else { request };
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok(status)
}
