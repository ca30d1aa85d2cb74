//! Files, in memory: the part of this template that your product replaces. It knows neither HTTP nor keys.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

/// All files, by name. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Files(Arc<RwLock<BTreeMap<String, File>>>);

struct File {
    content: String,
    uploaded_by: String,
}

/// What an upload sends.
#[derive(Deserialize)]
pub(crate) struct NewFile {
    name: String,
    content: String,
}

/// What a list tells of a file.
#[derive(Serialize)]
pub(crate) struct FileInfo {
    name: String,
    size: usize,
    uploaded_by: String,
}

/// Why a file was not added.
pub(crate) enum AddError {
    BadName,
    Exists,
}

impl Files {
    pub(crate) fn list(&self) -> Vec<FileInfo> {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(name, file)| file.info(name)).collect()
    }

    pub(crate) fn add(&self, new: NewFile, uploaded_by: &str) -> Result<FileInfo, AddError> {
        if !is_name(&new.name) {
            return Err(AddError::BadName);
        }
        let mut files = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match files.entry(new.name.clone()) {
            Entry::Occupied(_) => Err(AddError::Exists),
            Entry::Vacant(place) => {
                let file = File { content: new.content, uploaded_by: uploaded_by.to_owned() };
                Ok(place.insert(file).info(&new.name))
            }
        }
    }

    /// Whether there was such a file.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }
}

impl File {
    fn info(&self, name: &str) -> FileInfo {
        FileInfo { name: name.to_owned(), size: self.content.len(), uploaded_by: self.uploaded_by.clone() }
    }
}

/// A name that is one segment of a path, so that every file can be reached by its URL.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=100).contains(&name.len()) && name.chars().all(allowed) && !matches!(name, "." | "..")
}
