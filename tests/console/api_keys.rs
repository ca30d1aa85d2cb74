//! Keys: issued, listed, read, changed, rotated, disabled, revoked, deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stand::{Server, Stand, code, fields, json, on_each, on_each_with, on_servers, secret_of};

pub(crate) async fn issue(stand: &Stand, admin: &str, body: &Value) -> (String, Value) {
    let issued = stand.post("/keys/v1/api-keys").key(admin).json(body).expect(201).await;
    (format!("/keys/v1/api-keys/{}", issued["key"]["id"].as_str().unwrap()), issued)
}

#[tokio::test]
async fn given_a_new_key_when_issued_then_it_is_as_asked_and_its_secret_appears_this_once() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let account =
            stand.post("/keys/v1/service-accounts").key(&admin).json(&json!({"name": "ci"})).expect(201).await;
        let body = json!({
            "name": "deploy", "description": "publishes", "scopes": ["files:write", "files:read"],
            "environment": "test", "service_account_id": account["id"], "expires_at": "2100-01-02T03:04:05+01:00",
            "not_before": "2099-01-01T00:00:00Z", "metadata": {"team": {"id": 7}},
        });
        let answer = stand.post("/keys/v1/api-keys").key(&admin).json(&body).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let issued = json(&answer);
        let (key, secret) = (&issued["key"], issued["secret"].as_str().unwrap());
        assert!(secret.starts_with("acme_test_"), "{secret}");
        assert_eq!(issued.as_object().unwrap().len(), 2);
        let id = key["id"].as_str().unwrap();
        assert_eq!(answer.header("location"), Some(format!("api-keys/{id}").as_str()));
        for (field, expected) in [
            ("name", json!("deploy")),
            ("description", json!("publishes")),
            ("scopes", json!(["files:read", "files:write"])),
            ("environment", json!("test")),
            ("service_account_id", account["id"].clone()),
            ("expires_at", json!("2100-01-02T02:04:05.000Z")),
            ("not_before", json!("2099-01-01T00:00:00.000Z")),
            ("metadata", json!({"team": {"id": 7}})),
            ("status", json!("not_yet_valid")),
            ("organization", json!("acme")),
            ("version", json!(1)),
            ("revoked_at", Value::Null),
        ] {
            assert_eq!(key[field], expected, "{field}");
        }
        let read = stand.get(&format!("/keys/v1/api-keys/{id}")).key(&admin).send().await;
        assert_eq!((read.status, json(&read)), (200, key.clone()));
        assert_eq!(read.header("etag"), Some("\"1\""));
        assert_eq!(read.header("cache-control"), Some("private, no-cache"));
        let list = stand.get("/keys/v1/api-keys").key(&admin).send().await;
        for answer in [read, list] {
            assert!(!answer.body.contains(secret));
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_body_with_mistakes_when_issued_then_each_field_is_named() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let cases = [
            (json!({}), vec!["name: required"]),
            (json!({"name": null}), vec!["name: malformed"]),
            (json!({"name": ""}), vec!["name: required"]),
            (
                json!({"name": 7, "scopes": "files:read", "metadata": []}),
                vec!["metadata: malformed", "name: malformed", "scopes: malformed"],
            ),
            (json!({"name": "x", "scopes": ["files:read", 1]}), vec!["scopes[1]: malformed"]),
            (
                json!({"name": "x", "scopes": ["files:read", "a b", "other:read"]}),
                vec!["scopes[1]: malformed", "scopes[2]: unknown"],
            ),
            (json!({"name": "x", "scope": "files:read"}), vec!["scope: unknown"]),
            (
                json!({"name": "x", "id": "key_1", "status": "active", "created_by": "me", "secret": "x"}),
                vec!["created_by: read_only", "id: read_only", "secret: unknown", "status: read_only"],
            ),
            (json!({"name": "x", "expires_at": "tomorrow"}), vec!["expires_at: malformed"]),
            (json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}), vec!["expires_at: past"]),
            (json!({"name": "x", "service_account_id": "sa_none"}), vec!["service_account_id: unknown"]),
            (json!({"name": "x", "service_account_id": "a b"}), vec!["service_account_id: malformed"]),
            (json!({"name": "x", "environment": "prod"}), vec!["environment: unknown"]),
            (
                json!({"name": "x".repeat(101), "description": "x".repeat(501)}),
                vec!["description: too_long", "name: too_long"],
            ),
        ];
        for (body, expected) in cases {
            let answer = stand.post("/keys/v1/api-keys").key(&admin).json(&body).send().await;
            assert_eq!(fields(&answer), expected, "{body}");
        }
        let list = stand.get("/keys/v1/api-keys").key(&admin).expect(200).await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "the admin's own");
    })
    .await;
}

