//! Service accounts: names for programs, which hold keys as people do.

use std::{fmt, str::FromStr};

use apikey_core::{KeyId, NoRandomness, Timestamp};

use crate::{
    actor::ActorId,
    organization::{OrganizationId, Switched},
};

/// The id of a service account: `sa_` and what sorts by its creation; any [`KeyId`] is well-formed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAccountId(KeyId);

impl ServiceAccountId {
    /// Checks and takes an id.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 characters of `[A-Za-z0-9._:-]`.
    pub fn new(id: impl AsRef<str>) -> Result<Self, apikey_core::KeyIdError> {
        KeyId::new(id).map(ServiceAccountId)
    }

    /// A new id that sorts by `now`.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    #[expect(clippy::missing_panics_doc, reason = "a key's id with another prefix is well-formed")]
    pub fn generate(now: Timestamp) -> Result<Self, NoRandomness> {
        let key = KeyId::generate(now)?;
        let tail = key.as_str().trim_start_matches("key_");
        Ok(ServiceAccountId(KeyId::new(format!("sa_{tail}")).expect("an id like a key's")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ServiceAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ServiceAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccountId({})", self.as_str())
    }
}

impl FromStr for ServiceAccountId {
    type Err = apikey_core::KeyIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        ServiceAccountId::new(id)
    }
}

/// A service account's record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// The organization.
    pub organization: OrganizationId,
    /// What people call it; 1–100 characters.
    pub name: String,
    /// What it is for; up to 500 characters.
    pub description: String,
    /// Since when, and on whose word, none of its keys is let in.
    pub disabled: Option<Switched>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The actor who created the account.
    pub created_by: ActorId,
    /// Counts its changes, from 1.
    pub version: u64,
}

impl ServiceAccount {
    /// An account as it is made.
    #[must_use]
    pub fn new(
        id: ServiceAccountId,
        organization: OrganizationId,
        name: impl Into<String>,
        created_at: Timestamp,
        created_by: ActorId,
    ) -> Self {
        ServiceAccount {
            id,
            organization,
            name: name.into(),
            description: String::new(),
            disabled: None,
            created_at,
            created_by,
            version: 1,
        }
    }
}
