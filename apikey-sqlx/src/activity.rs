//! Activity: written in batches, and read in pages.

use apikey_manager::{Activity, ActivityQuery, Cursor, StoreError};

use crate::{
    database::Database,
    query::{CHUNK, Names, Query},
    row::{Batch, Row, corrupt},
};

pub(crate) async fn add_activity(database: &Database, activity: &[Activity]) -> Result<(), StoreError> {
    if activity.is_empty() {
        return Ok(());
    }
    let added = database.change(async |change| {
        for chunk in activity.chunks(CHUNK) {
            let rows = chunk.iter().map(|request| {
                vec![
                    request.organization.as_str().into(),
                    request.key.as_str().into(),
                    request.at.as_millis().into(),
                    without_nul(&request.method).into(),
                    request.route.as_deref().map(without_nul).as_deref().into(),
                    i64::from(request.status).into(),
                    request.address.as_deref().map(without_nul).as_deref().into(),
                    request.user_agent.as_deref().map(without_nul).as_deref().into(),
                ]
            });
            let mut query = database
                .names
                .query("INSERT INTO @activity (organization, key_id, at, method, route, status, address, user_agent) ");
            query.push_rows(rows, CHUNK);
            change.execute(query).await?;
        }
        Ok(())
    });
    added.await
}

/// Replaces NUL characters. PostgreSQL can't store them, and text from callers must not make its batch fail.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn activity<'n>(names: &'n Names, asked: &ActivityQuery, after: Option<&Cursor>, most: usize) -> Query<'n> {
    let mut query = names.query(
        "SELECT id, organization, key_id, at, method, route, status, address, user_agent FROM @activity \
         WHERE key_id = ",
    );
    query.push_value(asked.key.as_str());
    query.push(" AND organization = ").push_value(asked.organization.as_str());
    query.push(" AND at >= ").push_value(asked.from.as_millis());
    query.push(" AND at < ").push_value(asked.to.as_millis());
    if let Some(after) = after {
        query.push(" AND (at, id) < (").push_value(after.at.as_millis());
        query.push(", ").push_value(after.id.parse::<i64>().unwrap_or(0)).push(")");
    }
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    query.push(" ORDER BY at DESC, id DESC LIMIT ").push_value(limit);
    query
}

pub(crate) fn read_activity(rows: &[Row]) -> Result<Batch<(String, Activity)>, StoreError> {
    // As text, the ids sort as the numbers do.
    let name = |id: i64| format!("{id:020}");
    let place = |row: &Row| Ok(Cursor { at: row.get("at")?, id: name(row.get("id")?) });
    let read = |row: &Row| {
        let (organization, key, at) = (row.get("organization")?, row.get("key_id")?, row.get("at")?);
        let method: String = row.get("method")?;
        let status = u16::try_from(row.get::<i64>("status")?).map_err(|_| corrupt("a status"))?;
        let mut request = Activity::new(organization, key, at, method, status);
        request.route = row.get("route")?;
        request.address = row.get("address")?;
        request.user_agent = row.get("user_agent")?;
        Ok((name(row.get("id")?), request))
    };
    Batch::single(rows, place, read)
}
