//! Bulk revocations, and the descendants of a key.

use serde_json::{Value, json};

use crate::{
    api_keys::issue,
    stand::{Stand, code, fields, on_each, secret_of},
};

const BULK: &str = "/keys/v1/api-keys/bulk-revoke";

async fn revoke(stand: &Stand, key: &str, body: Value) -> Value {
    stand.post(BULK).key(key).json(&body).expect(200).await
}

/// Returns an answer with defaults for absent members.
fn ended(said: Value) -> Value {
    let mut answer = json!({"done": 0, "ids": [], "rotated": [], "widened": [], "remaining": 0, "next": null});
    for (name, value) in said.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

#[tokio::test]
async fn given_many_keys_when_revoked_together_then_those_selected_end() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let issuer = secret_of(&stand.issue("acme", &["keys:write", "files:*"]).await);
        let whoami = stand.get("/keys/v1/whoami").key(&issuer).expect(200).await;
        let (_, child) = issue(&stand, &issuer, &json!({"name": "child", "environment": "test"})).await;
        let (_, other) = issue(&stand, &admin, &json!({"name": "other", "environment": "test"})).await;

        let left = json!({"created_by": whoami["actor"], "descendants": true, "reason": "left"});
        let of_child = ended(json!({"done": 1, "ids": [child["key"]["id"]]}));
        let mut dry = left.clone();
        dry["dry_run"] = json!(true);
        for _ in 0..2 {
            assert_eq!(revoke(&stand, &admin, dry.clone()).await, of_child, "a preview changes nothing");
        }
        assert_eq!(revoke(&stand, &admin, left).await, of_child);
        let of_other = ended(json!({"done": 1, "ids": [other["key"]["id"]]}));
        assert_eq!(revoke(&stand, &admin, json!({"environment": "test"})).await, of_other);
        // The caller's key is among them, and is answered.
        assert_eq!(revoke(&stand, &admin, json!({"everything": true})).await["done"], 2);
        for secret in [&admin, &issuer] {
            assert_eq!(stand.get("/keys/v1/whoami").key(secret).send().await.status, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn given_keys_of_service_accounts_when_whoever_made_them_leaves_then_they_may_stay() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let leaver = secret_of(&stand.issue("acme", &["keys:admin", "files:*"]).await);
        let whoami = stand.get("/keys/v1/whoami").key(&leaver).expect(200).await;
        let account = stand.post("/keys/v1/service-accounts").key(&leaver).json(&json!({"name": "ci"}));
        let account = account.expect(201).await["id"].clone();
        let (_, machine) = issue(&stand, &leaver, &json!({"name": "machine", "service_account_id": account})).await;
        let (_, own) = issue(&stand, &leaver, &json!({"name": "own"})).await;
        let (own, machine) = (&own["key"]["id"], &machine["key"]["id"]);
        let of_leaver = json!({"created_by": whoami["actor"], "keep_accounts": true});
        assert_eq!(revoke(&stand, &admin, of_leaver).await, ended(json!({"done": 1, "ids": [own]})));
        let all = json!({"created_by": whoami["actor"], "keep_accounts": false});
        assert_eq!(revoke(&stand, &admin, all).await, ended(json!({"done": 1, "ids": [machine]})));
    })
    .await;
}

#[tokio::test]
async fn given_a_selection_that_names_nothing_when_revoked_then_it_is_refused() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for (body, expected) in [
            (json!({}), ": exactly_one"),
            (json!({"environment": "test", "everything": true}), ": exactly_one"),
            (json!({"key_id": "k", "everything": true}), ": exactly_one"),
            (json!({"everything": false}), "everything: malformed"),
            (json!({"everything": true, "except": []}), "except: unknown"),
            (json!({"everything": true, "next": "not an id"}), "next: malformed"),
            (json!({"environment": "tset"}), "environment: unknown"),
            (json!({"environment": ""}), "environment: unknown"),
            (json!({"environment": "te\u{0}st"}), "environment: control_character"),
            (json!({"service_account_id": "sa_none"}), "service_account_id: unknown"),
            (json!({"created_by": "alcie@example.com"}), "created_by: unknown"),
            (json!({"created_by": "key:none", "descendants": true}), "created_by: unknown"),
            (json!({"key_id": "key_none", "descendants": true}), "key_id: unknown"),
        ] {
            for dry_run in [false, true] {
                let mut body = body.clone();
                body["dry_run"] = json!(dry_run);
                let answer = stand.post(BULK).key(&admin).json(&body).send().await;
                assert_eq!((answer.status, fields(&answer)), (422, vec![expected.to_owned()]), "{body}");
            }
        }
        // An actor or account without keys is known.
        assert_eq!(revoke(&stand, &admin, json!({"environment": "test"})).await, ended(json!({})));
        let account = json!({"name": "ci"});
        let account = stand.post("/keys/v1/service-accounts").key(&admin).json(&account).expect(201).await;
        assert_eq!(revoke(&stand, &admin, json!({"service_account_id": account["id"]})).await, ended(json!({})));
    })
    .await;
}

