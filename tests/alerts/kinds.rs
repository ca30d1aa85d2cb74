//! Each kind of alert arrives once and is listed, though one of two processes is killed while it delivers them.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    database::{Database, on_each_database},
    node::{Node, Settings},
    receiver::{Message, Mood, Receiver},
};

const RARELY: Settings = Settings { sweep: Duration::from_secs(3_600), patience: Duration::from_secs(4), alone: false };
const OFTEN: Settings = Settings { sweep: Duration::from_millis(100), ..RARELY };

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_when_something_is_due_then_each_alert_arrives_once_and_stays_acknowledged() {
    on_each_database(tell_once).await;
}

async fn tell_once(database: Database) {
    let (receiver, admin) = (Receiver::start().await, database.admin().await);
    let due: BTreeSet<_> = database.keys_that_are_due().await.into();
    let later = database.unused_keys(1).await.remove(0);

    let node = Node::start(&database, &RARELY);
    let events = ["key.expiring", "key.rotation_due", "key.unused", "key.usage_spike"];
    let (_, secret) = node.api(&admin).webhook(&json!({"url": receiver.url("all"), "events": events})).await;
    receiver.expect("all", &secret, Mood::Hold);
    node.kill();

    // The one that delivers is killed. The other takes over.
    let first = Node::start(&database, &OFTEN);
    receiver.until("all", |hook| !hook.held.is_empty()).await;
    let second = Node::start(&database, &OFTEN);
    let api = second.api(&admin);
    first.kill();
    receiver.turn("all", Mood::Accept);
    receiver.until("all", |hook| told(&hook.accepted).is_superset(&due)).await;

    // The list has the same alerts, until they are acknowledged.
    let open = api.list("alerts?acknowledged=false").await;
    assert_eq!(open.iter().map(in_list).collect::<BTreeSet<_>>(), due);
    for alert in &open {
        let path = format!("alerts/{}/acknowledge", alert["id"].as_str().unwrap());
        let acknowledged = api.post(&path, 200, &json!({})).await;
        assert!(acknowledged["acknowledged_at"].is_string(), "{acknowledged}");
        assert_eq!(api.post(&path, 200, &json!({})).await, acknowledged);
    }
    assert_eq!(api.list("alerts?acknowledged=false").await, [Value::Null; 0]);

    // A later sweep looks at everything again, and finds what is new alone.
    database.sweep_again().await;
    api.patch("alert-settings", &json!({"unused_days": 30})).await;
    receiver.until("all", |hook| hook.keys().contains(later.as_str())).await;
    let open = api.list("alerts?acknowledged=false").await;
    let (spikes, others): (Vec<_>, Vec<_>) = open.iter().partition(|alert| alert["event"] == "key.usage_spike");
    assert_eq!(others.into_iter().map(in_list).collect::<Vec<_>>(), [(later.clone(), "key.unused".to_owned())]);
    // A full hour may have ended meanwhile.
    assert!(spikes.len() <= 1, "{spikes:?}");

    receiver.look("all", |hook| {
        let ids: BTreeSet<_> = hook.accepted.iter().map(|message| &message.id).collect();
        assert_eq!(ids.len(), hook.accepted.len(), "each arrives once: {hook:?}");
        for (key, event) in &due {
            let same = hook.accepted.iter().filter(|message| (message.key(), message.event()) == (key, event));
            let times = same.count();
            assert!(times == 1 || event == "key.usage_spike", "{event}, {times} times");
        }
    });
}

/// Returns the key and the event of each.
fn told(messages: &[Message]) -> BTreeSet<(String, String)> {
    messages.iter().map(|message| (message.key().to_owned(), message.event().to_owned())).collect()
}

/// Returns the key and the event of an alert in a list.
fn in_list(alert: &Value) -> (String, String) {
    (alert["key"]["id"].as_str().unwrap().to_owned(), alert["event"].as_str().unwrap().to_owned())
}
