//! The registry's data, in memory, independent of HTTP and keys. Your product replaces this file.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use axum_apikey::{OrganizationId, Timestamp};
use semver::Version;
use serde::{Deserialize, Serialize};

/// The data of all organizations.
pub(crate) type Kept = HashMap<OrganizationId, Organization>;

/// Everything that one organization has. Each of its keys reaches all of it.
#[derive(Default)]
pub(crate) struct Organization {
    pub(crate) bundles: BTreeMap<String, Versions>,
    pub(crate) publisher: Publisher,
    pub(crate) configuration: Configuration,
}

/// A bundle's versions, in order.
pub(crate) type Versions = BTreeMap<Version, Published>;

/// What readers see of the organization.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publisher {
    display_name: String,
    homepage: String,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// `true` if versions can be deleted. They can't be replaced.
    pub(crate) allow_deletion: bool,
}

/// A published version.
#[derive(Clone, Serialize)]
pub(crate) struct Published {
    pub(crate) size: usize,
    /// The name of the key.
    pub(crate) published_by: String,
    pub(crate) published_at: Timestamp,
    #[serde(skip)]
    pub(crate) content: Bytes,
}

/// Returns the newest version; a pre-release only if there is nothing else.
pub(crate) fn latest(versions: &Versions) -> Option<&Version> {
    versions.keys().rev().find(|version| version.pre.is_empty()).or(versions.keys().next_back())
}
