//! The three operations of the management API that any key may use on itself.

use std::time::Duration;

use apikey_core::{PlaintextKey, ScopeSet, Timestamp};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{client::Client, credentials::Credentials, error::Error};

/// The caller, as the service's `whoami` sees it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Caller {
    /// The organization.
    pub organization: String,
    /// The effective scopes.
    pub scopes: ScopeSet,
    /// The time from which the key is rejected.
    pub expires_at: Option<Timestamp>,
    /// The key.
    pub key: Option<CallingKey>,
}

/// The caller's key.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct CallingKey {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The environment.
    pub environment: Option<String>,
}

#[derive(Serialize)]
struct Rotation {
    overlap_seconds: u64,
}

#[derive(Deserialize)]
struct Issued {
    secret: String,
}

pub(crate) async fn whoami(credentials: &Credentials, client: &Client) -> Result<Caller, Error> {
    let request = client.get(&credentials.operation("whoami"))?;
    Ok(client.fetch(request).await?.json().await?)
}

pub(crate) async fn self_rotate(
    credentials: &Credentials,
    client: &Client,
    overlap: Duration,
) -> Result<PlaintextKey, Error> {
    let request = client.request(Method::POST, &credentials.operation("self-rotate"))?;
    let request = request.json(&Rotation { overlap_seconds: overlap.as_secs() });
    let issued: Issued = client.fetch(request).await?.json().await?;
    PlaintextKey::try_from(issued.secret).map_err(|_| Error::Usage("the service's answer holds no key".to_owned()))
}

pub(crate) async fn self_revoke(credentials: &Credentials, client: &Client) -> Result<(), Error> {
    let request = client.request(Method::POST, &credentials.operation("self-revoke"))?;
    client.fetch(request).await.map(drop)
}
