//! What the service keeps, in memory: the part of this template that your product replaces. It knows neither HTTP nor keys.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

/// What all files together may have, in bytes.
pub(crate) const ROOM: usize = 64 << 20;

/// Everything. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<RwLock<Kept>>);

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

#[derive(Clone, Serialize)]
pub(crate) struct File {
    pub(crate) size: usize,
    uploaded_by: String,
    /// As they came.
    #[serde(skip)]
    pub(crate) chunks: Vec<Bytes>,
}

impl Store {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// How many bytes all files have.
    pub(crate) fn stored(&self) -> usize {
        self.environments.values().flat_map(|environment| environment.files.values()).map(|file| file.size).sum()
    }
}

impl File {
    pub(crate) fn new(uploaded_by: &str) -> Self {
        File { size: 0, uploaded_by: uploaded_by.to_owned(), chunks: Vec::new() }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.size += chunk.len();
        self.chunks.push(chunk);
    }
}

/// A name that is one segment of a path, so that everything can be reached by its URL.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=100).contains(&name.len()) && name.chars().all(allowed) && !matches!(name, "." | "..")
}
