//! Revokes many keys: of a person who left, of an environment that leaked, or of a stolen key and its descendants.
//!
//! A step revokes some hundreds of keys in one transaction and returns how to continue. Other changes don't wait long,
//! and finished steps stay done if a later one fails.

use std::sync::Arc;

use apikey_core::{KeyDigest, KeyId, ServiceAccountId};

use super::{
    KeyManager, Shared,
    operation::Operation,
    status::{check_reason, revoke_one},
};
use crate::{
    actor::Actor,
    audit::Action,
    error::{ManageError, Missing},
    query::{KeyFilter, Reach, ReachQuery, Selection, Target},
    record::{KeyHead, KeyRecord, Status},
    rights::{Level, Standing},
    store::Change,
    validate::Fields,
};

/// The size of a step.
const STEP: usize = 500;

/// A revocation of many keys.
///
/// ```
/// use apikey_manager::{ActorId, BulkRevocation, Selection};
///
/// let of_alice = Selection::CreatedBy(ActorId::new("alice@example.com")?);
/// let revocation = BulkRevocation::new(of_alice).descendants(true).reason("she left");
/// # Ok::<(), apikey_manager::IdError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BulkRevocation {
    selection: Selection,
    descendants: bool,
    keep_accounts: bool,
    reason: String,
    after: Option<KeyId>,
}

impl BulkRevocation {
    /// Revokes the selected keys alone.
    pub fn new(selection: Selection) -> Self {
        BulkRevocation { selection, descendants: false, keep_accounts: false, reason: String::new(), after: None }
    }

    /// Sets whether descendants are revoked, too: keys that the selected ones issued or duplicated, and secrets that
    /// they obtained by rotating other keys, recursively. With [`Selection::CreatedBy`], the secrets that the actor
    /// obtained end as well. The default is `false`.
    pub fn descendants(mut self, descendants: bool) -> Self {
        self.descendants = descendants;
        self
    }

    /// Sets whether the keys of service accounts stay, with all that they made: programs keep running when the person who
    /// created their keys leaves. The default is `false`. That person may know the secrets: rotate the accounts.
    pub fn keep_accounts(mut self, keep_accounts: bool) -> Self {
        self.keep_accounts = keep_accounts;
        self
    }

    /// Sets the reason for the audit trail: at most 500 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Continues after another step, at its [`next`](BulkRevoked::next).
    pub fn after(mut self, next: KeyId) -> Self {
        self.after = Some(next);
        self
    }

    fn check(&self) -> Result<(), ManageError> {
        let mut fields = Fields::default();
        fields.reason(&self.reason);
        if let Selection::Environment(environment) = &self.selection {
            fields.wanted("environment", Some(environment));
        }
        fields.finish().map_err(ManageError::Invalid)
    }
}

/// The result of a step of a [`BulkRevocation`], or its preview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkRevoked {
    /// The keys that were revoked, by id, without those that were revoked before.
    pub keys: Vec<KeyId>,
    /// The secrets that were ended while their keys stay valid.
    pub secrets: Vec<(KeyId, KeyDigest)>,
    /// Keys that stay valid and whose rights were widened by a revoked key: at most 200. Review them.
    pub widened: Vec<KeyId>,
    /// The number of keys that further steps will change.
    pub remaining: u64,
    /// The place of the next step, or `None` after the last one.
    pub next: Option<KeyId>,
}

