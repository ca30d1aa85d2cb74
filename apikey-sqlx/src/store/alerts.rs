//! The part of the store that keeps alerts.

use std::time::Duration;

use apikey_core::OrganizationId;
use apikey_manager::{
    Alert, AlertId, AlertQuery, AlertSettings, AlertStore, Claim, Claimed, Cursor, Delivery, DeliveryId, DeliveryQuery,
    Settled, StoreError, Webhook,
};
use async_trait::async_trait;

use super::SqlStore;
use crate::{
    alerts::{
        ALERT, DELIVERY, WEBHOOK, number, read_alert, read_alerts, read_deliveries, read_delivery, read_settings,
        read_webhook, read_webhooks, settings, webhooks,
    },
    dialect::Dialect,
    query::Value,
    row::Row,
};

/// How long a delivery that can't be read waits, so that it doesn't take the place of others: another version may have
/// written it.
const UNREADABLE_FOR: Duration = Duration::from_secs(60);

#[async_trait]
impl AlertStore for SqlStore {
    async fn list(&self, query: &AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let ask = |after: Option<Cursor>, limit| {
            let mut read = self.database.names.query(&format!("SELECT {ALERT} FROM @alert a WHERE a.organization = "));
            read.push_value(query.organization.as_str());
            match query.filter.acknowledged {
                Some(true) => read.push(" AND a.acknowledged_at IS NOT NULL"),
                Some(false) => read.push(" AND a.acknowledged_at IS NULL"),
                None => &mut read,
            };
            if let Some(event) = &query.filter.event {
                read.push(" AND a.event = ").push_value(event.as_str());
            }
            if let Some(key) = &query.filter.key {
                read.push(" AND a.key_id = ").push_value(key.as_str());
            }
            let after = after.and_then(|after| after.id.parse().ok()).map(AlertId::number);
            if let Some(after) = after.or(query.after.map(AlertId::number)) {
                read.push(" AND a.id < ").push_value(number(after));
            }
            read.push(" ORDER BY a.id DESC LIMIT ").push_value(most(limit));
            read
        };
        self.page(None, query.limit, ask, read_alerts).await
    }

    async fn known_alerts(&self, references: &[String]) -> Result<Vec<String>, StoreError> {
        let mut known = Vec::new();
        for chunk in references.chunks(1_000) {
            let chunk: Vec<Value> = chunk.iter().map(|reference| reference.as_str().into()).collect();
            let mut read = self.database.names.query("SELECT reference FROM @alert WHERE reference");
            read.push_one_of(&chunk);
            for row in self.database.fetch(read).await? {
                known.push(row.get("reference")?);
            }
        }
        Ok(known)
    }

    async fn alert_settings(
        &self,
        organizations: &[OrganizationId],
    ) -> Result<Vec<(OrganizationId, AlertSettings)>, StoreError> {
        read_settings(&self.database.fetch(settings(&self.database.names, organizations)).await?)
    }

