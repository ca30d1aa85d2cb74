//! Alerts, webhooks and the outbox in memory.

use std::collections::{BTreeMap, HashMap};

use apikey_core::{KeyId, OrganizationId, Timestamp};
use async_trait::async_trait;

use super::{
    MemoryStore,
    changes::{Undo, gone, is_next},
};
use crate::{
    alerts::{
        Alert, AlertId, AlertQuery, AlertSettings, Claim, Claimed, Delivery, DeliveryId, DeliveryQuery, DeliveryState,
        NewAlert, Receiver, Settled, Webhook, WebhookId,
    },
    events::Event,
    organization::Switched,
    record::KeyRecord,
    store::{AlertStore, StoreError},
};

#[derive(Default)]
pub(super) struct Alerts {
    log: BTreeMap<AlertId, (String, Alert)>,
    references: HashMap<String, AlertId>,
    settings: HashMap<OrganizationId, AlertSettings>,
    webhooks: Vec<Webhook>,
    outbox: BTreeMap<DeliveryId, (Delivery, Option<Held>)>,
    /// The number of the last alert or delivery.
    last: u64,
}

/// A claim on a delivery.
struct Held {
    by: String,
    until: Timestamp,
}

impl Alerts {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn add(&mut self, new: NewAlert) -> Undo {
        if self.references.contains_key(&new.reference) {
            return Box::new(|_| {});
        }
        let NewAlert { at, event, reference, acknowledged, for_host } = new;
        let id = AlertId::new(self.next());
        let (organization, name) = (event.organization().clone(), event.name());
        let hooks = self.webhooks.iter().filter(|hook| hook.organization == organization && hook.wants(name));
        let mut receivers: Vec<_> = hooks.map(|hook| Receiver::Webhook(hook.id.clone())).collect();
        if for_host {
            receivers.push(Receiver::Host);
        }
        let mut made = Vec::new();
        for receiver in receivers {
            let delivery = DeliveryId::new(self.next());
            let row = Delivery::new(delivery, organization.clone(), id, name, receiver, at);
            self.outbox.insert(delivery, (row, None));
            made.push(delivery);
        }
        self.references.insert(reference.clone(), id);
        self.log.insert(id, (reference.clone(), Alert { id, at, event, acknowledged }));
        Box::new(move |state| {
            state.alerts.log.remove(&id);
            state.alerts.references.remove(&reference);
            made.iter().for_each(|delivery| drop(state.alerts.outbox.remove(delivery)));
        })
    }

    pub(super) fn acknowledge(
        &mut self,
        organization: &OrganizationId,
        id: AlertId,
        by: Switched,
    ) -> Result<Undo, StoreError> {
        let alert = self.log.get_mut(&id).map(|(_, alert)| alert);
        let alert = alert.filter(|alert| alert.event.organization() == organization).ok_or_else(|| gone("alert"))?;
        let before = alert.acknowledged.clone();
        alert.acknowledged.get_or_insert(by);
        Ok(Box::new(move |state| state.alerts.set_acknowledged(id, before)))
    }

    fn set_acknowledged(&mut self, id: AlertId, acknowledged: Option<Switched>) {
        if let Some((_, alert)) = self.log.get_mut(&id) {
            alert.acknowledged = acknowledged;
        }
    }

    pub(super) fn close(
        &mut self,
        organization: &OrganizationId,
        keys: &[KeyId],
        events: &[&str],
        by: &Switched,
    ) -> Undo {
        let mut closed = Vec::new();
        for (id, (_, alert)) in &mut self.log {
            let is_about = keys.contains(&alert.event.key().id) && alert.event.organization() == organization;
            if alert.acknowledged.is_none() && is_about && events.contains(&alert.event.name()) {
                alert.acknowledged = Some(by.clone());
                closed.push(*id);
            }
        }
        Box::new(move |state| closed.iter().for_each(|id| state.alerts.set_acknowledged(*id, None)))
    }

    pub(super) fn set_settings(&mut self, organization: &OrganizationId, settings: AlertSettings) -> Undo {
        let before = self.settings.insert(organization.clone(), settings);
        let organization = organization.clone();
        Box::new(move |state| {
            match before {
                Some(before) => state.alerts.settings.insert(organization, before),
                None => state.alerts.settings.remove(&organization),
            };
        })
    }

