//! A new secret for an old key. Its id, scopes, metadata and history stay; the old secret lives on for as long as is
//! asked.

use std::{sync::Arc, time::Duration};

use apikey_core::KeyId;

use super::{IssuedKey, KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::ManageError,
    hint::hint_of,
    record::{KeyRecord, SecretRecord, Status},
    rights::Level,
    store::{Change, Made},
};

/// The overlap of a rotation: how long the replaced secret stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// Not at all: every older secret ends at once.
    None,
    /// So long.
    For(Duration),
    /// Until [`KeyManager::end_overlap`] is called.
    UntilEnded,
}

/// Longer overlaps are asked for by mistake.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// How many secrets a record has at most. Older ones ended long ago.
const REMEMBERED: usize = 16;

impl KeyManager {
    /// Gives a key a new secret.
    ///
    /// A key has at most two live secrets: one that an earlier rotation left behind ends now, whatever overlap it was
    /// given. No rotation lengthens the life of a secret. The record has the latest sixteen secrets; those before can't
    /// come back all the same.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) unless the actor could issue such a key;
    /// [`WrongState`](ManageError::WrongState) for a key that is revoked or expired;
    /// [`Invalid`](ManageError::Invalid) (`overlap`) for a duration of zero, or of more than 366 days.
    pub async fn rotate(&self, actor: &Actor, id: &KeyId, overlap: Overlap) -> Result<IssuedKey, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            overlap.check()?;
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let key = operation.key(&id).await?;
            let issued = operation.rotate(&key, overlap)?;
            operation.commit().await?;
            Ok(issued)
        })
        .await
    }

    /// Ends every secret of a key but its newest.
    ///
    /// # Errors
    ///
    /// As [`rotate`](KeyManager::rotate). A key without an overlap under way stays as it is.
    pub async fn end_overlap(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_hand_out(&before)?;
            let mut key = before.clone();
            operation.end_secrets(&mut key, 1);
            if key != before {
                operation.update_key(&before, &mut key, Action::KeyOverlapEnded)?;
            }
            // Even if nothing is left to end: it may not have been heard here yet.
            operation.commit().await?;
            Ok(key)
        })
        .await
    }
}

impl Overlap {
    pub(super) fn check(self) -> Result<(), ManageError> {
        match self {
            Overlap::For(overlap) if overlap.is_zero() => {
                Err(ManageError::field("overlap", "too_short", "an overlap must be longer than zero"))
            }
            Overlap::For(overlap) if overlap > LONGEST => {
                Err(ManageError::field("overlap", "too_long", "an overlap may be at most 366 days"))
            }
            _ => Ok(()),
        }
    }
}

impl Operation {
    pub(super) fn rotate(&mut self, before: &KeyRecord, overlap: Overlap) -> Result<IssuedKey, ManageError> {
        let status = before.status(self.now);
        if matches!(status, Status::Revoked | Status::Expired) {
            return Err(ManageError::WrongState { status, operation: "rotated" });
        }
        self.may_hand_out(before)?;
        let secret = self.shared.generate(before.environment.as_deref())?;
        let mut key = before.clone();
        let kept = if overlap == Overlap::None { 0 } else { 1 };
        self.end_secrets(&mut key, kept);
        let now = self.now;
        if let Some(old) = key.secrets.first_mut() {
            old.superseded_at.get_or_insert(now);
            if let Overlap::For(overlap) = overlap {
                let end = now + overlap;
                old.ends_at = Some(old.ends_at.map_or(end, |earlier| earlier.min(end)));
            }
        }
        let digest = self.shared.hasher.digest(&secret);
        key.secrets.insert(0, SecretRecord::new(digest.clone(), now));
        key.hint = hint_of(&secret, &self.shared.format, before.environment.as_deref());
        let forgotten = key.secrets.split_off(key.secrets.len().min(REMEMBERED));
        self.update_key(before, &mut key, Action::KeyRotated)?;
        self.lineage(&before.id, Made::Secret(digest));
        if !forgotten.is_empty() {
            let digests = forgotten.into_iter().map(|secret| secret.digest).collect();
            self.change(Change::RetireSecrets(before.id.clone(), digests));
        }
        self.refresh(&before.id);
        Ok(IssuedKey::new(key, secret))
    }

    /// Ends all but the newest `kept` secrets that are live.
    fn end_secrets(&mut self, key: &mut KeyRecord, kept: usize) {
        let now = self.now;
        for secret in key.secrets.iter_mut().skip(kept) {
            // Those that ended by themselves, too: requests may have been let in before that was decided.
            self.end_secret(&key.id, &secret.digest);
            // The mark holds whatever other processes' clocks say, and whatever this one will say later.
            if secret.is_live(now) {
                secret.end(now);
            }
        }
    }
}
