//! A message as an HTTP request, signed as Standard Webhooks specifies.

use apikey_manager::WebhookMessage;
use reqwest::{Client, RequestBuilder, header::CONTENT_TYPE};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use url::Url;

/// Builds the request. One signature for each secret lets receivers verify with either during a rotation.
pub(crate) fn request(client: &Client, url: Url, message: &WebhookMessage) -> Result<RequestBuilder, &'static str> {
    let seconds = message.at.as_millis().div_euclid(1_000);
    let signatures = message.secrets.iter().map(|secret| {
        Webhook::new(secret.expose_secret())
            .and_then(|webhook| webhook.sign(&message.id, seconds, message.body.as_bytes()))
            // The cause would show a character of the secret.
            .map_err(|_| "a signing secret is not base64")
    });
    let signatures: Vec<String> = signatures.collect::<Result<_, _>>()?;
    if signatures.is_empty() {
        return Err("there is no signing secret");
    }
    Ok(client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(HEADER_WEBHOOK_ID, &message.id)
        .header(HEADER_WEBHOOK_TIMESTAMP, seconds)
        .header(HEADER_WEBHOOK_SIGNATURE, signatures.join(" "))
        .body(message.body.clone()))
}