    pub(super) fn settings_of(&self, organization: &OrganizationId) -> Option<AlertSettings> {
        self.settings.get(organization).cloned()
    }

    pub(super) fn alert_of(&self, organization: &OrganizationId, id: AlertId) -> Option<Alert> {
        let alert = self.log.get(&id).map(|(_, alert)| alert);
        alert.filter(|alert| alert.event.organization() == organization).cloned()
    }

    pub(super) fn delivery_of(&self, organization: &OrganizationId, id: DeliveryId) -> Option<Delivery> {
        let delivery = self.outbox.get(&id).map(|(delivery, _)| delivery);
        delivery.filter(|delivery| delivery.organization == *organization).cloned()
    }

    pub(super) fn webhooks_of(&self, organization: &OrganizationId) -> Vec<Webhook> {
        let of = self.webhooks.iter().filter(|webhook| webhook.organization == *organization);
        let mut of: Vec<_> = of.cloned().collect();
        of.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        of
    }

    pub(super) fn set_webhook(&mut self, webhook: Webhook) -> Result<Undo, StoreError> {
        let known = self.webhooks.iter_mut().find(|known| known.id == webhook.id);
        let before = known.as_ref().map(|known| (**known).clone());
        if before.as_ref().is_some_and(|before| before.organization != webhook.organization) {
            return Err(gone("webhook"));
        }
        is_next(before.as_ref().map_or(0, |before| before.version), webhook.version)?;
        let id = webhook.id.clone();
        match known {
            Some(known) => *known = webhook,
            None => self.webhooks.push(webhook),
        }
        Ok(Box::new(move |state| {
            let webhooks = &mut state.alerts.webhooks;
            if let Some(at) = webhooks.iter().position(|webhook| webhook.id == id) {
                match before {
                    Some(before) => webhooks[at] = before,
                    None => drop(webhooks.remove(at)),
                }
            }
        }))
    }

    pub(super) fn delete_webhook(&mut self, organization: &OrganizationId, id: &WebhookId) -> Result<Undo, StoreError> {
        let at = self.webhooks.iter().position(|hook| hook.id == *id && hook.organization == *organization);
        let at = at.ok_or_else(|| gone("webhook"))?;
        let webhook = self.webhooks.remove(at);
        let receiver = Receiver::Webhook(id.clone());
        let ids = self.outbox.values().map(|(delivery, _)| delivery).filter(|delivery| delivery.receiver == receiver);
        let ids: Vec<_> = ids.map(|delivery| delivery.id).collect();
        let deliveries: Vec<_> = ids.iter().filter_map(|id| self.outbox.remove_entry(id)).collect();
        Ok(Box::new(move |state| {
            state.alerts.webhooks.insert(at, webhook);
            state.alerts.outbox.extend(deliveries);
        }))
    }

    pub(super) fn retry(
        &mut self,
        organization: &OrganizationId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Undo, StoreError> {
        let delivery = self.outbox.get_mut(&id).map(|(delivery, _)| delivery);
        let is_parked = |delivery: &&mut Delivery| {
            delivery.organization == *organization && delivery.state == DeliveryState::Parked
        };
        let delivery = delivery.filter(is_parked).ok_or_else(|| gone("delivery that was given up"))?;
        delivery.state = DeliveryState::Pending;
        delivery.next_attempt_at = Some(at);
        Ok(Box::new(move |state| {
            if let Some((delivery, _)) = state.alerts.outbox.get_mut(&id) {
                delivery.state = DeliveryState::Parked;
                delivery.next_attempt_at = None;
            }
        }))
    }

    pub(super) fn remove_older(&mut self, before: Timestamp, keys: &BTreeMap<KeyId, KeyRecord>) -> u64 {
        let is_old = |alert: &Alert| {
            alert.at < before && !(Event::is_lasting(alert.event.name()) && keys.contains_key(&alert.event.key().id))
        };
        let old: Vec<_> = self.log.values().filter(|(_, alert)| is_old(alert)).map(|(_, alert)| alert.id).collect();
        for id in &old {
            if let Some((reference, _)) = self.log.remove(id) {
                self.references.remove(&reference);
            }
        }
        self.outbox.retain(|_, (delivery, _)| delivery.created_at >= before);
        old.len() as u64
    }

    fn claimed(&self, delivery: &Delivery) -> Option<Claimed> {
        let webhook = match &delivery.receiver {
            Receiver::Host => None,
            Receiver::Webhook(id) => Some(self.webhooks.iter().find(|webhook| webhook.id == *id)?.clone()),
        };
        let (_, alert) = self.log.get(&delivery.alert)?;
        Some(Claimed { delivery: delivery.clone(), alert: alert.clone(), webhook })
    }
}

#[async_trait]
impl AlertStore for MemoryStore {
    async fn list(&self, query: &AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let state = self.read();
        let alerts = state.alerts.log.iter().rev().map(|(_, (_, alert))| alert);
        let wanted = |alert: &&Alert| {
            alert.event.organization() == &query.organization
                && query.after.is_none_or(|after| alert.id < after)
                && query.filter.matches(alert)
        };
        Ok(alerts.filter(wanted).take(query.limit).cloned().collect())
    }

