//! What the service keeps, in memory: the part of this template that your product replaces. It knows neither HTTP nor keys.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

/// The size of all files together, in bytes, that is not exceeded.
pub(crate) const ROOM: usize = 64 << 20;

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) aggregators: BTreeMap<String, Aggregator>,
}

/// A space of files, and who belongs to it.
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

/// How files are handed on to the public.
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
    /// As they came.
    #[serde(skip)]
    pub(crate) chunks: Vec<Bytes>,
}

impl Kept {
    /// The size of all files together, in bytes.
    pub(crate) fn stored(&self) -> usize {
        self.environments.values().flat_map(|environment| environment.files.values()).map(|file| file.size).sum()
    }
}
