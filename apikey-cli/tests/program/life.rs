//! The life of a key, changed by the program and seen by the service.

use apikey_console::views;
use apikey_core::KeyId;
use serde_json::{Value, json};

use crate::stand::Stand;

#[tokio::test(flavor = "multi_thread")]
async fn given_a_service_when_its_keys_are_changed_then_it_follows() {
    for stand in Stand::all().await {
        let (id, first) = stand.issue(&["reader", "files:read", "--expires", "90d", "--environment", "test"]);
        assert!(stand.lets_in(&first).await);

        let rotate = ["rotate", &id, "--overlap", "1d", "--json", "--key-output", "stdout"];
        let second = stand.run(&rotate).json()["secret"].as_str().unwrap().to_owned();
        assert_eq!((stand.lets_in(&first).await, stand.lets_in(&second).await), (true, true));
        assert_eq!(stand.run(&["end-overlap", &id, "--yes"]).code, 0);
        assert_eq!((stand.lets_in(&first).await, stand.lets_in(&second).await), (false, true));

        assert_eq!(stand.run(&["disable", &id]).code, 0);
        assert!(!stand.lets_in(&second).await);
        assert_eq!(stand.run(&["enable", &id]).code, 0);
        assert!(stand.lets_in(&second).await);

        let revoked = stand.run(&["revoke", &id, "--yes", "--reason", "leaked"]);
        assert_eq!((revoked.code, revoked.err.as_str()), (0, "holds in 1 process\n"));
        assert!(!stand.lets_in(&second).await);
        assert_eq!(stand.run(&["enable", &id]).code, 4);
        assert_eq!(stand.run(&["delete", &id, "--yes"]).code, 0);
        assert_eq!(stand.run(&["show", &id]).code, 3);

        let audit = stand.run(&["audit", "--target", &id, "--json"]).json();
        let events = audit["items"].as_array().unwrap().iter().map(|event| (&event["action"], &event["actor"]));
        let events: Vec<_> =
            events.map(|(action, actor)| (action.as_str().unwrap(), actor.as_str().unwrap())).collect();
        let actions = [
            "key.deleted",
            "key.revoked",
            "key.enabled",
            "key.disabled",
            "key.overlap_ended",
            "key.rotated",
            "key.issued",
        ];
        assert_eq!(events, actions.map(|action| (action, "host:cli")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_when_printed_as_json_then_they_have_the_shapes_of_the_api() {
    for stand in Stand::all().await {
        let (id, _) = stand.issue(&["reader", "files:read", "--metadata", r#"{"team":"a"}"#, "--description", "reads"]);
        let (other, _) = stand.issue(&["writer", "files:write"]);
        let now = stand.service.now();
        let record = stand.service.get(&stand.host, &KeyId::new(&id).unwrap()).await.unwrap();
        assert_eq!(stand.run(&["show", &id, "--json"]).json(), serde_json::to_value(views::key(record, now)).unwrap());

        let page = stand.run(&["list", "--limit", "1", "--json"]).json();
        assert_eq!(page["items"][0]["id"], json!(other));
        let next = page["next_cursor"].as_str().unwrap();
        let page = stand.run(&["list", "--limit", "1", "--cursor", next, "--json"]).json();
        assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&json!(id), &Value::Null));
        assert_eq!(stand.run(&["list", "--search", "reads", "--json"]).json()["items"][0]["id"], json!(id));

        let usage = stand.run(&["usage", &id, "--by", "day", "--json"]).json();
        assert_eq!((&usage["bucket"], &usage["ok"], &usage["buckets"]), (&json!("day"), &json!(0), &json!([])));
        assert_eq!(stand.run(&["activity", &id, "--json"]).json(), json!({"items": [], "next_cursor": null}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_service_account_when_disabled_then_its_keys_are_rejected() {
    let stand = Stand::on_sqlite().await;
    let account = stand.run(&["accounts", "create", "ci", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let (_, first) = stand.issue(&["deploy", "--account", &account]);
    assert!(stand.lets_in(&first).await);
    assert_eq!(stand.run(&["accounts", "disable", &account]).code, 0);
    assert!(!stand.lets_in(&first).await);
    assert_eq!(stand.run(&["accounts", "enable", &account]).code, 0);
    let rotate = ["accounts", "rotate", &account, "--overlap", "until-ended", "--json", "--key-output", "stdout"];
    let rotated = stand.run(&rotate).json();
    assert!(stand.lets_in(rotated["items"][0]["secret"].as_str().unwrap()).await);
    assert_eq!(stand.run(&["accounts", "delete", &account, "--yes"]).code, 0);
    assert!(!stand.lets_in(&first).await);
    assert_eq!(stand.run(&["accounts", "list", "--json"]).json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_mistake_when_run_then_the_exit_code_tells_its_kind() {
    let stand = Stand::on_sqlite().await;
    let unknown = "key_01h455vb4pex5vsknk084sn02q";
    let cases: [(&[&str], i32, &str); 8] = [
        (&["issue"], 2, "required arguments"),
        (&["issue", "", "--key-output", "stdout"], 2, "error: name: "),
        (&["issue", "reader", "a b", "--key-output", "stdout"], 2, "error: scopes[0]: "),
        (&["issue", "reader", "--expires", "soon"], 2, "such as 90d"),
        (&["show", unknown], 3, "error: there is no such key"),
        (&["revoke", unknown, "--yes"], 3, "error: there is no such key"),
        (&["list", "--limit", "0"], 2, "error: limit: "),
        (&["prune", "--yes"], 2, "required arguments"),
    ];
    for (arguments, code, message) in cases {
        let ended = stand.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
    assert!(stand.keys().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_database_without_tables_when_used_then_only_migrate_creates_them() {
    let stand = Stand::on_sqlite().await;
    let url = format!("sqlite:{}", stand.path().join("new.db").display());
    let run = |command| stand.command(&[command]).env("DATABASE_URL", &url).output().unwrap();
    for (command, succeeds) in [("check", false), ("list", false), ("migrate", true), ("check", true), ("list", true)] {
        assert_eq!(run(command).status.success(), succeeds, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_old_audit_trail_when_pruned_then_it_is_gone_and_keys_stay() {
    for stand in Stand::all().await {
        let (_, secret) = stand.issue(&["reader"]);
        let pruned = stand.run(&["prune", "--audit-before", "2100-01-01T00:00:00Z", "--yes", "--json"]).json();
        assert_eq!(pruned, json!({"usage": 0, "activity": 0, "audit": 1}));
        assert_eq!(stand.run(&["audit", "--json"]).json()["items"], json!([]));
        assert!(stand.lets_in(&secret).await);
    }
}