#[tokio::test]
async fn given_keys_when_listed_then_filters_and_pages_hold() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let account =
            stand.post("/keys/v1/service-accounts").key(&admin).json(&json!({"name": "ci"})).expect(201).await;
        let account = account["id"].as_str().unwrap();
        for n in 0..5 {
            stand.clock.advance(Duration::from_secs(1));
            let environment = if n % 2 == 0 { "live" } else { "test" };
            let mut body = json!({"name": format!("key {n}"), "environment": environment});
            if n == 4 {
                body["service_account_id"] = account.into();
            }
            issue(&stand, &admin, &body).await;
        }
        let names = async |query: &str| {
            let list = stand.get(&format!("/keys/v1/api-keys{query}")).key(&admin).expect(200).await;
            let items = list["items"].as_array().unwrap().clone();
            items.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("").await, ["key 4", "key 3", "key 2", "key 1", "key 0", "a key"]);
        assert_eq!(names("?environment=test").await, ["key 3", "key 1"]);
        assert_eq!(names("?q=KEY+2").await, ["key 2"]);
        assert_eq!(names("?status=active&environment=live&limit=1").await, ["key 4"]);
        assert_eq!(names("?status=revoked").await, [""; 0]);
        assert_eq!(names(&format!("?service_account={account}")).await, ["key 4"]);
        assert_eq!(names("?created_by=host%3Atest").await, ["a key"]);

        let mut seen = Vec::new();
        let mut query = "?limit=2".to_owned();
        loop {
            let list = stand.get(&format!("/keys/v1/api-keys{query}")).key(&admin).expect(200).await;
            let items = list["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|key| key["name"].as_str().unwrap().to_owned()));
            match list["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, ["key 4", "key 3", "key 2", "key 1", "key 0", "a key"]);

        for (query, expected) in [
            ("?limit=0", "limit: out_of_range"),
            ("?limit=201", "limit: out_of_range"),
            ("?limit=%2B5", "limit: out_of_range"),
            ("?limit=", "limit: out_of_range"),
            ("?limit=1&limit=2", "limit: repeated"),
            ("?cursor=nonsense", "cursor: malformed"),
            ("?status=gone", "status: unknown"),
            ("?service_account=a%20b", "service_account: malformed"),
            ("?created_by=", "created_by: malformed"),
            ("?colour=red", "colour: unknown"),
            ("?last_used_before=yesterday", "last_used_before: malformed"),
            ("?expires_before=", "expires_before: malformed"),
            ("?unused=1", "unused: unknown"),
            ("?rotation_due=0", "rotation_due: out_of_range"),
            ("?rotation_due=90d", "rotation_due: out_of_range"),
            ("?sort=name", "sort: unknown"),
        ] {
            let answer = stand.get(&format!("/keys/v1/api-keys{query}")).key(&admin).send().await;
            assert_eq!(fields(&answer), [expected], "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn stale_keys_are_filtered_and_sorted() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for (name, expires_at) in [("soon", "2100-01-01T00:00:00Z"), ("later", "2100-01-01T00:00:01Z")] {
            issue(&stand, &admin, &json!({"name": name, "expires_at": expires_at})).await;
        }
        let names = async |query: &str| {
            let list = stand.get(&format!("/keys/v1/api-keys?{query}")).key(&admin).expect(200).await;
            let items = list["items"].as_array().unwrap().clone();
            let (next, names) = (list["next_cursor"].as_str(), items.iter().map(|key| key["name"].as_str().unwrap()));
            (names.collect::<Vec<_>>().join(", "), next.map(str::to_owned))
        };
        let (first, next) = names("sort=expires_at&limit=2").await;
        assert_eq!(first, "soon, later");
        let rest = names(&format!("sort=expires_at&limit=2&cursor={}", next.unwrap())).await;
        assert_eq!(rest, ("a key".to_owned(), None));
        assert_eq!(names("expires_before=2100-01-01T00:00:01Z").await.0, "soon");
        assert_eq!(names("last_used_before=2000-01-01T00:00:00Z").await.0, "");
        assert!(names("unused=true&q=soon").await.0 == "soon" && names("unused=false&q=soon").await.0.is_empty());
        assert_eq!(names("rotation_due=90").await.0, "");
        stand.clock.advance(Duration::from_secs(90 * 86_400));
        let sorted = names("rotation_due=90&sort=last_used_at").await.0;
        assert!(["soon", "later", "a key"].iter().all(|name| sorted.contains(name)), "{sorted}");
        assert_eq!(names("rotation_due=91").await.0, "");
    })
    .await;
}

#[tokio::test]
async fn given_a_key_when_patched_then_what_is_left_out_stays_and_null_clears() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let body = json!({
            "name": "a", "description": "b", "scopes": ["files:read"], "expires_at": "2100-01-01T00:00:00Z",
            "metadata": {"team": {"id": 7, "name": "x"}, "tier": 1},
        });
        let (path, _) = issue(&stand, &admin, &body).await;
        let patch =
            json!({"description": null, "expires_at": null, "metadata": {"team": {"name": null}, "new": [null]}});
        let answer =
            stand.patch(&path).key(&admin).body("application/merge-patch+json", patch.to_string()).send().await;
        assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{answer:?}");
        let key = json(&answer);
        assert_eq!((&key["name"], &key["description"], &key["expires_at"]), (&json!("a"), &json!(""), &Value::Null));
        assert_eq!(key["scopes"], json!(["files:read"]));
        assert_eq!(key["metadata"], json!({"team": {"id": 7}, "tier": 1, "new": [null]}));
        // An ordinary JSON body is taken the same way, and nothing to change changes nothing.
        let key = stand.patch(&path).key(&admin).json(&json!({})).expect(200).await;
        assert_eq!(key["version"], 2);
        let key = stand.patch(&path).key(&admin).json(&json!({"metadata": null, "scopes": null})).expect(200).await;
        assert_eq!((&key["metadata"], &key["scopes"]), (&json!({}), &json!([])));

        let refused = json!({"name": null, "environment": "test", "version": 9, "hint": "", "x": 1});
        let answer = stand.patch(&path).key(&admin).json(&refused).send().await;
        assert_eq!(fields(&answer), ["environment: read_only", "hint: read_only", "version: read_only", "x: unknown"]);
        let answer = stand.patch(&path).key(&admin).json(&json!({"name": null})).send().await;
        assert_eq!(fields(&answer), ["name: required"]);
    })
    .await;
}

