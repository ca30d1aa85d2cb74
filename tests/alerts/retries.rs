//! A receiver that fails gets its messages again, and one that is dead holds up no other.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use crate::{
    PATIENCE,
    database::{Database, on_each_database},
    node::{Node, Settings},
    receiver::{Hook, Message, Mood, Receiver},
};

#[tokio::test(flavor = "multi_thread")]
async fn given_receivers_that_fail_or_are_dead_when_others_are_well_then_they_get_theirs_and_it_is_tried_again() {
    on_each_database(try_again).await;
}

async fn try_again(database: Database) {
    let (receiver, admin) = (Receiver::start().await, database.admin().await);
    // No attempt at the dead one ends while the test runs.
    let settings = Settings { sweep: Duration::from_secs(3_600), patience: PATIENCE * 2, alone: true };
    let node = Node::start(&database, &settings);
    let api = node.api(&admin);
    let mut ids = Vec::new();
    // The dead one is the first whose deliveries are claimed.
    for (name, mood) in [("dead", Mood::Hold), ("failing", Mood::Fail), ("well", Mood::Accept)] {
        let (id, secret) = api.webhook(&json!({"url": receiver.url(name), "events": ["key.issued"]})).await;
        receiver.expect(name, &secret, mood);
        ids.push(id);
    }
    let mut issued = BTreeSet::new();
    for n in 0..20 {
        issued.insert(api.issue(&json!({"name": format!("key {n}"), "scopes": []})).await);
    }
    let has_all = |hook: &Hook| hook.keys().iter().copied().eq(issued.iter().map(String::as_str));

    receiver.until("well", has_all).await;
    let dead = api.list(&format!("webhooks/{}/deliveries", ids[0])).await;
    assert_eq!(dead.len(), issued.len());
    for delivery in dead {
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("pending"), &json!(0)), "{delivery}");
    }
    assert!(receiver.look("dead", |hook| !hook.held.is_empty() && hook.accepted.is_empty()));

    receiver.until("failing", |hook| !hook.failed.is_empty()).await;
    receiver.turn("failing", Mood::Accept);
    receiver.until("failing", has_all).await;
    let (failed, accepted) = receiver.look("failing", |hook| (of(&hook.failed), of(&hook.accepted)));
    assert!(failed.is_subset(&accepted), "the ids of the repetitions are the same");
    // A delivery is settled after its answer.
    let mut delivered = Vec::new();
    while delivered.len() < issued.len() {
        delivered = api.list(&format!("webhooks/{}/deliveries?state=delivered", ids[1])).await;
    }
    for delivery in delivered {
        let attempts = 1 + u64::from(failed.contains(delivery["alert_id"].as_str().unwrap()));
        assert!(delivery["attempts"].as_u64().unwrap() >= attempts, "{delivery}");
        assert_eq!(delivery["last_status"], 204, "{delivery}");
    }
    receiver.look("well", |hook| assert_eq!(hook.accepted.len(), issued.len(), "each arrived once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_dead_receiver_when_it_has_hundreds_of_messages_then_another_gets_its_own() {
    on_each_database(pass_by).await;
}

async fn pass_by(database: Database) {
    let (receiver, admin) = (Receiver::start().await, database.admin().await);
    // More than a process attempts at once.
    database.unused_keys(260).await;
    let settings = Settings { sweep: Duration::from_millis(200), patience: PATIENCE * 2, alone: true };
    let node = Node::start(&database, &settings);
    let api = node.api(&admin);
    for (name, event, mood) in [("dead", "key.unused", Mood::Hold), ("well", "key.issued", Mood::Accept)] {
        let (_, secret) = api.webhook(&json!({"url": receiver.url(name), "events": [event]})).await;
        receiver.expect(name, &secret, mood);
    }
    api.patch("alert-settings", &json!({"unused_days": 30})).await;
    database.sweep_again().await;
    receiver.until("dead", |hook| !hook.held.is_empty()).await;
    let id = api.issue(&json!({"name": "new", "scopes": []})).await;
    receiver.until("well", |hook| hook.keys().contains(id.as_str())).await;
}

fn of(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().map(|message| message.id.clone()).collect()
}
