//! What a key did in a span of time, from where, and what it changed: the question after a leak.

use std::collections::BTreeMap;

use apikey_console::views;
use apikey_core::{ActorId, KeyId, Timestamp};
use apikey_manager::{Activity, AuditEvent, AuditFilter, Cursor, KeyRecord, ManageError, Page, PageRequest};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{context::Context, failure::Failure, moment::Moment, show};

/// The largest page.
const PAGE: usize = 200;

#[derive(Clone, Debug, Args)]
pub(crate) struct Trace {
    /// The key's id; a deleted key keeps its records
    id: KeyId,
    /// Only since: a time, or a span ago [default: as far back as requests are recorded]
    #[arg(long, value_name = "WHEN")]
    from: Option<Moment>,
    /// Only before: a time, or a span ago [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<Moment>,
}

/// The requests from one address by one program.
#[derive(Debug, Serialize)]
struct Source {
    address: Option<String>,
    user_agent: Option<String>,
    requests: u64,
    /// How many of them changed something.
    changes: u64,
    first: Timestamp,
    last: Timestamp,
}

/// The requests of one method and route that were answered alike, and changed nothing.
#[derive(Debug, Serialize)]
struct Other {
    method: String,
    route: Option<String>,
    status: u16,
    requests: u64,
}

/// What is found, from the newest request to the oldest.
#[derive(Debug, Default)]
struct Found {
    sources: BTreeMap<(Option<String>, Option<String>), Source>,
    changes: Vec<Activity>,
    others: BTreeMap<(Option<String>, String, u16), Other>,
    /// What the key changed of keys and service accounts.
    managed: Vec<AuditEvent>,
}

impl Trace {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let now = context.keys.now();
        let from = self.from.map_or(Timestamp::UNIX_EPOCH, |moment| moment.before(now));
        let to = self.to.map_or(now, |moment| moment.before(now));
        let key = match context.keys.get(&context.actor, &self.id).await {
            Ok(key) => Some(key),
            Err(ManageError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let mut found = Found::default();
        let mut next = None;
        loop {
            let page = context.keys.activity(&context.actor, &self.id, from..to, request(next)).await?;
            page.items.into_iter().for_each(|request| found.add(request));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let mut filter = AuditFilter::default();
        filter.actor = Some(ActorId::of_key(&self.id));
        (filter.from, filter.to) = (Some(from), Some(to));
        loop {
            let page = context.keys.audit(&context.actor, filter.clone(), request(next)).await?;
            found.managed.extend(page.items);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let text = found.text(&self.id, key.as_ref(), from, now);
        context.print(found.json(key, from, to, now), || text)
    }
}

impl Found {
    fn add(&mut self, request: Activity) {
        let is_change = is_change(&request);
        let place = (request.address.clone(), request.user_agent.clone());
        let source = self.sources.entry(place).or_insert_with_key(|(address, user_agent)| Source {
            address: address.clone(),
            user_agent: user_agent.clone(),
            requests: 0,
            changes: 0,
            first: request.at,
            last: request.at,
        });
        source.requests += 1;
        source.changes += u64::from(is_change);
        (source.first, source.last) = (source.first.min(request.at), source.last.max(request.at));
        if is_change {
            self.changes.push(request);
            return;
        }
        let Activity { method, route, status, .. } = request;
        let other = self.others.entry((route.clone(), method.clone(), status));
        other.or_insert(Other { method, route, status, requests: 0 }).requests += 1;
    }

    fn json(self, key: Option<KeyRecord>, from: Timestamp, to: Timestamp, now: Timestamp) -> impl Serialize {
        let last_page = |items| views::activity(Page { items, next: None });
        json!({
            "key": key.map(|key| json!(views::key(key, now))),
            "from": from,
            "to": to,
            "sources": self.sources.into_values().collect::<Vec<_>>(),
            "changes": json!(last_page(self.changes))["items"],
            "others": self.others.into_values().collect::<Vec<_>>(),
            "audit_events": json!(views::audit_events(Page { items: self.managed, next: None }))["items"],
        })
    }

    fn text(&self, id: &KeyId, key: Option<&KeyRecord>, from: Timestamp, now: Timestamp) -> String {
        let mut parts = vec![self.summary(id, key, from, now)];
        let mut part = |heading: &str, table: String| {
            if !table.is_empty() {
                parts.push(format!("{heading}\n{table}"));
            }
        };
        let sources = self.sources.values().map(|source| {
            [
                show::optional(source.address.as_ref()),
                show::optional(source.user_agent.as_ref()),
                source.requests.to_string(),
                source.changes.to_string(),
                source.first.to_string(),
                source.last.to_string(),
            ]
        });
        let head = ["ADDRESS", "USER AGENT", "REQUESTS", "CHANGES", "FIRST", "LAST"];
        part("From where:", show::table(head, sources.collect(), ""));
        let changes = self.changes.iter().map(|request| {
            [
                request.at.to_string(),
                request.method.clone(),
                show::optional(request.route.as_ref()),
                request.status.to_string(),
                show::optional(request.address.as_ref()),
            ]
        });
        let head = ["TIME", "METHOD", "ROUTE", "STATUS", "ADDRESS"];
        part("What it changed:", show::table(head, changes.collect(), ""));
        let managed =
            self.managed.iter().map(|event| [event.at.to_string(), event.action.to_string(), event.target.clone()]);
        part("Which keys and accounts it changed:", show::table(["TIME", "ACTION", "TARGET"], managed.collect(), ""));
        let others = self.others.values().map(|other| {
            let Other { method, route, status, requests } = other;
            [method.clone(), show::optional(route.as_ref()), status.to_string(), requests.to_string()]
        });
        part("What else it asked for:", show::table(["METHOD", "ROUTE", "STATUS", "REQUESTS"], others.collect(), ""));
        parts.join("\n\n")
    }

    fn summary(&self, id: &KeyId, key: Option<&KeyRecord>, from: Timestamp, now: Timestamp) -> String {
        let name = match key {
            Some(key) => format!("{:?}, {id} ({})", key.name, key.status(now)),
            None => format!("{id} (deleted)"),
        };
        let requests: u64 = self.sources.values().map(|source| source.requests).sum();
        let text = format!("{name}\nrequests: {requests}, changes: {}", self.changes.len());
        // Nothing recorded and nothing done are different answers.
        match key.and_then(|key| key.last_used_at) {
            Some(last) if requests == 0 && last >= from => {
                format!("{text}\nIt was last used at {last}: this service records no requests, or did not then.")
            }
            _ => text,
        }
    }
}

/// Returns `true` if a request with an unsafe method (RFC 9110 §9.2.1) wasn't refused. An abandoned one (499) or an error of the
/// service may have changed something, too.
fn is_change(request: &Activity) -> bool {
    let is_safe = matches!(&*request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
    !is_safe && !(400..499).contains(&request.status)
}

fn request(next: Option<Cursor>) -> PageRequest {
    next.map_or_else(PageRequest::first, PageRequest::after).limit(PAGE)
}
