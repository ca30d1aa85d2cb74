//! Reads keys, accounts and the audit trail. Each of these operations, except to identify a leaked key, requires
//! `keys:read` and a permit of the [readers](super::readers).

use std::{ops::Range, sync::Arc};

use apikey_core::{KeyId, PlaintextKey, ServiceAccountId, Timestamp};

use super::{KeyManager, Shared};
use crate::{
    account::ServiceAccount,
    actor::Actor,
    audit::AuditEvent,
    error::{Forbidden, ManageError, Missing},
    fleet::FleetStatus,
    query::{
        AccountQuery, Activity, ActivityQuery, AuditFilter, AuditQuery, Cursor, DEFAULT_PAGE, KeyFilter, KeyQuery,
        KeySort, MAX_PAGE, Page,
    },
    record::KeyRecord,
    rights::{Level, Standing},
    store::{Found, FoundKey},
    validate::Fields,
};

/// The number of keys that a search examines for one page.
const SEARCHED: usize = 2_500;

/// The place and size of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PageRequest {
    after: Option<Cursor>,
    limit: Option<usize>,
}

impl PageRequest {
    /// Creates a request for the first page, of 50.
    pub fn first() -> Self {
        PageRequest::default()
    }

    /// Sets the place: after the last item of another page.
    pub fn after(cursor: Cursor) -> Self {
        PageRequest { after: Some(cursor), limit: None }
    }

    /// Sets the size: 1 to 200.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Validates the page together with the request's other fields.
    pub(super) fn parts(self, mut fields: Fields) -> Result<(Option<Cursor>, usize), ManageError> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            fields.push("limit", "out_of_range", "a page has 1 to 200 items");
        }
        fields.cursor(self.after.as_ref());
        fields.finish().map_err(ManageError::Invalid)?;
        Ok((self.after, limit))
    }
}

pub(super) fn page<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(cursor);
    Page { items, next }
}

impl KeyManager {
    /// Returns a key of the actor's organization.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Busy`](ManageError::Busy).
    pub async fn get(&self, actor: &Actor, id: &KeyId) -> Result<KeyRecord, ManageError> {
        self.may_read(actor)?;
        let (organization, id) = (actor.organization.clone(), id.clone());
        self.read(actor, async move |shared| {
            shared.store.key(&organization, &id).await?.ok_or(ManageError::NotFound(Missing::Key))
        })
        .await
    }

    /// Returns the key that has this secret, of whatever organization, so that a report of a leaked key can end it.
    /// Returns `None` if the text is no key's secret, the secret has ended, or the key is revoked. A disabled or
    /// expired key is found, since it may be accepted again.
    ///
    /// ```
    /// # use apikey_manager::{Actor, KeyManager};
    /// # async fn reported(keys: &KeyManager, secret: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(key) = keys.identify(secret).await? {
    ///     let finder = Actor::host("leak-report", key.organization)?;
    ///     keys.revoke(&finder, &key.id, "reported as leaked").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// The text is the only right that is checked. Answer reports alike whether or not there is such a key. A text with a
    /// valid checksum is looked up in the store each time, so limit how many reports run at once.
    ///
    /// # Errors
    ///
    /// [`Store`](ManageError::Store).
    pub async fn identify(&self, secret: &str) -> Result<Option<FoundKey>, ManageError> {
        let Ok(secret) = secret.parse::<PlaintextKey>() else { return Ok(None) };
        let is_key = |text: &str| self.0.formats.iter().any(|format| format.check(text.as_bytes()).is_ok());
        if !is_key(secret.expose_secret()) {
            return Ok(None);
        }
        let digests = self.0.hasher.digests(&secret);
        self.run(async move |shared: Arc<Shared>| {
            let mut found = None;
            for one in shared.store.find(&digests).await?.found {
                match one {
                    Found::Key(key) => found = Some(*key),
                    Found::Corrupt { error, .. } => return Err(error.into()),
                }
            }
            let has_ended = |key: &FoundKey| {
                let ends = key.secret_ends_at.is_some_and(|end| end <= shared.now());
                key.is_revoked || key.is_secret_ended || ends
            };
            Ok(found.filter(|key| !has_ended(key)))
        })
        .await
    }

    /// Returns a page of keys, newest first.
    ///
    /// A search by text, use, expiry or age of secrets, or for rotating keys, examines 2,500 keys for a page, so that
    /// none takes long. Its pages may have fewer keys than requested, or none, and still have a next one.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy), [`Invalid`](ManageError::Invalid) (`limit`,
    /// `cursor`; `text` and `environment` with more than 100 characters or a control character).
    pub async fn list(
        &self,
        actor: &Actor,
        filter: KeyFilter,
        request: PageRequest,
    ) -> Result<Page<KeyRecord>, ManageError> {
        self.list_sorted(actor, filter, KeySort::Created, request).await
    }

