//! Malformed requests, and what HTTP requires of every answer.

use serde_json::json;

use crate::stand::{code, fields, json as parsed, on_each};

#[tokio::test]
async fn given_bodies_that_can_not_be_read_when_sent_then_the_answer_says_why() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let post = |content_type: &'static str, body: Vec<u8>| {
            stand.post("/keys/v1/api-keys").key(&admin).body(content_type, body)
        };
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
        let cases: &[(&'static str, Vec<u8>, u16, &str)] = &[
            ("application/json", b"{".to_vec(), 400, "invalid_json"),
            ("application/json", b"[]".to_vec(), 400, "invalid_json"),
            ("application/json", b"\"x\"".to_vec(), 400, "invalid_json"),
            ("application/json", b"{\"name\":\"\xff\"}".to_vec(), 400, "invalid_json"),
            ("application/json", br#"{"name":"a","name":"b"}"#.to_vec(), 400, "invalid_json"),
            ("application/json", br#"{"name":"a","metadata":{"x":1,"x":2}}"#.to_vec(), 400, "invalid_json"),
            ("application/json", br#"{"name":"a","metadata":{"\u0061":1,"a":2}}"#.to_vec(), 400, "invalid_json"),
            ("application/json", "[".repeat(1_000).into_bytes(), 400, "invalid_json"),
            ("application/json", Vec::new(), 400, "invalid_json"),
            ("application/json", long.into_bytes(), 413, "body_too_large"),
            ("text/plain", br#"{"name":"a"}"#.to_vec(), 415, "unsupported_media_type"),
            ("application/merge-patch+json", br#"{"name":"a"}"#.to_vec(), 415, "unsupported_media_type"),
            ("application/json-seq", br#"{"name":"a"}"#.to_vec(), 415, "unsupported_media_type"),
            ("application/json; charset=utf-8", br#"{"name":"a"}"#.to_vec(), 201, ""),
            ("APPLICATION/JSON", br#"{"name":"a"}"#.to_vec(), 201, ""),
        ];
        for (content_type, body, status, expected) in cases {
            let answer = post(content_type, body.clone()).send().await;
            assert_eq!(answer.status, *status, "{content_type} {}: {answer:?}", body.escape_ascii());
            if *status != 201 {
                assert_eq!(code(&answer), *expected);
            }
        }
        let zipped = post("application/json", br#"{"name":"a"}"#.to_vec()).header("content-encoding", "gzip");
        assert_eq!(zipped.send().await.status, 415);
        let untyped = stand.post("/keys/v1/api-keys").key(&admin).header("transfer-encoding", "chunked");
        let mut untyped = untyped;
        untyped.append(b"2\r\n{}\r\n0\r\n\r\n");
        assert_eq!(untyped.send().await.status, 415);
        let mut chunked = stand.post("/keys/v1/api-keys").key(&admin).header("transfer-encoding", "chunked");
        chunked = chunked.header("content-type", "application/json");
        let chunk = "x".repeat(0x8000);
        chunked.append(format!("{0:x}\r\n{1}\r\n{0:x}\r\n{1}\r\n{0:x}\r\n{1}\r\n0\r\n\r\n", 0x8000, chunk).as_bytes());
        assert_eq!(code(&chunked.send().await), "body_too_large");
        // Routes without input accept none.
        let issued = stand.issue("acme", &[]).await;
        let path = format!("/keys/v1/api-keys/{}/disable", issued.id());
        let answer = stand.post(&path).key(&admin).json(&json!({"reason": "x"})).send().await;
        assert_eq!(fields(&answer), ["reason: unknown"]);
        let answer = stand.post(&path).key(&admin).body("text/plain", "hello").send().await;
        assert_eq!(answer.status, 415);
        let answer = stand.patch(&path.replace("/disable", "")).key(&admin).body("text/plain", "{}").send().await;
        assert_eq!(answer.header("accept-patch"), Some("application/merge-patch+json, application/json"));
    })
    .await;
}

#[tokio::test]
async fn given_a_caller_without_rights_when_it_sends_a_body_then_the_body_is_not_looked_at() {
    on_each(async |stand| {
        let reader = crate::stand::secret_of(&stand.issue("acme", &["keys:read"]).await);
        for (content_type, body) in [("application/json", "{"), ("text/plain", "x")] {
            let answer = stand.post("/keys/v1/api-keys").key(&reader).body(content_type, body).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"));
            let answer = stand.post("/keys/v1/api-keys").body(content_type, body).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (401, "missing_credential"));
        }
    })
    .await;
}

#[tokio::test]
async fn given_paths_and_methods_that_are_not_when_asked_then_they_are_problems() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for path in
            ["/keys", "/keys/", "/keys/v1", "/keys/v1/", "/keys/v1/api-keys/", "/keys/v1/nothing", "/keys/v2/api-keys"]
        {
            let answer = stand.get(path).key(&admin).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (404, "not_found"), "{path}");
        }
        for (method, path, allow) in [
            ("PUT", "/keys/v1/api-keys", "GET, HEAD, POST"),
            ("OPTIONS", "/keys/v1/api-keys", "GET, HEAD, POST"),
            ("TRACE", "/keys/v1/api-keys/x", "GET, HEAD, PATCH, DELETE"),
            ("GET", "/keys/v1/api-keys/bulk-revoke", "POST"),
            ("GET", "/keys/v1/api-keys/x/rotate", "POST"),
            ("POST", "/keys/v1/health", "GET, HEAD"),
        ] {
            let answer = stand.request(method, path).key(&admin).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (405, "method_not_allowed"), "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allow));
        }
        for path in ["/keys/v1/whoami?x=1", "/keys/v1/health?x=1", "/keys/v1/openapi.json?x=1"] {
            assert_eq!(fields(&stand.get(path).key(&admin).send().await), ["x: unknown"], "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn given_head_when_asked_then_it_is_get_without_the_content() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for path in
            ["/keys/v1/api-keys", "/keys/v1/whoami", "/keys/v1/health", "/keys/v1/openapi.json", "/keys/v1/nothing"]
        {
            let get = stand.get(path).key(&admin).send().await;
            let head = stand.request("HEAD", path).key(&admin).send().await;
            assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
            for name in ["content-type", "content-length", "cache-control", "x-content-type-options"] {
                assert!(get.header(name).is_some(), "{path} {name}");
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
        }
        let answer = stand.request("HEAD", "/keys/v1/api-keys").send().await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""));
    })
    .await;
}

#[tokio::test]
async fn given_nobody_when_asking_then_health_and_the_document_are_all_there_is() {
    on_each(async |stand| {
        let health = stand.get("/keys/v1/health").send().await;
        assert_eq!((health.status, parsed(&health)), (200, json!({"status": "ok"})));
        let document = stand.get("/keys/v1/openapi.json").expect(200).await;
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"], json!([{"url": "../v1"}]));
    })
    .await;
}

#[tokio::test]
async fn given_texts_that_nothing_can_have_when_sent_then_the_field_is_named_whatever_the_database() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let id = stand.issue("acme", &[]).await.id().clone();
        let long = "x".repeat(129);
        let queries = [
            ("/keys/v1/api-keys", "environment", "environment"),
            ("/keys/v1/api-keys", "q", "q"),
            ("/keys/v1/usage", "environment", "environment"),
            ("/keys/v1/audit-events", "target", "target"),
        ];
        for (path, parameter, field) in queries {
            for (value, code) in [
                ("%00", "control_character"),
                ("li%00ve", "control_character"),
                ("%C2%85", "control_character"),
                (&*long, "too_long"),
            ] {
                let answer = stand.get(&format!("{path}?{parameter}={value}")).key(&admin).send().await;
                assert_eq!(fields(&answer), [format!("{field}: {code}")], "{path} {parameter} {value}");
            }
            for value in ["", "%E2%80%AE", "%F4%8F%BF%BF", "%27", "%25", "%5C", "%FF"] {
                let answer = stand.get(&format!("{path}?{parameter}={value}")).key(&admin).send().await;
                assert_eq!(answer.status, 200, "{path} {parameter} {value}: {answer:?}");
            }
        }
        for (path, parameter) in [
            ("/keys/v1/api-keys", "created_by"),
            ("/keys/v1/api-keys", "service_account"),
            ("/keys/v1/api-keys", "cursor"),
            ("/keys/v1/service-accounts", "cursor"),
            ("/keys/v1/audit-events", "actor"),
            ("/keys/v1/audit-events", "cursor"),
            ("/keys/v1/usage", "service_account"),
        ] {
            for value in ["%00", "1.%00", "a%00b", "1.key_%00", "%E2%80%AE"] {
                let answer = stand.get(&format!("{path}?{parameter}={value}")).key(&admin).send().await;
                assert_eq!(fields(&answer), [format!("{parameter}: malformed")], "{path} {parameter} {value}");
            }
        }
        for path in ["/keys/v1/api-keys", "/keys/v1/service-accounts", "/keys/v1/audit-events"] {
            let ask = async |at: &str| stand.get(&format!("{path}?cursor={at}.{id}")).key(&admin).send().await;
            for at in ["0", "253402300799999"] {
                let answer = ask(at).await;
                assert_eq!(answer.status, 200, "{path} {at}: {answer:?}");
            }
            // Outside the range of a timestamp, so no page ended there.
            for at in ["9223372036854775807", "-9223372036854775808", "253402300800000", "-1"] {
                assert_eq!(fields(&ask(at).await), ["cursor: malformed"], "{path} {at}");
            }
        }
        for path in ["/keys/v1/api-keys/%00", "/keys/v1/api-keys/a%00/activity", "/keys/v1/service-accounts/%00"] {
            let answer = stand.get(path).key(&admin).send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (404, "not_found"), "{path}");
        }
        let bodies = [
            ("environment", json!({"environment": "\0"})),
            ("environment", json!({"environment": long})),
            ("reason", json!({"environment": "live", "reason": "a\0"})),
            ("created_by", json!({"created_by": "a\0"})),
            ("service_account_id", json!({"service_account_id": "\0"})),
        ];
        for (field, body) in bodies {
            let answer = stand.post("/keys/v1/api-keys/bulk-revoke").key(&admin).json(&body).send().await;
            assert!(fields(&answer).iter().any(|told| told.starts_with(&format!("{field}: "))), "{body}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn given_names_that_are_not_what_they_look_like_when_sent_then_they_are_refused() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let id = stand.issue("acme", &[]).await.id().clone();
        let accounts = "/keys/v1/service-accounts";
        let account = stand.post(accounts).key(&admin).json(&json!({"name": "bot"})).expect(201).await;
        let (key, account) =
            (format!("/keys/v1/api-keys/{id}"), format!("{accounts}/{}", account["id"].as_str().unwrap()));
        for (name, code) in [
            (" ", "blank"),
            ("\u{3000}", "blank"),
            ("prod\u{202e}", "hidden_character"),
            ("\u{2066}prod\u{2069}", "hidden_character"),
            ("pr\u{200b}od", "hidden_character"),
            ("pr\u{200d}od", "hidden_character"),
            ("a\u{2028}b", "hidden_character"),
            ("a\nb", "control_character"),
            ("a\0b", "control_character"),
        ] {
            let body = json!({"name": name});
            for request in
                [stand.post("/keys/v1/api-keys"), stand.post(accounts), stand.patch(&key), stand.patch(&account)]
            {
                let answer = request.key(&admin).json(&body).send().await;
                assert_eq!(fields(&answer), [format!("name: {code}")], "{body}");
            }
            if code != "blank" {
                let body = json!({"name": "a", "description": name});
                let answer = stand.post("/keys/v1/api-keys").key(&admin).json(&body).send().await;
                assert_eq!(fields(&answer), [format!("description: {code}")], "{body}");
                let answer =
                    stand.post(&format!("{key}/revoke")).key(&admin).json(&json!({"reason": name})).send().await;
                assert_eq!(fields(&answer), [format!("reason: {code}")], "{body}");
            }
        }
        for name in ["مفتاح", "מפתח", "می\u{200c}خواهم", "👩\u{200d}💻", "❤\u{fe0f}", "日本語\u{3000}キー"]
        {
            let key = stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": name})).expect(201).await;
            assert_eq!(key["key"]["name"], name);
        }
    })
    .await;
}

#[tokio::test]
async fn given_thousands_of_mistakes_when_sent_then_the_answer_is_short_and_says_how_many() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let scopes = |count: usize| (0..count).map(|n| format!("f{n}:x")).collect::<Vec<_>>();
        let unknown: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("f{n}"), json!(1))).collect();
        let query: Vec<_> = (0..300).map(|n| format!("p{n}=1")).collect();
        let post = |body| stand.post("/keys/v1/api-keys").key(&admin).json(&body);
        let long = json!({"name": "x".repeat(60_000)});
        let cases = [
            (post(json!({"name": "a", "scopes": scopes(200)})), 51, "and 150 more"),
            (post(json!({"name": "a", "scopes": scopes(5_000)})), 1, "at most 200 scopes are allowed"),
            (post(json!(unknown)), 51, "and 4951 more"),
            (post(long), 1, "at most 100 characters are allowed"),
            (post(json!({"x".repeat(60_000): 1, "name": "a"})), 1, "is not a known field"),
            (stand.get(&format!("/keys/v1/api-keys?{}", query.join("&"))).key(&admin), 51, "and 250 more"),
            (stand.get(&format!("/keys/v1/api-keys?q={}", "x".repeat(6_000))).key(&admin), 1, "at most 100 characters"),
        ];
        for (request, count, last) in cases {
            let answer = request.send().await;
            assert_eq!((answer.status, code(&answer).as_str()), (422, "invalid"), "{answer:?}");
            assert!(answer.body.len() < 8_192, "{} bytes: {last}", answer.body.len());
            let errors = parsed(&answer)["errors"].as_array().unwrap().clone();
            assert_eq!(errors.len(), count, "{last}");
            assert!(errors[count - 1]["message"].as_str().unwrap().contains(last), "{errors:?}");
        }
    })
    .await;
}
