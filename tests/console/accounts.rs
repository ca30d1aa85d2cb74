//! Service accounts: created, listed, changed, disabled with all their keys, rotated together, deleted.

use serde_json::{Value, json};

use crate::stand::{Stand, code, fields, json as parsed, on_each, secret_of};

async fn make(stand: &Stand, admin: &str, name: &str) -> (String, Value) {
    let account = stand.post("/keys/v1/service-accounts").key(admin).json(&json!({"name": name})).expect(201).await;
    (format!("/keys/v1/service-accounts/{}", account["id"].as_str().unwrap()), account)
}

async fn key_of(stand: &Stand, admin: &str, account: &Value) -> String {
    let body = json!({"name": "k", "scopes": ["files:read"], "service_account_id": account["id"]});
    let issued = stand.post("/keys/v1/api-keys").key(admin).json(&body).expect(201).await;
    issued["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn given_an_account_when_made_read_and_changed_then_versions_guard_it() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let body = json!({"name": "ci", "description": "builds"});
        let answer = stand.post("/keys/v1/service-accounts").key(&admin).json(&body).send().await;
        assert_eq!((answer.status, answer.header("etag")), (201, Some("\"1\"")), "{answer:?}");
        let made = parsed(&answer);
        let id = made["id"].as_str().unwrap();
        assert_eq!(answer.header("location"), Some(format!("service-accounts/{id}").as_str()));
        let path = format!("/keys/v1/service-accounts/{id}");
        assert_eq!(stand.get(&path).key(&admin).expect(200).await, made);
        for (tag, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"2\"", 200), ("1", 400)] {
            let answer = stand.get(&path).key(&admin).header("if-none-match", tag).send().await;
            assert_eq!(answer.status, status, "{tag}");
            assert!(status == 400 || answer.header("etag") == Some("\"1\""), "{tag}");
        }
        let patch = async |tag: &str, body: Value| {
            stand.patch(&path).key(&admin).header("if-match", tag).json(&body).send().await
        };
        let answer = patch("\"1\"", json!({"name": "cd", "description": null})).await;
        assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")));
        let changed = parsed(&answer);
        assert_eq!((&changed["name"], &changed["description"]), (&json!("cd"), &json!("")));
        assert_eq!(code(&patch("\"1\"", json!({"name": "x"})).await), "stale_version");
        assert_eq!(patch("*", json!({"name": "x"})).await.status, 200);
        assert_eq!(fields(&patch("*", json!({"id": "x", "keys": []})).await), ["id: read_only", "keys: unknown"]);
    })
    .await;
}

#[tokio::test]
async fn given_accounts_when_listed_then_pages_hold() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for name in ["a", "b", "c"] {
            make(&stand, &admin, name).await;
        }
        let first = stand.get("/keys/v1/service-accounts?limit=2").key(&admin).expect(200).await;
        assert_eq!(first["items"].as_array().unwrap().len(), 2);
        let cursor = first["next_cursor"].as_str().unwrap();
        let path = format!("/keys/v1/service-accounts?limit=2&cursor={cursor}");
        let second = stand.get(&path).key(&admin).expect(200).await;
        assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn given_an_account_with_keys_when_switched_rotated_and_deleted_then_all_its_keys_follow() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let (path, account) = make(&stand, &admin, "ci").await;
        let secrets = [key_of(&stand, &admin, &account).await, key_of(&stand, &admin, &account).await];
        let statuses = async |secrets: &[String]| {
            let mut statuses = Vec::new();
            for secret in secrets {
                statuses.push(stand.get("/files").key(secret).send().await.status);
            }
            statuses
        };
        assert_eq!(statuses(&secrets).await, [200, 200]);
        let off = stand.post(&format!("{path}/disable")).key(&admin).expect(200).await;
        assert!(off["disabled_at"].is_string());
        assert_eq!(statuses(&secrets).await, [401, 401]);
        stand.post(&format!("{path}/enable")).key(&admin).expect(200).await;
        assert_eq!(statuses(&secrets).await, [200, 200]);

        let request = stand.post(&format!("{path}/rotate-all")).key(&admin).json(&json!({"overlap_seconds": 0}));
        let answer = request.send().await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
        let rotated = parsed(&answer);
        let newer: Vec<_> =
            rotated["items"].as_array().unwrap().iter().map(|one| one["secret"].as_str().unwrap().to_owned()).collect();
        assert_eq!(newer.len(), 2);
        assert_eq!((statuses(&secrets).await, statuses(&newer).await), (vec![401, 401], vec![200, 200]));

        assert_eq!(stand.delete(&path).key(&admin).send().await.status, 204);
        assert_eq!(statuses(&newer).await, [401, 401]);
        assert_eq!(code(&stand.get(&path).key(&admin).send().await), "not_found");
    })
    .await;
}

#[tokio::test]
async fn given_a_full_plan_when_an_account_is_made_then_it_is_a_409() {
    on_each(async |stand| {
        let admin = secret_of(&stand.issue("small", &["*"]).await);
        make(&stand, &admin, "one").await;
        let request = stand.post("/keys/v1/service-accounts").key(&admin).json(&json!({"name": "two"}));
        assert_eq!(code(&request.send().await), "limit_reached");
    })
    .await;
}
