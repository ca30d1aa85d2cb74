//! A process is killed with SIGKILL again and again, between the commit of a change and the end of its delivery. Each event
//! must be in the log once, and arrive.
//!
//! The number of kills is limited in ordinary runs. `APIKEY_FIRE=full cargo test -p apikey-tests --test alerts kills` kills
//! 200 times.

use std::{collections::BTreeSet, env, time::Duration};

use serde_json::json;

use crate::{
    database::{Database, on_each_database},
    node::{Node, Settings},
    receiver::{Mood, Receiver},
};

const SETTINGS: Settings =
    Settings { sweep: Duration::from_secs(3_600), patience: Duration::from_millis(500), alone: true };

#[tokio::test(flavor = "multi_thread")]
async fn given_processes_when_they_are_killed_before_a_delivery_ends_then_each_event_arrives() {
    on_each_database(kill_between_commit_and_delivery).await;
}

async fn kill_between_commit_and_delivery(database: Database) {
    let kills = match env::var("APIKEY_FIRE").as_deref() {
        Ok("full") => 100,
        _ => 10,
    };
    let (receiver, admin) = (Receiver::start().await, database.admin().await);
    let mut committed = BTreeSet::new();
    for kill in 0..kills {
        let node = Node::start(&database, &SETTINGS);
        let api = node.api(&admin);
        if kill == 0 {
            let (_, secret) = api.webhook(&json!({"url": receiver.url("all"), "events": ["key.issued"]})).await;
            receiver.expect("all", &secret, Mood::Accept);
        }
        let (at_once, delivering) = (kill % 3 == 0, kill % 3 == 1);
        receiver.turn("all", if delivering { Mood::Hold } else { Mood::Accept });
        let id = api.issue(&json!({"name": format!("key {kill}"), "scopes": []})).await;
        if delivering {
            receiver.until("all", |hook| hook.held.iter().any(|message| message.key() == id)).await;
        } else if !at_once {
            // It has arrived, and the outbox may not know it.
            receiver.until("all", |hook| hook.keys().contains(id.as_str())).await;
        }
        node.kill();
        committed.insert(id);
    }
    receiver.turn("all", Mood::Accept);
    let last = Node::start(&database, &SETTINGS);
    receiver.until("all", |hook| hook.keys().iter().copied().eq(committed.iter().map(String::as_str))).await;

    let listed = last.api(&admin).list("alerts?event=key.issued").await;
    let of = |key: &str| listed.iter().filter(|alert| alert["key"]["id"] == key).collect::<Vec<_>>();
    for key in &committed {
        let alerts = of(key);
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let id = alerts[0]["id"].as_str().unwrap();
        // A repetition is recognized by its id.
        receiver.look("all", |hook| {
            let mut same = hook.accepted.iter().chain(&hook.held).filter(|message| message.key() == key);
            assert!(same.all(|message| message.id == id), "{hook:?}");
        });
    }
    let (held, accepted) = receiver.look("all", |hook| (hook.held.len(), hook.accepted.len()));
    println!("{kills} kills, {} events, {held} attempts cut off, {accepted} accepted", committed.len());
}
