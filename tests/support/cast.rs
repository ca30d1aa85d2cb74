//! The cast: named keys in every state that a key can be in.

use std::time::Duration;

use apikey_core::{Claims, KeyDigest, KeyHasher, KeyId, KeyStatus, Resolution, ScopeSet};

use crate::stand::Stand;

impl Stand {
    pub(crate) fn add_cast(&mut self) {
        let wall = self.clock.wall();
        let hour = Duration::from_secs(3_600);
        for (name, scopes) in
            [("reader", "files:read"), ("writer", "files:write"), ("admin", "files:*"), ("nobody", "files:reader x")]
        {
            self.issue(name, scopes);
        }
        self.add("of-test", "test", "files:read", |record| record);
        self.add("future", "live", "files:read", |record| record.with_not_before(wall + hour));
        self.add("disabled", "live", "files:read", |record| record.with_status(KeyStatus::Disabled));
        self.add("revoked", "live", "files:read", |record| record.with_status(KeyStatus::Revoked));
        self.add("ended", "live", "files:read", |record| record.with_secret_end(wall));
        self.record("expired", "live", |claims| claims.with_expiry(wall));
        self.record("mislabelled", "live", |claims| claims.with_environment("test"));
        self.add_secret("reader", "reader-too");
        let unknown = self.format.generate_for("live").unwrap();
        let reader = self.token("reader");
        let last = if reader.ends_with('0') { "1" } else { "0" };
        let mistyped = format!("{}{last}", &reader[..reader.len() - 1]).parse().unwrap();
        self.tokens.extend([("unknown".to_owned(), unknown), ("mistyped".to_owned(), mistyped)]);
    }

    /// Adds a key called `name` with these scopes.
    ///
    /// # Panics
    ///
    /// Panics if the scopes are malformed.
    pub fn issue(&mut self, name: &str, scopes: &str) {
        self.add(name, "live", scopes, |record| record);
    }

    fn add(&mut self, name: &str, environment: &str, scopes: &str, change: impl FnOnce(Resolution) -> Resolution) {
        let token = self.format.generate_for(environment).unwrap();
        self.tokens.insert(name.to_owned(), token);
        let scopes = ScopeSet::parse(scopes).unwrap();
        self.change(name, |claims| claims.with_scopes(scopes), change);
    }

    fn record(&mut self, name: &str, environment: &str, describe: impl FnOnce(Claims) -> Claims) {
        self.add(name, environment, "files:read", |record| record);
        self.change(name, describe, |record| record);
    }

    /// Adds a second secret, called `secret`, to the key `name`.
    fn add_secret(&mut self, name: &str, secret: &str) {
        let token = self.format.generate_for("live").unwrap();
        let digest = KeyHasher::sha256().digest(&token);
        self.tokens.insert(secret.to_owned(), token);
        self.store.insert(digest.clone(), key_id(name), Resolution::new(digest, claims(name)));
    }

    /// Replaces the record of the secret `name`, without notification. `describe` and `change` get a record that may
    /// read files and doesn't expire.
    ///
    /// # Panics
    ///
    /// Panics if nobody has that name.
    pub fn change(
        &self,
        name: &str,
        describe: impl FnOnce(Claims) -> Claims,
        change: impl FnOnce(Resolution) -> Resolution,
    ) {
        let digest = self.digest(name);
        let record = Resolution::new(digest.clone(), describe(claims(name)));
        self.store.insert(digest, key_id(name), change(record));
    }

    /// Returns the stored digest of the secret `name`.
    ///
    /// # Panics
    ///
    /// Panics if nobody has that name.
    #[must_use]
    pub fn digest(&self, name: &str) -> KeyDigest {
        KeyHasher::sha256().digest(&self.tokens[name])
    }

    /// Returns the key called `name`: one of the cast, `unknown`, or `mistyped`, which has one wrong character.
    ///
    /// # Panics
    ///
    /// Panics if nobody has that name.
    #[must_use]
    pub fn token(&self, name: &str) -> &str {
        self.tokens.get(name).unwrap_or_else(|| panic!("nobody is called {name}")).expose_secret()
    }

    /// Returns the names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tokens.keys().map(String::as_str)
    }
}

/// Returns the id of `name`'s record.
///
/// # Panics
///
/// Panics if the name can't be part of an id.
#[must_use]
pub fn key_id(name: &str) -> KeyId {
    KeyId::new(format!("key-{name}")).unwrap()
}

fn claims(name: &str) -> Claims {
    let scopes = ScopeSet::parse("files:read").unwrap();
    Claims::new(key_id(name)).with_name(name).with_organization("acme".parse().unwrap()).with_scopes(scopes)
}
