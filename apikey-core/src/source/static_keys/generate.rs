//! Generates a key: the secret for its holder, and the entry for the configuration.

use std::fmt;

use crate::{
    key::{GenerateKeyError, IdError, KeyDigest, KeyFormat, KeyHasher, KeyId, PlaintextKey},
    scope::{ScopeError, ScopeSet},
};

/// A new key: the secret to show to its holder once, and the entry to keep.
///
/// ```
/// use apikey_core::{KeyFormat, KeyHasher, NewStaticKey, StaticKeys};
///
/// let format = KeyFormat::builder("acme").environment("live").build()?;
/// let key = NewStaticKey::generate(&format, &KeyHasher::sha256(), "ci", ["files:read"])?;
/// println!("give this to its holder, it is not stored: {}", key.secret().expose_secret());
/// println!("put this into API_KEYS: {}", key.env_entry());
/// assert_eq!(StaticKeys::parse(&key.env_entry())?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NewStaticKey {
    secret: PlaintextKey,
    id: KeyId,
    digest: KeyDigest,
    scopes: ScopeSet,
}

/// The error for a key that can't be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateStaticKeyError {
    /// The id is malformed.
    #[error("the id is malformed")]
    Id(#[from] IdError),
    /// A scope is malformed.
    #[error("a scope is malformed")]
    Scope(#[from] ScopeError),
    /// The format can't issue keys, or the operating system has no randomness.
    #[error(transparent)]
    Key(#[from] GenerateKeyError),
}

impl NewStaticKey {
    /// Generates a key of `format`, in its default environment.
    ///
    /// # Errors
    ///
    /// Returns an error if the id or a scope is malformed, `format` only verifies, or the operating system has no
    /// randomness.
    pub fn generate<S: AsRef<str>>(
        format: &KeyFormat,
        hasher: &KeyHasher,
        id: impl AsRef<str>,
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<Self, GenerateStaticKeyError> {
        let id = KeyId::new(id)?;
        let scopes = ScopeSet::from_grants(scopes)?;
        let secret = format.generate()?;
        let digest = hasher.digest(&secret);
        Ok(NewStaticKey { secret, id, digest, scopes })
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret(&self) -> &PlaintextKey {
        &self.secret
    }

    /// Returns the entry for [`StaticKeys::parse`](crate::StaticKeys::parse): one line, without a line break.
    #[must_use]
    pub fn env_entry(&self) -> String {
        let entry = format!("{} {} {}", self.id, self.digest, self.scopes);
        entry.trim_end().to_owned()
    }

    /// Returns the entry for a TOML file of keys (feature `toml`): a table that ends with a line break.
    #[must_use]
    pub fn toml_entry(&self) -> String {
        // Ids, digests and scopes contain no character that a TOML string must escape.
        let scopes: Vec<_> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        format!("[[key]]\nid = \"{}\"\ndigest = \"{}\"\nscopes = [{}]\n", self.id, self.digest, scopes.join(", "))
    }
}

impl fmt::Debug for NewStaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStaticKey").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}
