//! Signing out: the stored key is forgotten, and revoked if asked for.

use crate::{credentials::Credentials, error::Error, place::Place, service};

impl Credentials {
    /// Forgets the stored key. With `revoke` the service revokes it first, for all who hold it.
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](Error::NotSignedIn) if no key is stored. If the revocation fails, the key stays stored, so that it can be
    /// tried again; a key that the service rejects is forgotten.
    pub async fn logout(&self, revoke: bool) -> Result<(), Error> {
        let found = self.find().await?;
        if let Place::Environment(variable) = found.place {
            return Err(Error::Usage(format!("the key is in {variable}: unset it to sign out")));
        }
        let lock = self.lock()?;
        if revoke {
            match service::self_revoke(self, &self.client_with(&found.key)?).await {
                Ok(()) | Err(Error::Rejected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // Both, or the key in the other place would be in force next.
        self.file()?.remove()?;
        if let Err(error) = self.keyring()?.remove().await
            && found.place == Place::Keyring
        {
            return Err(self.keyring_error(error));
        }
        lock.finish()
    }
}
