//! Rotates keys: a new secret for a key that keeps its id, scopes, metadata and history.

use std::{sync::Arc, time::Duration};

use apikey_core::{KeyDigest, KeyId};

use super::{IssuedKey, KeyManager, Shared, operation::Operation};
use crate::{
    actor::Actor,
    audit::Action,
    error::{Forbidden, ManageError},
    record::{KeyRecord, SecretRecord, Status},
    rights::Level,
    store::{Change, Made},
};

/// The overlap of a rotation: how long the replaced secret stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// End every older secret immediately.
    None,
    /// End the replaced secret after this time.
    For(Duration),
    /// Keep the replaced secret until [`KeyManager::end_overlap`].
    UntilEnded,
}

/// The longest overlap. Longer ones are mistakes.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The shortest overlap of a key that rotates itself. It leaves time to repeat a rotation whose answer was lost.
const SHORTEST_OF_SELF: Duration = Duration::from_secs(5 * 60);

/// The most secrets of a record. Older ones ended long ago.
const REMEMBERED: usize = 16;

impl KeyManager {
    /// Rotates a key: it gets a new secret.
    ///
    /// A key has at most two valid secrets; one that is left from an earlier rotation ends now. A rotation never
    /// extends a secret's life. The record keeps the latest sixteen secrets; older ones can't be used again either.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor could not issue such a key,
    /// [`WrongState`](ManageError::WrongState) if the key is revoked or expired, [`Invalid`](ManageError::Invalid)
    /// (`overlap`) for a duration of zero or more than 366 days, or one that is longer than the
    /// [plan's](crate::Limits::longest_overlap). [`AlreadyDone`](ManageError::AlreadyDone) and
    /// [`IdempotencyKeyReused`](ManageError::IdempotencyKeyReused) as [`Actor::with_idempotency_key`] says.
    pub async fn rotate(&self, actor: &Actor, id: &KeyId, overlap: Overlap) -> Result<IssuedKey, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            shared.check_overlap(&actor, overlap).await?;
            let mut operation = Operation::begin_once(shared, actor, Level::Write).await?;
            let key = operation.key(&id).await?;
            let issued = operation.rotate(&key, overlap)?;
            operation.commit_once(vec![id]).await?;
            Ok(issued)
        })
        .await
    }

    /// Rotates the acting key, whatever its scopes. Its scopes and its expiry stay. The presented secret stays valid
    /// for `overlap`, and every other secret ends.
    ///
    /// If the answer is lost, the old secret can rotate the key again until its overlap ends. The secret in the lost
    /// answer then ends.
    ///
    /// # Security
    ///
    /// Whoever holds a key can replace its secret, so rotate a leaked key without an overlap, or revoke it. A secret
    /// that somebody else has replaced can't rotate the key, because the new secret would outlive it.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if the actor isn't a key, isn't valid any more, or presents a secret that
    /// somebody else has replaced; [`Invalid`](ManageError::Invalid) (`overlap`) for less than 5 minutes, more than 366
    /// days, or more than the [plan's](crate::Limits::longest_overlap).
    pub async fn rotate_self(&self, actor: &Actor, overlap: Duration) -> Result<IssuedKey, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            if overlap < SHORTEST_OF_SELF {
                return Err(ManageError::field("overlap", "too_short", "an overlap of 5 minutes or more is needed"));
            }
            shared.check_overlap(&actor, Overlap::For(overlap)).await?;
            let (Some(id), Some(presented)) = (actor.key.clone(), actor.secret.clone()) else {
                return Err(Forbidden::NotLive.into());
            };
            let mut operation = Operation::begin(shared, actor.clone(), Level::Nothing).await?;
            let key = operation.key(&id).await?;
            let newest = key.secrets.first().map(|secret| &secret.digest);
            if let Some(newest) = newest.filter(|newest| **newest != presented)
                && !operation.transaction.has_made(&actor.id, &presented, newest).await?
            {
                return Err(Forbidden::BeyondExpiry.into());
            }
            let issued = operation.replace_secret(&key, Overlap::For(overlap), Some(&presented))?;
            operation.commit().await?;
            Ok(issued)
        })
        .await
    }

    /// Ends every secret of a key except the newest one.
    ///
    /// # Errors
    ///
    /// As [`rotate`](KeyManager::rotate). A key without an overlap doesn't change.
    pub async fn end_overlap(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin_ending(shared, actor, Level::Write).await?;
            let before = operation.key(&id).await?;
            operation.may_hand_out(&before)?;
            let mut key = before.clone();
            let newest = before.secrets.first().map(|secret| &secret.digest);
            operation.end_secrets_but(newest, &mut key);
            if key != before {
                operation.update_key(&before, &mut key, Action::KeyOverlapEnded)?;
            }
            // The effect is repeated even if nothing is left to end: another process may have ended the overlap.
            operation.commit().await?;
            Ok(key)
        })
        .await
    }
}