#[tokio::test]
async fn given_an_entity_tag_when_patched_then_only_that_version_is_changed() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let (path, _) = issue(&stand, &admin, &json!({"name": "a"})).await;
        let mut version = 1;
        let cases = [
            ("\"1\"", 200, ""),
            ("\"1\"", 412, "stale_version"),
            ("W/\"2\"", 412, "stale_version"),
            ("\"x\", \"2\"", 200, ""),
            ("*", 200, ""),
            ("\"nothing\"", 412, "stale_version"),
            ("4", 400, "invalid_precondition"),
        ];
        for (tag, status, expected) in cases {
            for metadata in [false, true] {
                let tag = tag.replace('2', &version.to_string());
                let tag = if tag == "\"1\"" && status == 200 { format!("\"{version}\"") } else { tag };
                let change = version.to_string();
                let body = if metadata { json!({"metadata": {"at": change}}) } else { json!({"name": change}) };
                let answer = stand.patch(&path).key(&admin).header("if-match", &tag).json(&body).send().await;
                assert_eq!(answer.status, status, "{tag}: {answer:?}");
                match status {
                    200 => version += 1,
                    _ => assert_eq!(code(&answer), expected),
                }
            }
        }
        let answer = stand.delete(&path).key(&admin).header("if-match", "\"1\"").send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (400, "unsupported_precondition"));
    })
    .await;
}

