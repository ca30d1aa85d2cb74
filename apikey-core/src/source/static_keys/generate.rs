//! A new key for the list: the secret for its holder, the entry for the configuration.

use std::fmt;

use crate::{
    key::{GenerateKeyError, KeyDigest, KeyFormat, KeyHasher, KeyId, KeyIdError, PlaintextKey},
    scope::{ScopeError, ScopeSet},
};

/// A key that was just made: shown to its holder once, and kept as an entry.
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

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateStaticKeyError {
    /// The id is none.
    #[error("the id is malformed")]
    Id(#[from] KeyIdError),
    /// A scope is none.
    #[error("a scope is malformed")]
    Scope(#[from] ScopeError),
    /// The format makes no keys, or there is no randomness.
    #[error(transparent)]
    Key(#[from] GenerateKeyError),
}

impl NewStaticKey {
    /// Makes a key of `format`, in its default environment.
    ///
    /// # Errors
    ///
    /// When the id or a scope is malformed, `format` only verifies, or the operating system gives no random bytes.
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

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &PlaintextKey {
        &self.secret
    }

    /// The entry for [`StaticKeys::parse`](crate::StaticKeys::parse): one line without its end.
    #[must_use]
    pub fn env_entry(&self) -> String {
        let entry = format!("{} {} {}", self.id, self.digest, self.scopes);
        entry.trim_end().to_owned()
    }

    /// The entry for a TOML file of keys (feature `toml`): a table with its line's end.
    #[must_use]
    pub fn toml_entry(&self) -> String {
        // Ids, digests and scopes have no character that a TOML string would have to escape.
        let scopes: Vec<_> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        format!("[[key]]\nid = \"{}\"\ndigest = \"{}\"\nscopes = [{}]\n", self.id, self.digest, scopes.join(", "))
    }
}

impl fmt::Debug for NewStaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStaticKey").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}