impl Shared {
    /// Without an overlap, no plan is asked for: a leaked secret can be ended whatever the host's state.
    pub(super) async fn check_overlap(&self, actor: &Actor, overlap: Overlap) -> Result<(), ManageError> {
        overlap.check()?;
        if overlap == Overlap::None {
            return Ok(());
        }
        match self.limits(actor).await?.longest_overlap {
            Some(longest) if !matches!(overlap, Overlap::For(overlap) if overlap <= longest) => {
                let message = format!("the plan allows an overlap of at most {} seconds", longest.as_secs());
                Err(ManageError::field("overlap", "too_long", message))
            }
            _ => Ok(()),
        }
    }
}

impl Overlap {
    fn check(self) -> Result<(), ManageError> {
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
        let newest = before.secrets.first().map(|secret| &secret.digest);
        self.replace_secret(before, overlap, newest.filter(|_| overlap != Overlap::None))
    }

    /// Gives a key a new secret. Of the older ones, only `kept` stays valid, for the time of `overlap`.
    fn replace_secret(
        &mut self,
        before: &KeyRecord,
        overlap: Overlap,
        kept: Option<&KeyDigest>,
    ) -> Result<IssuedKey, ManageError> {
        let secret = self.shared.generate(before.environment.as_deref())?;
        let mut key = before.clone();
        self.end_secrets_but(kept, &mut key);
        let now = self.now;
        if let Some(newest) = key.secrets.first_mut() {
            newest.superseded_at.get_or_insert(now);
        }
        if let (Some(old), Overlap::For(overlap)) =
            (key.secrets.iter_mut().find(|secret| Some(&secret.digest) == kept), overlap)
        {
            let end = now + overlap;
            old.ends_at = Some(old.ends_at.map_or(end, |earlier| earlier.min(end)));
        }
        let digest = self.shared.hasher.digest(&secret);
        key.secrets.insert(0, SecretRecord::new(digest.clone(), now));
        key.hint = self.shared.format.hint(&secret, before.environment.as_deref());
        let mut forgotten = key.secrets.split_off(key.secrets.len().min(REMEMBERED));
        if let Some(at) = forgotten.iter().position(|secret| Some(&secret.digest) == kept) {
            key.secrets.push(forgotten.remove(at));
        }
        self.update_key(before, &mut key, Action::KeyRotated)?;
        self.settle(&before.id, &["key.rotation_due"]);
        self.lineage(&before.id, Made::Secret(digest));
        if !forgotten.is_empty() {
            let digests = forgotten.into_iter().map(|secret| secret.digest).collect();
            self.change(Change::RetireSecrets(before.id.clone(), digests));
        }
        self.refresh(&before.id);
        Ok(IssuedKey::new(key, secret))
    }

    /// Ends all live secrets except `kept`.
    fn end_secrets_but(&mut self, kept: Option<&KeyDigest>, key: &mut KeyRecord) {
        let now = self.now;
        for secret in key.secrets.iter_mut().filter(|secret| Some(&secret.digest) != kept) {
            // This includes secrets that have expired, because requests may have been accepted before.
            self.end_secret(&key.id, &secret.digest);
            // The mark holds independently of clocks.
            if secret.is_live(now) {
                secret.end(now);
            }
        }
    }
}