    /// Returns a page of keys in another order. A cursor is valid for its own order.
    ///
    /// A list by last use reads the last use of every matching key for each page. Unlike a list of the newest keys, it
    /// is not searched in parts.
    ///
    /// # Errors
    ///
    /// As [`list`](KeyManager::list).
    pub async fn list_sorted(
        &self,
        actor: &Actor,
        mut filter: KeyFilter,
        sort: KeySort,
        request: PageRequest,
    ) -> Result<Page<KeyRecord>, ManageError> {
        self.may_read(actor)?;
        let mut fields = Fields::default();
        fields.wanted("environment", filter.environment.as_deref());
        fields.wanted("text", filter.text.as_deref());
        fields.cursor(filter.down_to.as_ref());
        let (after, limit) = request.parts(fields)?;
        let organization = actor.organization.clone();
        self.read(actor, async move |shared| {
            let mut searched_to = None;
            if sort == KeySort::Created && filter.is_search() {
                searched_to = shared.store.place(&organization, after.as_ref(), SEARCHED).await?;
                filter.down_to = searched_to.clone().or(filter.down_to);
            }
            let query = KeyQuery { organization, filter, sort, now: shared.now(), after, limit: limit + 1 };
            let keys = shared.store.keys(&query).await?;
            let mut page = page(keys, limit, |key| sort.place(key));
            page.next = page.next.or(searched_to);
            Ok(page)
        })
        .await
    }

    /// Returns a service account of the actor's organization.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Busy`](ManageError::Busy).
    pub async fn account(&self, actor: &Actor, id: &ServiceAccountId) -> Result<ServiceAccount, ManageError> {
        self.may_read(actor)?;
        let (organization, id) = (actor.organization.clone(), id.clone());
        self.read(actor, async move |shared| {
            let account = shared.store.account(&organization, &id).await?;
            account.ok_or(ManageError::NotFound(Missing::ServiceAccount))
        })
        .await
    }

    /// A page of service accounts, newest first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy), [`Invalid`](ManageError::Invalid) (`limit`,
    /// `cursor`).
    pub async fn accounts(&self, actor: &Actor, request: PageRequest) -> Result<Page<ServiceAccount>, ManageError> {
        self.may_read(actor)?;
        let (after, limit) = request.parts(Fields::default())?;
        let query = AccountQuery { organization: actor.organization.clone(), after, limit: limit + 1 };
        self.read(actor, async move |shared| {
            let accounts = shared.store.accounts(&query).await?;
            Ok(page(accounts, limit, |account| Cursor { at: account.created_at, id: account.id.to_string() }))
        })
        .await
    }

    /// Returns a page of the audit trail, newest first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy), [`Invalid`](ManageError::Invalid) (`limit`,
    /// `cursor`; `target` with more than 128 characters or a control character).
    pub async fn audit(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        request: PageRequest,
    ) -> Result<Page<AuditEvent>, ManageError> {
        self.may_read(actor)?;
        let mut fields = Fields::default();
        fields.wanted_id("target", filter.target.as_deref());
        let (after, limit) = request.parts(fields)?;
        let query = AuditQuery { organization: actor.organization.clone(), filter, after, limit: limit + 1 };
        self.read(actor, async move |shared| {
            let events = shared.store.audit(&query).await?;
            Ok(page(events, limit, |event| Cursor { at: event.at, id: event.id.clone() }))
        })
        .await
    }

    /// Returns a page of a key's activity, newest first. It is empty if [activity](crate::KeyManagerBuilder::activity)
    /// is not recorded. This process's pending activity is written first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Invalid`](ManageError::Invalid)
    /// (`limit`, `cursor`), [`Busy`](ManageError::Busy).
    pub async fn activity(
        &self,
        actor: &Actor,
        id: &KeyId,
        span: Range<Timestamp>,
        request: PageRequest,
    ) -> Result<Page<Activity>, ManageError> {
        self.may_read(actor)?;
        let (after, limit) = request.parts(Fields::default())?;
        self.flush_activity().await;
        let query = ActivityQuery {
            organization: actor.organization.clone(),
            key: id.clone(),
            from: span.start,
            to: span.end,
            after,
            limit: limit + 1,
        };
        self.read(actor, async move |shared| {
            let activity = shared.store.activity(&query).await?;
            // A deleted key keeps its activity; an unknown key is not found.
            if activity.is_empty() && shared.store.key(&query.organization, &query.key).await?.is_none() {
                return Err(ManageError::NotFound(Missing::Key));
            }
            let page = page(activity, limit, |(id, activity)| Cursor { at: activity.at, id: id.clone() });
            Ok(Page { items: page.items.into_iter().map(|(_, activity)| activity).collect(), next: page.next })
        })
        .await
    }

    /// Returns the processes on the database, and the changes of this process that wait for them.
    ///
    /// # Security
    ///
    /// The processes serve all organizations, so this is for whoever operates the service. The actor's organization
    /// doesn't matter here: check it first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy).
    pub async fn fleet_status(&self, actor: &Actor) -> Result<FleetStatus, ManageError> {
        self.may_read(actor)?;
        self.read(actor, async move |shared| Ok(shared.membership.status().await?)).await
    }

    /// Returns the rights with which a key was authenticated. Changes of rights reach the cache before they return.
    pub(super) fn may_read(&self, actor: &Actor) -> Result<(), ManageError> {
        if actor.rights.expires_at.is_some_and(|expires_at| expires_at <= self.0.now()) {
            return Err(Forbidden::NotLive.into());
        }
        Ok(Standing::of(&actor.rights, &self.0.catalog).needs(Level::Read)?)
    }
}
