//! Mount points of a console, and its addresses there.

use apikey_console::Console;
use serde_json::json;
use url::Url;

use crate::stand::{json as parsed, on_each, on_each_with};

/// Resolves a reference against the path that it came from (RFC 3986 §5.2).
fn resolved(base: &str, reference: &str) -> String {
    let base = Url::parse("http://service.example").unwrap().join(base).unwrap();
    base.join(reference).unwrap().path().to_owned()
}

#[tokio::test]
async fn given_a_console_under_a_path_when_it_names_addresses_then_they_lead_where_it_says() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        let account = json!({"name": "x"});
        let issued = stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": "x"})).expect(201).await;
        let duplicate = format!("/keys/v1/api-keys/{}/duplicate", issued["key"]["id"].as_str().unwrap());
        for (path, body) in [
            ("/keys/v1/api-keys", json!({"name": "x"})),
            ("/keys/v1/service-accounts", account),
            (&duplicate, json!({})),
        ] {
            let answer = stand.post(path).key(&admin).json(&body).send().await;
            let location = resolved(path, answer.header("location").unwrap());
            assert_eq!(stand.get(&location).key(&admin).send().await.status, 200, "{location}");
            // Behind a proxy that adds a prefix, the reference leads to the same resource.
            let outside = resolved(&format!("/proxy{path}"), answer.header("location").unwrap());
            assert_eq!(outside, format!("/proxy{location}"));
        }
        let document = stand.get("/keys/v1/openapi.json").expect(200).await;
        // Paths are appended to the server's address (OpenAPI 3.1, "Paths Object").
        let server = document["servers"][0]["url"].as_str().unwrap();
        for (at, expected) in [
            ("/keys/v1/openapi.json", "/keys/v1/api-keys"),
            ("/v1/openapi.json", "/v1/api-keys"),
            ("/proxy/a/keys/v1/openapi.json", "/proxy/a/keys/v1/api-keys"),
        ] {
            assert_eq!(resolved(at, server) + "/api-keys", expected);
        }
        assert_eq!(stand.get("/keys/v1/api-keys").key(&admin).send().await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn given_a_public_path_when_addresses_are_named_then_they_begin_with_it() {
    for (path, expected) in [("/api/keys", "/api/keys"), ("api/keys/", "/api/keys"), ("/", "")] {
        let configure = |console: Console| console.public_path(path);
        on_each_with(configure, async |stand| {
            let admin = stand.admin().await;
            let answer = stand.post("/keys/v1/api-keys").key(&admin).json(&json!({"name": "x"})).send().await;
            let id = parsed(&answer)["key"]["id"].as_str().unwrap().to_owned();
            assert_eq!(answer.header("location"), Some(format!("{expected}/v1/api-keys/{id}").as_str()));
            let document = stand.get("/keys/v1/openapi.json").expect(200).await;
            assert_eq!(document["servers"], json!([{"url": format!("{expected}/v1")}]));
        })
        .await;
    }
}
