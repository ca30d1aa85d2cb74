//! Service accounts: owners of keys that are not people.

use apikey_core::{ActorId, OrganizationId, ServiceAccountId, Timestamp};
use serde::Serialize;

use crate::organization::Switched;

/// A service account's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// The organization.
    pub organization: OrganizationId,
    /// The name, 1–100 characters.
    pub name: String,
    /// The purpose, up to 500 characters.
    pub description: String,
    /// The time since when its keys are rejected, and who decided so.
    pub disabled: Option<Switched>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The actor who created the account.
    pub created_by: ActorId,
    /// The version: the number of changes, from 1.
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