impl KeyManager {
    /// Runs one step of a revocation: ends up to 500 keys or secrets in one transaction. Call it again with
    /// [`after`](BulkRevocation::after) until [`next`](BulkRevoked::next) is `None`. If a step fails, earlier ones stay
    /// done.
    ///
    /// The acting key is revoked last. Single revocations go ahead of the next step.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden) if one of the remaining keys exceeds the rights of an actor without
    /// `keys:admin`; this step has then changed nothing. [`Invalid`](ManageError::Invalid) if the selection names a
    /// key, an actor, an account or an environment that doesn't exist. [`AlreadyDone`](ManageError::AlreadyDone) and
    /// [`IdempotencyKeyReused`](ManageError::IdempotencyKeyReused) as described at [`Actor::with_idempotency_key`].
    pub async fn revoke_selected(&self, actor: &Actor, revocation: BulkRevocation) -> Result<BulkRevoked, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            revocation.check()?;
            step(shared, actor, &revocation).await
        })
        .await
    }

    /// Returns what [`revoke_selected`](KeyManager::revoke_selected) would end: the first 500 keys and secrets, and the
    /// number of others. It changes nothing.
    ///
    /// # Errors
    ///
    /// As [`revoke_selected`](KeyManager::revoke_selected), and [`Busy`](ManageError::Busy).
    pub async fn preview_revocation(
        &self,
        actor: &Actor,
        revocation: BulkRevocation,
    ) -> Result<BulkRevoked, ManageError> {
        revocation.check()?;
        self.may_read(actor)?;
        let standing = Standing::of(&actor.rights, &self.0.catalog);
        standing.needs(Level::Write)?;
        let own = actor.clone();
        self.read(actor, async move |shared: Arc<Shared>| {
            let reach = shared.store.reach(&shared.reach_query(&own, &revocation)).await?;
            let has_account = match &revocation.selection {
                Selection::ServiceAccount(account) if !reach.is_known => {
                    shared.store.account(&own.organization, account).await?.is_some()
                }
                _ => false,
            };
            shared.may_end(&standing, &revocation.selection, &reach, has_account)?;
            Ok(BulkRevoked::of(reach, &own.key))
        })
        .await
    }

    /// Revokes a key, ahead of other changes, and runs the first step of revoking its descendants.
    ///
    /// # Errors
    ///
    /// As [`revoke`](KeyManager::revoke) and [`revoke_selected`](KeyManager::revoke_selected). If the second part
    /// fails, the key itself is revoked.
    pub async fn revoke_with_descendants(
        &self,
        actor: &Actor,
        id: &KeyId,
        reason: impl Into<String>,
    ) -> Result<(KeyRecord, BulkRevoked), ManageError> {
        // The operation can be repeated safely, and has more than one transaction.
        let actor = Actor { once: None, ..actor.clone() };
        let (id, reason) = (id.clone(), reason.into());
        self.run(async move |shared: Arc<Shared>| {
            check_reason(&reason)?;
            let revocation = BulkRevocation::new(Selection::Key(id.clone())).descendants(true).reason(reason.clone());
            if actor.key.as_ref() == Some(&id) {
                // A revoked key couldn't continue, so it is revoked last.
                let made = step(Arc::clone(&shared), actor.clone(), &revocation).await?;
                let key = shared.store.key(&actor.organization, &id).await?;
                return Ok((key.ok_or(ManageError::NotFound(Missing::Key))?, made));
            }
            let key = revoke_one(Arc::clone(&shared), actor.clone(), &id, &reason).await?;
            let made = step(shared, actor, &revocation).await?;
            Ok((key, made))
        })
        .await
    }
}

impl Shared {
    fn reach_query(&self, actor: &Actor, revocation: &BulkRevocation) -> ReachQuery {
        ReachQuery {
            organization: actor.organization.clone(),
            selection: revocation.selection.clone(),
            descendants: revocation.descendants,
            keep_accounts: revocation.keep_accounts,
            now: self.now(),
            last: actor.key.clone(),
            after: revocation.after.clone(),
            limit: STEP,
        }
    }

    /// Checks whether the actor may end all that remains, not only this step, so that no revocation stops halfway for
    /// lack of rights.
    fn may_end(
        &self,
        standing: &Standing,
        selection: &Selection,
        reach: &Reach,
        has_account: bool,
    ) -> Result<(), ManageError> {
        if !reach.is_known {
            self.must_exist(selection, has_account)?;
        }
        Ok(reach.scopes.iter().try_for_each(|(scopes, _)| standing.may_touch(scopes, &self.catalog))?)
    }

    /// Rejects a selection that names nothing.
    fn must_exist(&self, selection: &Selection, has_account: bool) -> Result<(), ManageError> {
        let mut environments = self.formats.iter().flat_map(|format| format.environments());
        let (field, message) = match selection {
            Selection::Everything => return Ok(()),
            Selection::ServiceAccount(_) if has_account => return Ok(()),
            Selection::Environment(environment) if environments.any(|declared| declared == environment) => {
                return Ok(());
            }
            Selection::Key(_) => ("key", "there is no such key"),
            Selection::CreatedBy(_) => ("created_by", "no key was created by this actor"),
            Selection::ServiceAccount(_) => ("service_account", "there is no such service account"),
            Selection::Environment(_) => ("environment", "there is no such environment"),
        };
        Err(ManageError::field(field, "unknown", message))
    }
}

/// Runs one step in one transaction. Its targets are read inside it, so it waits for no reader.
async fn step(shared: Arc<Shared>, actor: Actor, revocation: &BulkRevocation) -> Result<BulkRevoked, ManageError> {
    let query = shared.reach_query(&actor, revocation);
    let mut operation = Operation::begin_once(Arc::clone(&shared), actor, Level::Write).await?;
    let reach = operation.transaction.reach(&query).await?;
    let has_account = match &revocation.selection {
        Selection::ServiceAccount(account) if !reach.is_known => {
            operation.transaction.account(account).await?.is_some()
        }
        _ => false,
    };
    shared.may_end(&operation.standing, &revocation.selection, &reach, has_account)?;
    if revocation.after.is_none() {
        operation.repeat_ends(&revocation.selection).await?;
    }
    let mut done = BulkRevoked::of(reach, &operation.actor.key);
    done.keys = operation.revoke_keys(&done.keys, &revocation.reason).await?;
    done.secrets = operation.end_secrets_of(&done.secrets).await?;
    let secrets = done.secrets.iter().map(|(key, _)| key);
    let mut keys: Vec<KeyId> = done.keys.iter().chain(secrets).cloned().collect();
    keys.dedup();
    operation.commit_once(keys).await?;
    Ok(done)
}

