//! Who owns keys. Organizations are the host's: their ids come from it, and all that is kept of them is whether they are
//! suspended.

use apikey_core::Timestamp;
use std::{fmt, str::FromStr, sync::Arc};

use crate::{actor::ActorId, validate};

/// The id of an organization (tenant, workspace, account), as the host names it: 1–128 characters that can be seen, as in
/// [`text_pattern`](crate::text_pattern).
///
/// ```
/// use apikey_manager::OrganizationId;
///
/// let acme: OrganizationId = "acme".parse()?;
/// assert_eq!(acme.as_str(), "acme");
/// assert!(OrganizationId::new("").is_err());
/// # Ok::<(), apikey_manager::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationId(Arc<str>);

/// Why a string is no id of an organization or an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 128 characters, and none that shows nothing")]
pub struct IdError(pub(crate) ());

impl OrganizationId {
    /// Checks and takes an id.
    ///
    /// # Errors
    ///
    /// When `id` is empty or blank, longer than 128 characters, or has a character that shows nothing or changes how other
    /// text is shown.
    pub fn new(id: impl AsRef<str>) -> Result<Self, IdError> {
        match validate::is_foreign_id(id.as_ref()) {
            true => Ok(OrganizationId(id.as_ref().into())),
            false => Err(IdError(())),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrganizationId({})", self.0)
    }
}

impl FromStr for OrganizationId {
    type Err = IdError;

    fn from_str(id: &str) -> Result<Self, IdError> {
        OrganizationId::new(id)
    }
}

/// What is kept of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrganizationRecord {
    /// Its id.
    pub id: OrganizationId,
    /// Since when, and on whose word, none of its keys is let in.
    pub suspended: Option<Switched>,
}

impl OrganizationRecord {
    /// An organization that is not suspended.
    #[must_use]
    pub fn new(id: OrganizationId) -> Self {
        OrganizationRecord { id, suspended: None }
    }
}

/// When, and on whose word, something was switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// The moment.
    pub at: Timestamp,
    /// Who did it.
    pub by: ActorId,
}
