//! The part that keeps alerts, with one rule removed.

use apikey_manager::{
    Alert, AlertQuery, AlertSettings, AlertStore, Claim, Claimed, Delivery, DeliveryId, DeliveryQuery, KeyStore,
    OrganizationId, Settled, StoreError, Webhook,
};
use async_trait::async_trait;

use crate::{
    broken::{ALL, Broken},
    fault::Fault,
};

#[async_trait]
impl AlertStore for Broken {
    async fn list(&self, query: &AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let mut query = query.clone();
        let wanted = query.limit;
        match self.fault {
            Fault::AlertFilterIgnored => query.filter = Default::default(),
            Fault::AlertPageIgnored => query.after = None,
            Fault::AlertsOldestFirst => query.limit = ALL,
            _ => {}
        }
        let mut alerts = self.inner.alerts().list(&query).await?;
        if self.is(Fault::AlertsOldestFirst) {
            alerts.reverse();
            alerts.truncate(wanted);
        }
        Ok(alerts)
    }

    async fn known_alerts(&self, references: &[String]) -> Result<Vec<String>, StoreError> {
        match self.fault {
            Fault::KnowsNoAlerts => Ok(Vec::new()),
            _ => self.inner.alerts().known_alerts(references).await,
        }
    }

    async fn alert_settings(
        &self,
        organizations: &[OrganizationId],
    ) -> Result<Vec<(OrganizationId, AlertSettings)>, StoreError> {
        let mut settings = self.inner.alerts().alert_settings(organizations).await?;
        if self.is(Fault::ThresholdsOfOne) {
            settings.truncate(1);
        }
        Ok(settings)
    }

    async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Webhook>, StoreError> {
        let mut webhooks = self.inner.alerts().webhooks(organization).await?;
        if self.is(Fault::WebhooksForgetPreviousSecret) {
            webhooks.iter_mut().for_each(|webhook| webhook.previous_secret = None);
        }
        Ok(webhooks)
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let mut query = query.clone();
        if self.is(Fault::DeliveriesInAnyState) {
            query.state = None;
        }
        self.inner.alerts().deliveries(&query).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut claim = claim.clone();
        match self.fault {
            Fault::ClaimsWhatIsClaimed => {
                // As if every claim were over.
                let later = Claim { now: claim.until + std::time::Duration::from_secs(3_600), ..claim.clone() };
                let claimed = self.inner.alerts().claim(&later).await?;
                let is_due = |claimed: &Claimed| claimed.delivery.next_attempt_at.is_some_and(|at| at <= claim.now);
                return Ok(claimed.into_iter().filter(is_due).collect());
            }
            Fault::ClaimsForEver => claim.until = apikey_core::Timestamp::MAX,
            Fault::ClaimsTooEarly => claim.now += std::time::Duration::from_secs(60),
            Fault::ClaimsTheExcepted => claim.except.clear(),
            _ => {}
        }
        self.inner.alerts().claim(&claim).await
    }

    async fn settle(&self, id: DeliveryId, by: &str, settled: &Settled) -> Result<bool, StoreError> {
        let is_settled = self.inner.alerts().settle(id, by, settled).await?;
        Ok(is_settled || self.is(Fault::SettlesForAnybody))
    }

    async fn release(&self, by: &str) -> Result<(), StoreError> {
        match self.fault {
            Fault::ReleasesNothing => Ok(()),
            _ => self.inner.alerts().release(by).await,
        }
    }
}