#[tokio::test]
async fn given_a_key_when_rotated_then_the_overlap_is_as_asked() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let (path, issued) = issue(&stand, &admin, &json!({"name": "a", "scopes": ["files:read"]})).await;
        let first = issued["secret"].as_str().unwrap().to_owned();
        let rotate = async |body: Value| {
            let answer = stand.post(&format!("{path}/rotate")).key(&admin).json(&body).send().await;
            assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
            json(&answer)["secret"].as_str().unwrap().to_owned()
        };
        let use_it = async |secret: &str| stand.get("/files").key(secret).send().await.status;

        let second = rotate(json!({"overlap_seconds": 60})).await;
        assert_eq!((use_it(&first).await, use_it(&second).await), (200, 200));
        stand.clock.advance(Duration::from_secs(61));
        assert_eq!((use_it(&first).await, use_it(&second).await), (401, 200));
        let third = rotate(json!({"overlap_seconds": null})).await;
        stand.clock.advance(Duration::from_secs(86_400));
        assert_eq!((use_it(&second).await, use_it(&third).await), (200, 200));
        let key = stand.post(&format!("{path}/end-overlap")).key(&admin).expect(200).await;
        assert_eq!(key["status"], "active");
        assert_eq!((use_it(&second).await, use_it(&third).await), (401, 200));
        let fourth = rotate(json!({"overlap_seconds": 0})).await;
        assert_eq!((use_it(&third).await, use_it(&fourth).await), (401, 200));

        for (body, expected) in [
            (json!({}), "overlap_seconds: required"),
            (json!({"overlap_seconds": -1}), "overlap_seconds: malformed"),
            (json!({"overlap_seconds": 1.5}), "overlap_seconds: malformed"),
            (json!({"overlap_seconds": "60"}), "overlap_seconds: malformed"),
            (json!({"overlap_seconds": 40_000_000}), "overlap_seconds: too_long"),
            (json!({"overlap_seconds": u64::MAX}), "overlap_seconds: too_long"),
        ] {
            let answer = stand.post(&format!("{path}/rotate")).key(&admin).json(&body).send().await;
            assert_eq!(fields(&answer), [expected], "{body}");
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_key_when_switched_duplicated_revoked_and_deleted_then_each_holds_at_once() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let (path, issued) = issue(&stand, &admin, &json!({"name": "a", "scopes": ["files:read"]})).await;
        let secret = issued["secret"].as_str().unwrap();
        let use_it = async || stand.get("/files").key(secret).send().await.status;
        assert_eq!(use_it().await, 200);
        let key = stand.post(&format!("{path}/disable")).key(&admin).expect(200).await;
        assert_eq!((&key["status"], use_it().await), (&json!("disabled"), 401));
        assert!(key["disabled_at"].is_string() && key["disabled_by"].is_string());
        let key = stand.post(&format!("{path}/enable")).key(&admin).expect(200).await;
        assert_eq!((&key["status"], use_it().await), (&json!("active"), 200));

        let answer = stand.post(&format!("{path}/duplicate")).key(&admin).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let copy = json(&answer);
        let id = copy["key"]["id"].as_str().unwrap();
        assert_eq!(answer.header("location"), Some(format!("../../api-keys/{id}").as_str()));
        assert_eq!((&copy["key"]["name"], &copy["key"]["scopes"]), (&json!("a"), &json!(["files:read"])));

        let key = stand.post(&format!("{path}/revoke")).key(&admin).expect(200).await;
        assert_eq!((&key["status"], &key["revoked_reason"], use_it().await), (&json!("revoked"), &json!(""), 401));
        for (what, status) in [("rotate", 409), ("enable", 409), ("disable", 409), ("duplicate", 409), ("revoke", 200)]
        {
            let request = stand.post(&format!("{path}/{what}")).key(&admin);
            let body = if what == "rotate" { json!({"overlap_seconds": 0}) } else { json!({}) };
            let answer = request.json(&body).send().await;
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            if status == 409 {
                assert_eq!(code(&answer), "wrong_state", "{what}");
            }
        }
        let answer = stand.delete(&path).key(&admin).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(code(&stand.get(&path).key(&admin).send().await), "not_found");
        assert_eq!(code(&stand.delete(&path).key(&admin).send().await), "not_found");
    })
    .await;
}

