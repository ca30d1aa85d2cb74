//! A new user's path, with a client that only sends requests: from the first key to a 401.

use apikey_manager::NewKey;
use serde_json::json;

use crate::stand::{on_each, secret_of};

#[tokio::test]
async fn given_the_first_key_when_a_newcomer_follows_the_quickstart_then_every_step_does_what_it_says() {
    on_each(async |stand| {
        let key = NewKey::new("bootstrap").scopes(["*"]);
        let bootstrap = stand.keys.bootstrap(&stand.host("acme"), key).await.unwrap().unwrap();
        let first = secret_of(&bootstrap);

        let body = json!({"name": "reader", "scopes": ["files:read"]});
        let issued = stand.post("/keys/v1/api-keys").key(&first).json(&body).expect(201).await;
        let id = issued["key"]["id"].as_str().unwrap();
        let secret = issued["secret"].as_str().unwrap();
        assert_eq!(stand.get("/files").key(secret).send().await.status, 200);
        assert_eq!(stand.get("/keys/v1/api-keys").key(secret).send().await.status, 403);

        let body = json!({"overlap_seconds": 3600});
        let path = format!("/keys/v1/api-keys/{id}/rotate");
        let rotated = stand.post(&path).key(&first).json(&body).expect(200).await;
        let newer = rotated["secret"].as_str().unwrap();
        assert_ne!(newer, secret);
        assert_eq!(rotated["key"]["status"], "rotating");
        assert_eq!(rotated["key"]["secrets"].as_array().unwrap().len(), 2);
        for secret in [secret, newer] {
            assert_eq!(stand.get("/files").key(secret).send().await.status, 200);
        }

        let path = format!("/keys/v1/api-keys/{id}/revoke");
        let revoked = stand.post(&path).key(&first).json(&json!({"reason": "done"})).expect(200).await;
        assert_eq!((&revoked["status"], &revoked["revoked_reason"]), (&json!("revoked"), &json!("done")));
        for secret in [secret, newer] {
            assert_eq!(stand.get("/files").key(secret).send().await.status, 401);
        }
    })
    .await;
}
