//! Changes of keys, each at any process, until their receipts are there.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    fleet::Fleet,
    link::{Answer, Link, post},
    oracle::{Key, Known},
};

/// So many keys are live, about.
const LIVE: usize = 10;
const BETWEEN_CHANGES: Duration = Duration::from_millis(40);

pub(crate) async fn change_for_ever(fleet: Arc<Fleet>) {
    let mut link = Link::default();
    while !*fleet.stopped.borrow() {
        change(&fleet, &mut link).await;
        sleep(BETWEEN_CHANGES).await;
    }
}

async fn change(fleet: &Arc<Fleet>, link: &mut Link) {
    let mut keys = fleet.oracle.keys();
    keys.retain(|key| !key.is_spent.load(Relaxed));
    let with = |known| keys.iter().filter(|key| key.state().known == known).collect::<Vec<_>>();
    let (live, disabled) = (with(Known::Live), with(Known::Ended));
    let some = |keys: &[&Arc<Key>]| Arc::clone(keys[fleet.random.below(keys.len())]);
    if !disabled.is_empty() && fleet.random.below(3) == 0 {
        let key = some(&disabled);
        let path = format!("api-keys/{}/enable", key.id);
        switch(fleet, link, &key, &path, "", (Known::Ended, Known::Live)).await;
    } else if live.len() < LIVE {
        issue(fleet, link).await;
    } else {
        let key = some(&live);
        match fleet.random.below(4) {
            0 => rotate(fleet, link, &key).await,
            1 => {
                let path = format!("api-keys/{}/disable", key.id);
                switch(fleet, link, &key, &path, "", (Known::Live, Known::Ended)).await;
            }
            _ => {
                key.is_spent.store(true, Relaxed);
                if key.begin(Known::Live) {
                    revoke(fleet, link, &key).await;
                }
            }
        }
    }
}

/// Sends a change to some process. Returns `None` if it is not known to hold everywhere. New keys have no receipt: nobody can
/// know anything else of them.
async fn send(fleet: &Arc<Fleet>, link: &mut Link, path: &str, body: &str) -> Option<Answer> {
    let began = Instant::now();
    let place = fleet.somewhere();
    let answer = link.ask(place.address(), &post(path, &fleet.admin, body)).await?;
    if !(200..300).contains(&answer.status) && ![401, 404, 409, 503, 504].contains(&answer.status) {
        fleet.oracle.report(&format!("{path} is answered {}: {}", answer.status, answer.body));
    }
    if let Some(receipt) = &answer.receipt {
        let (name, took) = (&place.name, began.elapsed());
        fleet.oracle.tell(&format!("{path} at {name} took {} ms: {} {receipt}", took.as_millis(), answer.status));
        fleet.oracle.receipt(took);
        fleet.oracle.counts.waited_out.fetch_add(u64::from(receipt.contains("waited-out")), Relaxed);
    }
    let is_told = answer.status == 201 || (answer.status == 200 && answer.receipt.is_some());
    is_told.then_some(answer)
}

async fn issue(fleet: &Arc<Fleet>, link: &mut Link) {
    if let Some(answer) = send(fleet, link, "api-keys", &json!({"name": "key", "scopes": []}).to_string()).await {
        fleet.oracle.add(of(&answer));
    }
}

pub(crate) fn of(answer: &Answer) -> Arc<Key> {
    let made: Value = serde_json::from_str(&answer.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Key::new(text(&made["key"]["id"]), text(&made["secret"]))
}

/// Disables or enables a key. If no receipt comes, the request may be carried out at any later time, so that only a revocation
/// makes the key's state known again.
async fn switch(
    fleet: &Arc<Fleet>,
    link: &mut Link,
    key: &Arc<Key>,
    path: &str,
    body: &str,
    (from, to): (Known, Known),
) {
    if !key.begin(from) {
        return;
    }
    match send(fleet, link, path, body).await {
        Some(answer) => fleet.settle(key, to, answer.receipt_text()),
        None => {
            key.is_spent.store(true, Relaxed);
            revoke(fleet, link, key).await;
        }
    }
}

/// Replaces the secret at once.
async fn rotate(fleet: &Arc<Fleet>, link: &mut Link, key: &Arc<Key>) {
    key.is_spent.store(true, Relaxed);
    if !key.begin(Known::Live) {
        return;
    }
    let path = format!("api-keys/{}/rotate", key.id);
    match send(fleet, link, &path, &json!({"overlap_seconds": 0}).to_string()).await {
        Some(answer) => {
            fleet.settle(key, Known::Ended, answer.receipt_text());
            fleet.oracle.add(of(&answer));
        }
        None => revoke(fleet, link, key).await,
    }
}

/// Revokes a key whose change has begun, at one process after another until there is a receipt.
pub(crate) async fn revoke(fleet: &Arc<Fleet>, link: &mut Link, key: &Arc<Key>) {
    let path = format!("api-keys/{}/revoke", key.id);
    while !*fleet.stopped.borrow() {
        if let Some(answer) = send(fleet, link, &path, &json!({"reason": "leaked"}).to_string()).await {
            return fleet.settle(key, Known::Ended, answer.receipt_text());
        }
        sleep(BETWEEN_CHANGES).await;
    }
}