#[tokio::test]
async fn given_a_key_that_ends_or_rotates_itself_when_done_then_it_is_answered_first() {
    let servers = [Server::Axum, Server::Actix, Server::AxumInLayer, Server::ActixInLayer];
    on_servers(
        servers,
        |console| console,
        async |stand| {
            for (method, what, body, status, after) in [
                ("POST", "/rotate", json!({"overlap_seconds": 0}), 200, 401),
                ("POST", "/disable", json!({}), 200, 401),
                ("POST", "/revoke", json!({}), 200, 401),
                ("DELETE", "", json!({}), 204, 401),
            ] {
                let issued = stand.issue("acme", &["*"]).await;
                let secret = secret_of(&issued);
                let path = format!("/keys/v1/api-keys/{}{what}", issued.id());
                stand.request(method, &path).key(&secret).json(&body).expect(status).await;
                assert_eq!(stand.get("/keys/v1/whoami").key(&secret).send().await.status, after, "{what}");
            }
            // Whoever holds a key may end it, whatever its scopes.
            let issued = stand.issue("acme", &["files:read"]).await;
            let secret = secret_of(&issued);
            let key =
                stand.post("/keys/v1/self-revoke").key(&secret).json(&json!({"reason": "leaked"})).expect(200).await;
            assert_eq!((&key["id"], &key["status"]), (&json!(issued.id().as_str()), &json!("revoked")));
            assert_eq!(stand.post("/keys/v1/self-revoke").key(&secret).send().await.status, 401);
        },
    )
    .await;
}

#[tokio::test]
async fn given_any_key_when_it_rotates_itself_then_both_secrets_work_and_a_lost_answer_is_made_good() {
    on_each(async |stand| {
        let issued = stand.issue("acme", &["files:read"]).await;
        let old = secret_of(&issued);
        let path = "/keys/v1/self-rotate";
        let ask = |secret: &str, seconds: u64| stand.post(path).key(secret).json(&json!({"overlap_seconds": seconds}));
        assert_eq!(fields(&ask(&old, 299).send().await), ["overlap_seconds: too_short"]);
        assert_eq!(fields(&ask(&old, 31_622_401).send().await), ["overlap_seconds: too_long"]);
        let lost = ask(&old, 300).expect(200).await;
        let answer = ask(&old, 300).send().await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let rotated = json(&answer);
        assert_eq!(
            (&rotated["key"]["id"], &rotated["key"]["scopes"]),
            (&json!(issued.id().as_str()), &json!(["files:read"]))
        );
        let status =
            async |secret: &Value| stand.get("/keys/v1/whoami").key(secret.as_str().unwrap()).send().await.status;
        assert_eq!(status(&lost["secret"]).await, 401);
        assert_eq!((status(&json!(old)).await, status(&rotated["secret"]).await), (200, 200));
        stand.clock.advance(std::time::Duration::from_secs(300));
        assert_eq!((status(&json!(old)).await, status(&rotated["secret"]).await), (401, 200));
    })
    .await;
}

#[tokio::test]
async fn given_a_host_that_forbids_it_when_a_key_rotates_itself_then_there_is_no_such_route() {
    on_each_with(
        |console| console.self_rotation(false),
        async |stand| {
            let secret = secret_of(&stand.issue("acme", &["*"]).await);
            let answer =
                stand.post("/keys/v1/self-rotate").key(&secret).json(&json!({"overlap_seconds": 300})).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (404, "not_found"));
            let document = stand.get("/keys/v1/openapi.json").expect(200).await;
            assert_eq!(document["paths"].get("/self-rotate"), None);
        },
    )
    .await;
}

#[tokio::test]
async fn given_a_plan_when_it_is_full_then_the_answer_says_how_full() {
    on_each(async |stand| {
        let admin = secret_of(&stand.issue("small", &["*"]).await);
        for n in 0..2 {
            issue(&stand, &admin, &json!({"name": format!("{n}")})).await;
        }
        let answer = stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": "one more"})).send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (409, "limit_reached"));
        let problem = json(&answer);
        assert_eq!((&problem["used"], &problem["allowed"]), (&json!(3), &json!(3)));
    })
    .await;
}

#[tokio::test]
async fn given_rights_that_do_not_suffice_when_issuing_then_nothing_more_is_handed_out() {
    on_each(async |stand| {
        let writer = secret_of(&stand.issue("acme", &["keys:write", "files:read"]).await);
        let ask = async |body: Value| stand.post("/keys/v1/api-keys").key(&writer).json(&body).send().await;
        let answer = ask(json!({"name": "x", "scopes": ["files:write"]})).await;
        assert_eq!((answer.status, code(&answer).as_str()), (403, "forbidden"));
        assert_eq!(answer.header("www-authenticate"), None);
        // What needs a scope says so as the layer does.
        let answer = ask(json!({"name": "x", "scopes": ["keys:read"]})).await;
        assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.ends_with("scope=\"keys:admin\""));
        assert_eq!(ask(json!({"name": "x", "scopes": ["files:read"]})).await.status, 201);
    })
    .await;
}
