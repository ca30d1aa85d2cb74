//! Lists and acknowledges alerts, and changes their thresholds.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    KeyManager, PageRequest, Shared,
    operation::{Operation, difference},
    read::page,
};
use crate::{
    actor::Actor,
    alerts::{Alert, AlertFilter, AlertId, AlertQuery, AlertSettings},
    audit::Action,
    error::{ManageError, Missing},
    organization::Switched,
    query::Page,
    rights::Level,
    store::Change,
    validate::Fields,
};

impl KeyManager {
    /// Returns a page of the organization's alerts, newest first. Requires `keys:read`.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy), [`Invalid`](ManageError::Invalid) (`limit`,
    /// `cursor`).
    pub async fn alerts(
        &self,
        actor: &Actor,
        filter: AlertFilter,
        request: PageRequest,
    ) -> Result<Page<Alert>, ManageError> {
        self.may_read(actor)?;
        let mut fields = Fields::default();
        fields.wanted("event", filter.event.as_deref());
        let (after, limit) = request.parts(fields)?;
        let after = numbered(after.map(|after| after.id))?;
        let organization = actor.organization.clone();
        self.read(actor, async move |shared| {
            let query = AlertQuery { organization, filter, after, limit: limit + 1 };
            Ok(page(shared.store.alerts().list(&query).await?, limit, Alert::place))
        })
        .await
    }

    /// Acknowledges an alert: it is open no more. An acknowledged alert doesn't change. Requires `keys:write`.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn acknowledge_alert(&self, actor: &Actor, id: AlertId) -> Result<Alert, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            let mut operation = Operation::begin(shared, actor, Level::Write).await?;
            let found = operation.transaction.alert(id).await?;
            let mut alert = found.ok_or(ManageError::NotFound(Missing::Alert))?;
            if alert.acknowledged.is_none() {
                let by = Switched { at: operation.now, by: operation.actor.id.clone() };
                operation.change(Change::AcknowledgeAlert(id, by.clone()));
                operation.commit().await?;
                alert.acknowledged = Some(by);
            }
            Ok(alert)
        })
        .await
    }

    /// Returns the organization's thresholds, or the host's if it has set none. Requires `keys:read`.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy).
    pub async fn alert_settings(&self, actor: &Actor) -> Result<AlertSettings, ManageError> {
        self.may_read(actor)?;
        let organization = actor.organization.clone();
        self.read(actor, async move |shared| {
            let set = shared.store.alerts().alert_settings(std::slice::from_ref(&organization)).await?.pop();
            Ok(set.map_or_else(|| AlertSettings::from(&shared.thresholds), |(_, settings)| settings))
        })
        .await
    }

    /// Changes the organization's thresholds by `change`. Requires `keys:admin`. The next sweep follows them.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Invalid`](ManageError::Invalid).
    pub async fn update_alert_settings(
        &self,
        actor: &Actor,
        change: impl FnOnce(&mut AlertSettings) + Send + 'static,
    ) -> Result<AlertSettings, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            let host = AlertSettings::from(&shared.thresholds);
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = operation.transaction.alert_settings().await?.unwrap_or(host);
            let mut settings = before.clone();
            change(&mut settings);
            let mut fields = Fields::default();
            settings.check(&before, &mut fields);
            fields.finish().map_err(ManageError::Invalid)?;
            settings.normalize();
            if settings != before {
                let (was, is) = difference(describe(&before), describe(&settings));
                operation.change(Change::SetAlertSettings(settings.clone()));
                let organization = operation.actor.organization.clone();
                operation.audit(Action::AlertSettingsUpdated, organization.as_str(), Some(was), Some(is))?;
                operation.commit().await?;
            }
            Ok(settings)
        })
        .await
    }
}

/// Parses the id in a cursor.
pub(super) fn numbered<T: std::str::FromStr>(id: Option<String>) -> Result<Option<T>, ManageError> {
    let malformed = |_| ManageError::field("cursor", "malformed", "not a cursor from a page");
    id.map(|id| id.parse().map_err(malformed)).transpose()
}

fn describe(settings: &AlertSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    }
}
