//! The part of a store that keeps alerts, their receivers, and the outbox.

use apikey_core::OrganizationId;
use async_trait::async_trait;

use super::StoreError;
use crate::alerts::{
    Alert, AlertQuery, AlertSettings, Claim, Claimed, Delivery, DeliveryId, DeliveryQuery, Settled, Webhook,
};

/// Reads alerts, and delivers them. Alerts are written with the change that they tell of:
/// [`Change::Alert`](super::Change::Alert).
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Returns a page of alerts.
    async fn list(&self, query: &AlertQuery) -> Result<Vec<Alert>, StoreError>;

    /// Returns those of these references that alerts have, of any organization.
    async fn known_alerts(&self, references: &[String]) -> Result<Vec<String>, StoreError>;

    /// Returns the settings of those of these organizations that have set any.
    async fn alert_settings(
        &self,
        organizations: &[OrganizationId],
    ) -> Result<Vec<(OrganizationId, AlertSettings)>, StoreError>;

    /// Returns the webhooks of `organization`, oldest first.
    async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Webhook>, StoreError>;

    /// Returns a page of deliveries.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError>;

    /// Claims deliveries that are due and that nobody else has claimed, the longest due first. A claim that is over
    /// binds nobody.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Ends a claim with the outcome of an attempt. Returns `false`, and changes nothing, if the delivery is not claimed
    /// by `by` any more.
    async fn settle(&self, id: DeliveryId, by: &str, settled: &Settled) -> Result<bool, StoreError>;

    /// Ends all claims of `by` without an attempt.
    async fn release(&self, by: &str) -> Result<(), StoreError>;
}