impl BulkRevoked {
    /// Returns what `reach` has found, as a preview.
    fn of(reach: Reach, own: &Option<KeyId>) -> Self {
        let Reach { scopes, mut targets, widened, .. } = reach;
        let left: u64 = scopes.iter().map(|(_, keys)| keys).sum();
        let keys_of = |targets: &[Target]| targets.chunk_by(|a, b| a.key == b.key).count() as u64;
        // Some secrets of the last key may not fit. No key has as many secrets as a step.
        if targets.len() == STEP
            && let Some(Target { key: last, secret: Some(_) }) = targets.last().cloned()
        {
            targets.retain(|target| target.key != last);
        }
        let remaining = left.saturating_sub(keys_of(&targets));
        // The actor's own key comes last, so its id can't mark where to continue.
        let next = targets.iter().rev().map(|target| &target.key).find(|key| Some(*key) != own.as_ref());
        let next = next.filter(|_| remaining > 0).cloned();
        let mut revoked = BulkRevoked { widened, remaining, next, ..BulkRevoked::default() };
        for Target { key, secret } in targets {
            match secret {
                None => revoked.keys.push(key),
                Some(secret) => revoked.secrets.push((key, secret)),
            }
        }
        revoked
    }
}

impl Operation {
    /// Revokes those of these keys that are not revoked, if the actor may change all of them.
    pub(super) async fn revoke_keys(&mut self, ids: &[KeyId], reason: &str) -> Result<Vec<KeyId>, ManageError> {
        let mut revoked = Vec::new();
        for mut head in self.heads_to_touch(ids).await? {
            if head.revoked.is_none() {
                revoked.push(head.id.clone());
            }
            self.revoke_head(&mut head, reason)?;
        }
        revoked.sort_unstable();
        Ok(revoked)
    }

    /// Repeats the effects for selected keys that are already revoked, because another process may have revoked them.
    async fn repeat_ends(&mut self, selection: &Selection) -> Result<(), ManageError> {
        let mut filter = KeyFilter { status: Some(Status::Revoked), ..KeyFilter::default() };
        match selection {
            // Revoking that key repeats its effect.
            Selection::Key(_) => return Ok(()),
            Selection::CreatedBy(actor) => filter.created_by = Some(actor.clone()),
            Selection::ServiceAccount(account) => filter.service_account = Some(account.clone()),
            Selection::Environment(environment) => filter.environment = Some(environment.clone()),
            Selection::Everything => {}
        }
        for key in self.transaction.ids(&filter, self.now).await? {
            self.end(&key);
        }
        Ok(())
    }

    /// Ends secrets of keys that stay valid.
    async fn end_secrets_of(&mut self, secrets: &[(KeyId, KeyDigest)]) -> Result<Vec<(KeyId, KeyDigest)>, ManageError> {
        let ids: Vec<KeyId> = secrets.chunk_by(|(a, _), (b, _)| a == b).map(|secrets| secrets[0].0.clone()).collect();
        let mut ended = Vec::new();
        for head in self.heads_to_touch(&ids).await? {
            let own = secrets.iter().filter(|(key, _)| *key == head.id);
            let digests: Vec<KeyDigest> = own.map(|(_, digest)| digest.clone()).collect();
            if head.revoked.is_some() {
                continue;
            }
            ended.extend(digests.iter().map(|digest| (head.id.clone(), digest.clone())));
            self.end_secrets_of_head(&head, digests)?;
        }
        ended.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(ended)
    }

    fn end_secrets_of_head(&mut self, head: &KeyHead, digests: Vec<KeyDigest>) -> Result<(), ManageError> {
        let count = digests.len();
        digests.iter().for_each(|digest| self.end_secret(&head.id, digest));
        self.affect_callers();
        self.change(Change::EndSecrets(head.id.clone(), head.version + 1, digests, self.now));
        let is = serde_json::Map::from_iter([("secrets_ended".to_owned(), count.into())]);
        self.audit(Action::KeySecretEnded, head.id.as_str(), None, Some(is))
    }

    /// Returns the heads of keys, if the actor may change all of them.
    async fn heads_to_touch(&mut self, ids: &[KeyId]) -> Result<Vec<KeyHead>, ManageError> {
        let heads = self.transaction.heads(ids).await?;
        let touches = |head: &KeyHead| Ok(self.standing.may_touch(&head.scopes, self.catalog())?);
        heads.iter().filter(|head| head.revoked.is_none()).try_for_each(touches).map(|()| heads)
    }
}

/// Revokes the remaining keys of an account, step by step.
pub(super) async fn revoke_rest_of(
    shared: &Arc<Shared>,
    actor: &Actor,
    account: &ServiceAccountId,
    reason: &str,
) -> Result<(), ManageError> {
    let actor = Actor { once: None, ..actor.clone() };
    let mut revocation = BulkRevocation::new(Selection::ServiceAccount(account.clone())).reason(reason);
    while let Some(next) = step(Arc::clone(shared), actor.clone(), &revocation).await?.next {
        revocation = revocation.after(next);
    }
    Ok(())
}