    async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Webhook>, StoreError> {
        read_webhooks(&self.database.fetch(webhooks(&self.database.names, organization)).await?)
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let ask = |after: Option<Cursor>, limit| {
            let select = format!("SELECT {DELIVERY} FROM @delivery d WHERE d.receiver = ");
            let mut read = self.database.names.query(&select);
            read.push_value(query.webhook.as_str());
            read.push(" AND d.organization = ").push_value(query.organization.as_str());
            if let Some(state) = query.state {
                read.push(" AND d.state = ").push_value(state.as_str());
            }
            let after = after.and_then(|after| after.id.parse().ok()).map(DeliveryId::number);
            if let Some(after) = after.or(query.after.map(DeliveryId::number)) {
                read.push(" AND d.id < ").push_value(number(after));
            }
            read.push(" ORDER BY d.id DESC LIMIT ").push_value(most(limit));
            read
        };
        self.page(None, query.limit, ask, read_deliveries).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let names = &self.database.names;
        let now = claim.now.as_millis();
        let due = |select: &str| {
            let mut due = names.query(select);
            let host = if claim.for_host { "=" } else { "<>" };
            due.push(&format!("SELECT id FROM @delivery WHERE receiver {host} 'host' AND due_at <= ")).push_value(now);
            due.push(" AND (claimed_until IS NULL OR claimed_until <= ").push_value(now).push(")");
            for receiver in &claim.except {
                due.push(" AND receiver <> ").push_value(receiver.as_str());
            }
            due.push(" ORDER BY due_at, id LIMIT ").push_value(most(claim.limit));
            due
        };
        // Nearly always there is nothing, and a claim would write.
        if self.database.look_up(due("")).await?.is_empty() {
            return Ok(Vec::new());
        }
        // As an array, PostgreSQL selects once, and locks no more rows than it claims.
        let (before, after) = match names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => (" IN (", ")"),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => (" = ANY (ARRAY(", " FOR UPDATE SKIP LOCKED))"),
        };
        let mut update = due(&format!("UPDATE @delivery SET claimed_by = $C, claimed_until = $U WHERE id{before}"));
        update.push(after);
        let (by, until) = (update.values.len() + 1, update.values.len() + 2);
        update.sql = update.sql.replacen("$C", &format!("${by}"), 1).replacen("$U", &format!("${until}"), 1);
        let update = update.bind(claim.by.as_str()).bind(claim.until.as_millis());
        let read = format!(
            "SELECT {DELIVERY}, {ALERT}, {WEBHOOK} FROM @delivery d JOIN @alert a ON a.id = d.alert_id \
             LEFT JOIN @webhook w ON w.id = d.receiver WHERE d.claimed_by = $1 ORDER BY d.due_at, d.id"
        );
        let read = names.query(&read).bind(claim.by.as_str());
        let put_off = "UPDATE @delivery SET due_at = $1, claimed_by = NULL, claimed_until = NULL WHERE id = $2";
        let later = claim.now + UNREADABLE_FOR;
        let claimed = self.database.change(async |change| {
            change.execute(update).await?;
            let mut claimed = Vec::new();
            for row in change.fetch(read).await? {
                match read_claimed(&row) {
                    Ok(readable) => claimed.push(readable),
                    Err(error) => {
                        let id = row.get::<i64>("id").unwrap_or_default();
                        tracing::error!(target: "apikey", id, %error, "a delivery can't be read, and is put off");
                        change.execute(names.query(put_off).bind(later.as_millis()).bind(id)).await?;
                    }
                }
            }
            Ok(claimed)
        });
        claimed.await
    }

    async fn settle(&self, id: DeliveryId, by: &str, settled: &Settled) -> Result<bool, StoreError> {
        let set = "UPDATE @delivery SET state = $1, attempts = attempts + 1, due_at = $2, last_at = $3, \
                   last_status = $4, last_error = $5, claimed_by = NULL, claimed_until = NULL \
                   WHERE id = $6 AND claimed_by = $7";
        let set = self.database.names.query(set).bind(settled.state.as_str());
        let set = set.bind(settled.next_attempt_at.map(|at| at.as_millis())).bind(settled.at.as_millis());
        let set = set.bind(settled.answer.status.map(i64::from));
        // The text is a receiver's or a library's, and PostgreSQL stores no NUL.
        let set = set.bind(settled.answer.error.as_deref().map(|error| error.replace('\0', "\u{fffd}")).as_deref());
        let set = set.bind(number(id.number())).bind(by);
        self.database.change(async |change| Ok(change.execute(set).await? == 1)).await
    }

    async fn release(&self, by: &str) -> Result<(), StoreError> {
        let free = "UPDATE @delivery SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1";
        let free = self.database.names.query(free).bind(by);
        self.database.change(async |change| change.execute(free).await.map(drop)).await
    }
}

fn read_claimed(row: &Row) -> Result<Claimed, StoreError> {
    let webhook = match row.get::<Option<&str>>("webhook")? {
        Some(_) => Some(read_webhook(row)?),
        None => None,
    };
    Ok(Claimed { delivery: read_delivery(row)?, alert: read_alert(row)?, webhook })
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
