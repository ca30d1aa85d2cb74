//! Requests with an `Idempotency-Key`, repeated because their answer was lost.

use serde_json::{Value, json};

use support::wire::Answer;

use crate::stand::{Request, code, json, on_each, secret_of};

const KEY: &str = "idempotency-key";

/// Sends the request and expects that it was done before, with these keys.
async fn expect_done(request: Request, ids: &[&Value]) {
    let answer = request.send().await;
    assert_eq!((answer.status, code(&answer)), (409, "already_done".to_owned()), "{answer:?}");
    let problem = json(&answer);
    assert_eq!(problem["key_ids"].as_array().unwrap().iter().collect::<Vec<_>>(), ids, "{problem}");
    assert!(!answer.body.contains("secret\""), "{answer:?}");
}

#[tokio::test]
async fn given_a_lost_answer_when_sent_again_then_nothing_is_done_twice() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let key_count = async || {
            let keys = stand.get("/keys/v1/api-keys").key(&admin).expect(200).await;
            keys["items"].as_array().unwrap().len()
        };
        let account =
            stand.post("/keys/v1/service-accounts").key(&admin).json(&json!({"name": "ci"})).expect(201).await;
        let new = json!({"name": "deploy", "service_account_id": account["id"]});
        let issue = || stand.post("/keys/v1/api-keys").key(&admin).header(KEY, "\"one\"").json(&new);
        let made = issue().expect(201).await;
        let id = &made["key"]["id"];
        expect_done(issue(), &[id]).await;
        // Common clients send the value without quotes, with the same meaning.
        let bare = stand.post("/keys/v1/api-keys").key(&admin).header(KEY, "one").json(&new);
        expect_done(bare, &[id]).await;
        assert_eq!(key_count().await, 2, "the admin's and one more");

        let on_key = |action: &str| format!("/keys/v1/api-keys/{}/{action}", id.as_str().unwrap());
        let overlap = json!({"overlap_seconds": 600});
        let rotate = || stand.post(&on_key("rotate")).key(&admin).header(KEY, "one").json(&overlap);
        let rotated = rotate().expect(200).await;
        expect_done(rotate(), &[id]).await;
        // The holder of the lost secret rotates again, with a new idempotency key.
        let again = stand.post(&on_key("rotate")).key(&admin).header(KEY, "two").json(&overlap).expect(200).await;
        assert_ne!(rotated["secret"], again["secret"]);

        let all = format!("/keys/v1/service-accounts/{}/rotate-all", account["id"].as_str().unwrap());
        let rotate_all = || stand.post(&all).key(&admin).header(KEY, "one").json(&overlap);
        rotate_all().expect(200).await;
        expect_done(rotate_all(), &[id]).await;

        let duplicate = || stand.post(&on_key("duplicate")).key(&admin).header(KEY, "one");
        let copy = duplicate().expect(201).await;
        expect_done(duplicate(), &[&copy["key"]["id"]]).await;
        assert_eq!(key_count().await, 3);

        let selection = json!({"service_account_id": account["id"]});
        let bulk = || stand.post("/keys/v1/api-keys/bulk-revoke").key(&admin).header(KEY, "one");
        let mut preview = selection.clone();
        preview["dry_run"] = json!(true);
        for _ in 0..2 {
            assert_eq!(bulk().json(&preview).expect(200).await["done"], 2, "a preview may be repeated");
        }
        let revoked = bulk().json(&selection).expect(200).await;
        expect_done(bulk().json(&selection), &revoked["ids"].as_array().unwrap().iter().collect::<Vec<_>>()).await;
    })
    .await;
}

#[tokio::test]
async fn given_a_key_of_another_request_when_sent_then_it_is_told() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let other = secret_of(&stand.issue("acme", &["keys:write"]).await);
        let issue = async |key: &str, body: Value| -> Answer {
            stand.post("/keys/v1/api-keys").key(key).header(KEY, "one").json(&body).send().await
        };
        assert_eq!(issue(&admin, json!({"name": ""})).await.status, 422);
        assert_eq!(issue(&admin, json!({"name": "a"})).await.status, 201, "what failed is not remembered");
        let reused = issue(&admin, json!({"name": "b"})).await;
        assert_eq!((reused.status, code(&reused)), (422, "idempotency_key_reused".to_owned()), "{reused:?}");
        assert_eq!(issue(&other, json!({"name": "b"})).await.status, 201, "another caller's request");
        let keys = stand.get("/keys/v1/api-keys").key(&admin).expect(200).await;
        assert_eq!(keys["items"].as_array().unwrap().len(), 4);
    })
    .await;
}

#[tokio::test]
async fn given_two_at_once_when_sent_then_one_is_carried_out() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let body = json!({"name": "deploy"});
        let issue = || stand.post("/keys/v1/api-keys").key(&admin).header(KEY, "one").json(&body).send();
        let (a, b) = tokio::join!(issue(), issue());
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{a:?} {b:?}");
    })
    .await;
}

#[tokio::test]
async fn given_a_malformed_key_when_sent_then_nothing_is_done() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let body = json!({"name": "deploy"});
        let long = "k".repeat(256);
        for lines in [&[""][..], &["a b"], &[&long], &["a", "b"], &["\"a"]] {
            let mut request = stand.post("/keys/v1/api-keys").key(&admin);
            for line in lines {
                request = request.header(KEY, line);
            }
            let answer = request.json(&body).send().await;
            assert_eq!((answer.status, code(&answer)), (400, "invalid_idempotency_key".to_owned()), "{lines:?}");
        }
        let keys = stand.get("/keys/v1/api-keys").key(&admin).expect(200).await;
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
        // Operations that can be repeated safely ignore the header.
        let me = stand.get("/keys/v1/whoami").key(&admin).header(KEY, "a b").send().await;
        assert_eq!(me.status, 200);
    })
    .await;
}
