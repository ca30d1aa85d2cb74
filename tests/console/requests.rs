//! Requests that are none, and what HTTP asks of every answer.

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
        // Where nothing is to be said, nothing else may be.
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