#[tokio::test]
async fn given_a_stolen_key_when_revoked_with_descendants_then_what_it_got_ends_with_it() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let thief = stand.issue("acme", &["keys:write", "files:*"]).await;
        let (path, victim) = issue(&stand, &admin, &json!({"name": "victim", "scopes": ["files:read"]})).await;
        let (wider, _) = issue(&stand, &admin, &json!({"name": "wider", "scopes": ["files:read"]})).await;
        let stolen =
            stand.post(&format!("{path}/rotate")).key(&secret_of(&thief)).json(&json!({"overlap_seconds": null}));
        let stolen = stolen.expect(200).await;
        let scopes = json!({"scopes": ["files:read", "files:write"]});
        let wider = stand.patch(&wider).key(&secret_of(&thief)).json(&scopes).expect(200).await;
        let (_, made) = issue(&stand, &secret_of(&thief), &json!({"name": "made", "scopes": ["files:read"]})).await;
        let use_it =
            async |issued: &Value| stand.get("/files").key(issued["secret"].as_str().unwrap()).send().await.status;
        assert_eq!((use_it(&victim).await, use_it(&stolen).await, use_it(&made).await), (200, 200, 200));

        let preview = json!({"key_id": thief.id().as_str(), "descendants": true, "dry_run": true});
        let preview = revoke(&stand, &admin, preview).await;
        assert_eq!((&preview["done"], &preview["rotated"]), (&json!(2), &json!([victim["key"]["id"]])));
        assert_eq!(use_it(&stolen).await, 200);

        let path = format!("/keys/v1/api-keys/{}/revoke", thief.id());
        let body = json!({"reason": "stolen", "descendants": true});
        let answer = stand.post(&path).key(&admin).json(&body).expect(200).await;
        assert_eq!(answer["key"]["status"], "revoked");
        let made_id = &made["key"]["id"];
        assert_eq!(
            answer["descendants"],
            ended(json!({
                "done": 1, "ids": [made_id], "rotated": [victim["key"]["id"]], "widened": [wider["id"]],
            }))
        );
        // The victim's own secret is still accepted; the secret that the thief obtained is not.
        assert_eq!((use_it(&victim).await, use_it(&stolen).await, use_it(&made).await), (200, 401, 401));
        let events = stand.get("/keys/v1/audit-events?action=key.secret_ended").key(&admin).expect(200).await;
        assert_eq!(events["items"][0]["target"], victim["key"]["id"]);
        let foreign = secret_of(&stand.issue("other", &["*"]).await);
        let answer = stand.post(&path).key(&foreign).json(&body).send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (404, "not_found"));
    })
    .await;
}

#[tokio::test]
async fn given_more_keys_than_a_request_ends_when_revoked_then_it_is_repeated_until_next_is_null() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let host = stand.host("acme");
        let digest = |n: usize| format!("sha256:{n:064x}").parse().unwrap();
        let keys = (0..1_200).map(|n| apikey_manager::ImportKey::hashed("k", digest(n)).environment("test"));
        stand.keys.import(&host, "many", keys, 10_000, drop).await.unwrap();
        let (mut body, mut remaining) = (json!({"environment": "test"}), 1_200);
        for _ in 0..3 {
            let step = revoke(&stand, &admin, body.clone()).await;
            remaining -= step["done"].as_u64().unwrap();
            assert_eq!(step["remaining"], remaining);
            assert!(step["ids"].as_array().unwrap().len() as u64 == step["done"].as_u64().unwrap());
            body["next"] = step["next"].clone();
        }
        assert_eq!((remaining, &body["next"]), (0, &Value::Null));
        let left = stand.get("/keys/v1/api-keys?environment=test&status=active").key(&admin).expect(200).await;
        assert_eq!(left["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn given_one_key_beyond_the_rights_when_many_are_revoked_then_none_is() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let writer = secret_of(&stand.issue("acme", &["keys:write", "files:read"]).await);
        for scopes in [json!(["files:read"]), json!(["files:write"])] {
            issue(&stand, &admin, &json!({"name": "k", "environment": "test", "scopes": scopes})).await;
        }
        for dry_run in [false, true] {
            let body = json!({"environment": "test", "dry_run": dry_run});
            let answer = stand.post(BULK).key(&writer).json(&body).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"));
        }
        let left = stand.get("/keys/v1/api-keys?environment=test&status=active").key(&admin).expect(200).await;
        assert_eq!(left["items"].as_array().unwrap().len(), 2);
    })
    .await;
}