    async fn known_alerts(&self, references: &[String]) -> Result<Vec<String>, StoreError> {
        let state = self.read();
        let known = |reference: &&String| state.alerts.references.contains_key(*reference);
        Ok(references.iter().filter(known).cloned().collect())
    }

    async fn alert_settings(
        &self,
        organizations: &[OrganizationId],
    ) -> Result<Vec<(OrganizationId, AlertSettings)>, StoreError> {
        let state = self.read();
        let set = |of: &OrganizationId| Some((of.clone(), state.alerts.settings_of(of)?));
        Ok(organizations.iter().filter_map(set).collect())
    }

    async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Webhook>, StoreError> {
        Ok(self.read().alerts.webhooks_of(organization))
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let state = self.read();
        let receiver = Receiver::Webhook(query.webhook.clone());
        let wanted = |delivery: &&Delivery| {
            delivery.organization == query.organization
                && delivery.receiver == receiver
                && query.state.is_none_or(|state| delivery.state == state)
                && query.after.is_none_or(|after| delivery.id < after)
        };
        let deliveries = state.alerts.outbox.values().rev().map(|(delivery, _)| delivery);
        Ok(deliveries.filter(wanted).take(query.limit).cloned().collect())
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let alerts = &mut self.write().alerts;
        let is_free = |held: &Option<Held>| held.as_ref().is_none_or(|held| held.until <= claim.now);
        let mut due: Vec<_> = alerts
            .outbox
            .values()
            .filter(|(delivery, held)| {
                delivery.next_attempt_at.is_some_and(|at| at <= claim.now)
                    && is_free(held)
                    && (delivery.receiver == Receiver::Host) == claim.for_host
                    && !claim.except.contains(&delivery.receiver)
            })
            .map(|(delivery, _)| (delivery.next_attempt_at, delivery.id))
            .collect();
        due.sort_unstable();
        let mut claimed = Vec::new();
        for (_, id) in due.into_iter().take(claim.limit) {
            let Some((delivery, held)) = alerts.outbox.get_mut(&id) else { continue };
            *held = Some(Held { by: claim.by.clone(), until: claim.until });
            let delivery = delivery.clone();
            claimed.extend(alerts.claimed(&delivery));
        }
        Ok(claimed)
    }

    async fn settle(&self, id: DeliveryId, by: &str, settled: &Settled) -> Result<bool, StoreError> {
        let mut state = self.write();
        let Some((delivery, held)) = state.alerts.outbox.get_mut(&id) else { return Ok(false) };
        if held.as_ref().is_none_or(|held| held.by != by) {
            return Ok(false);
        }
        *held = None;
        delivery.state = settled.state;
        delivery.attempts += 1;
        delivery.next_attempt_at = settled.next_attempt_at;
        delivery.last_attempt_at = Some(settled.at);
        delivery.last_answer = Some(settled.answer.clone());
        Ok(true)
    }

    async fn release(&self, by: &str) -> Result<(), StoreError> {
        for (_, held) in self.write().alerts.outbox.values_mut() {
            if held.as_ref().is_some_and(|held| held.by == by) {
                *held = None;
            }
        }
        Ok(())
    }
}
