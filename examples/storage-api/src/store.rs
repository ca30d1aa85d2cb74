//! The service's data, in memory, independent of HTTP and keys. Your product replaces this file.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

/// The largest total size of files in bytes.
pub(crate) const ROOM: usize = 64 << 20;

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) aggregators: BTreeMap<String, Aggregator>,
}

/// An environment: its files and its members.
#[derive(Default)]
pub(crate) struct Environment {
    pub(crate) about: About,
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) members: BTreeMap<String, Member>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    description: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    role: Role,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Viewer,
    Editor,
    Owner,
}

/// An aggregator, which publishes files.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregator {
    cache_seconds: u32,
    custom_domains: Vec<String>,
}

#[derive(Clone, Default, Serialize)]
pub(crate) struct File {
    pub(crate) size: usize,
    pub(crate) uploaded_by: String,
    /// The received pieces.
    #[serde(skip)]
    pub(crate) chunks: Vec<Bytes>,
}

impl Kept {
    /// Returns the total size of all files in bytes.
    pub(crate) fn stored(&self) -> usize {
        self.environments.values().flat_map(|environment| environment.files.values()).map(|file| file.size).sum()
    }
}
