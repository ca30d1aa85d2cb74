//! Access rights: every route of the served document, called by every kind of caller.

use apikey_manager::{AlertFilter, NewAccount, NewWebhook, PageRequest, ServiceAccountId, WebhookId};
use serde_json::{Value, json};

use crate::stand::{Stand, code, fields, json as parsed, on_each, secret_of};

/// The credential that a route requires.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Needs {
    /// No credential.
    Nothing,
    /// Any credential.
    Credential,
    /// This scope.
    Scope(String),
}

/// The value of `{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    None,
    Key,
    /// The id of a key, which may already be deleted.
    KeyOrNone,
    Account,
    Alert,
    Webhook,
    /// The ids of a webhook and of one of its deliveries, which was not given up.
    Delivery,
}

/// A route, as the document describes it.
struct Row {
    method: String,
    path: String,
    needs: Needs,
    of: Of,
    /// A valid body.
    body: Option<Value>,
    /// The status for an authorized caller.
    done: u16,
    takes_precondition: bool,
    takes_idempotency_key: bool,
}

/// Returns the routes of the document that `stand` serves.
async fn matrix(stand: &Stand) -> Vec<Row> {
    let document = stand.get("/keys/v1/openapi.json").expect(200).await;
    let paths = document["paths"].as_object().unwrap().iter();
    let rows: Vec<Row> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        })
        .map(|(path, method, operation)| row(&document, path, method, operation))
        .collect();
    assert!(rows.len() >= 30, "{} routes", rows.len());
    rows
}

fn row(document: &Value, path: &str, method: &str, operation: &Value) -> Row {
    let needs = match operation["security"].as_array().unwrap().as_slice() {
        [] => Needs::Nothing,
        [only] => match only["api_key"].as_array().unwrap().as_slice() {
            [] => Needs::Credential,
            [scope] => Needs::Scope(scope.as_str().unwrap().to_owned()),
            _ => panic!("{operation}"),
        },
        _ => panic!("{operation}"),
    };
    let of = match path {
        _ if !path.contains("{id}") => Of::None,
        "/api-keys/{id}/usage" => Of::KeyOrNone,
        _ if path.starts_with("/api-keys/") => Of::Key,
        _ if path.starts_with("/service-accounts/") => Of::Account,
        _ if path.starts_with("/alerts/") => Of::Alert,
        _ if path.contains("{delivery_id}") => Of::Delivery,
        _ if path.starts_with("/webhooks/") => Of::Webhook,
        _ => panic!("what is {path} of?"),
    };
    let takes =
        |header: &str| operation["parameters"].as_array().into_iter().flatten().any(|one| one["name"] == header);
    let done = operation["responses"].as_object().unwrap().keys().find_map(|status| match status.parse() {
        Ok(done @ 200..300) => Some(done),
        _ => None,
    });
    Row {
        method: method.to_uppercase(),
        path: path.to_owned(),
        needs,
        of,
        body: operation.get("requestBody").map(|body| smallest(document, body)),
        done: if of == Of::Delivery { 409 } else { done.unwrap() },
        takes_precondition: takes("If-Match"),
        takes_idempotency_key: takes("Idempotency-Key"),
    }
}

/// Returns the smallest valid body.
fn smallest(document: &Value, body: &Value) -> Value {
    let reference = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    let name = reference.rsplit('/').next().unwrap();
    if name == "BulkRevocation" {
        // A schema can't express that one of several fields is required.
        return json!({"environment": "test"});
    }
    let schema = &document["components"]["schemas"][name];
    let minimum = schema["properties"]["overlap_seconds"]["minimum"].clone();
    let required = schema["required"].as_array().into_iter().flatten();
    let member = move |name: &Value| match name.as_str().unwrap() {
        "name" => ("name".to_owned(), json!("x")),
        "url" => ("url".to_owned(), json!("https://example.com/hook")),
        "overlap_seconds" => ("overlap_seconds".to_owned(), minimum.clone()),
        other => panic!("a value for {other}"),
    };
    required.map(member).collect()
}

impl Row {
    async fn ask(&self, stand: &Stand, secret: Option<&str>, id: &str) -> support::wire::Answer {
        let span = if self.path.ends_with("usage") { "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z" } else { "" };
        let path = format!("/keys/v1{}{span}", self.path_of(id));
        let mut request = stand.request(&self.method, &path);
        if let Some(secret) = secret {
            request = request.key(secret);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        request.send().await
    }

    fn path_of(&self, id: &str) -> String {
        let (id, delivery) = id.split_once(' ').unwrap_or((id, id));
        self.path.replace("{id}", id).replace("{delivery_id}", delivery)
    }

    /// Returns the id of a new object in `organization`.
    async fn target(&self, stand: &Stand, organization: &str) -> String {
        match self.of {
            Of::Key | Of::KeyOrNone => stand.issue(organization, &["files:read"]).await.id().to_string(),
            Of::Account => account(stand, organization).await.to_string(),
            Of::Alert => {
                stand.issue(organization, &["files:read"]).await;
                let host = stand.host(organization);
                let alerts = stand.keys.alerts(&host, AlertFilter::default(), PageRequest::first()).await.unwrap();
                alerts.items[0].id.to_string()
            }
            Of::Webhook => webhook(stand, organization).await.to_string(),
            Of::Delivery => {
                let (webhook, host) = (webhook(stand, organization).await, stand.host(organization));
                stand.issue(organization, &["files:read"]).await;
                let deliveries = stand.keys.deliveries(&host, &webhook, None, PageRequest::first()).await.unwrap();
                format!("{webhook} {}", deliveries.items[0].id)
            }
            Of::None => String::new(),
        }
    }
}

async fn account(stand: &Stand, organization: &str) -> ServiceAccountId {
    stand.keys.create_account(&stand.host(organization), NewAccount::new("ci")).await.unwrap().id
}

/// An organization has one webhook at a time, as it may have few.
async fn webhook(stand: &Stand, organization: &str) -> WebhookId {
    let host = stand.host(organization);
    for old in stand.keys.list_webhooks(&host).await.unwrap() {
        stand.keys.delete_webhook(&host, &old.id).await.unwrap();
    }
    stand.keys.create_webhook(&host, NewWebhook::new("https://example.com/hook")).await.unwrap().id
}

/// Returns the scopes that imply this one.
fn scopes_that_suffice(scope: &str) -> &'static [&'static str] {
    match scope {
        "keys:read" => &["keys:read", "keys:write", "keys:admin"],
        "keys:write" => &["keys:write", "keys:admin"],
        "keys:admin" => &["keys:admin"],
        _ => panic!("what implies {scope}?"),
    }
}

#[tokio::test]
async fn given_every_route_when_sent_what_it_does_not_declare_then_it_refuses() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for row in matrix(&stand).await {
            let id = row.target(&stand, "acme").await;
            let path = format!("/keys/v1{}", row.path_of(&id));
            let ask = |query: &str, body: &Value| {
                let request = stand.request(&row.method, &format!("{path}{query}")).key(&admin);
                if row.method == "GET" { request } else { request.json(body) }
            };
            let body = row.body.clone().unwrap_or(json!({}));
            let told = format!("{} {}", row.method, row.path);
            let answer = ask("?nothing=1", &body).send().await;
            assert_eq!(fields(&answer), ["nothing: unknown"], "{told}");
            let answer = ask("", &body).header("if-match", "nonsense").send().await;
            match (row.method.as_str(), row.takes_precondition) {
                ("GET", _) => assert_eq!(answer.status, row.done, "{told}: {answer:?}"),
                (_, true) => assert_eq!(code(&answer), "invalid_precondition", "{told}"),
                (_, false) => assert_eq!(code(&answer), "unsupported_precondition", "{told}"),
            }
            if row.takes_idempotency_key {
                let answer = ask("", &body).header("idempotency-key", "a b").send().await;
                assert_eq!(code(&answer), "invalid_idempotency_key", "{told}");
            }
            if row.method != "GET" {
                let mut body = body;
                body["nothing"] = json!(1);
                assert_eq!(fields(&ask("", &body).send().await), ["nothing: unknown"], "{told}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn given_every_route_when_asked_with_each_scope_then_only_those_that_suffice_may() {
    on_each(async |stand| {
        for row in matrix(&stand).await {
            for scope in ["files:read", "files:write", "keys:read", "keys:write", "keys:admin"] {
                // Makes sure that nothing is refused for the target's own rights.
                let own = if scope.starts_with("keys:") { vec![scope, "files:read"] } else { vec![scope] };
                let secret = secret_of(&stand.issue("acme", &own).await);
                let id = row.target(&stand, "acme").await;
                let answer = row.ask(&stand, Some(&secret), &id).await;
                let told = format!("{} {} with {scope}: {answer:?}", row.method, row.path);
                match &row.needs {
                    Needs::Scope(needed) if !scopes_that_suffice(needed).contains(&scope) => {
                        assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"), "{told}");
                        let challenge = answer.header("www-authenticate").unwrap();
                        assert!(challenge.contains("error=\"insufficient_scope\""), "{told}");
                        assert!(challenge.ends_with(&format!("scope=\"{needed}\"")), "{told}");
                    }
                    _ => assert_eq!(answer.status, row.done, "{told}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn given_no_key_or_a_bad_one_when_any_route_is_asked_then_the_answer_is_the_layer_s() {
    on_each(async |stand| {
        let revoked = stand.issue("acme", &["*"]).await;
        stand.keys.revoke(&stand.host("acme"), revoked.id(), "").await.unwrap();
        let revoked = secret_of(&revoked);
        for row in matrix(&stand).await {
            let id = row.target(&stand, "acme").await;
            for (secret, expected) in
                [(None, "missing_credential"), (Some(revoked.as_str()), "invalid_token"), (Some("x"), "invalid_token")]
            {
                let answer = row.ask(&stand, secret, &id).await;
                let told = format!("{} {} with {secret:?}: {answer:?}", row.method, row.path);
                if row.needs == Needs::Nothing {
                    assert_eq!(answer.status, row.done, "{told}");
                    continue;
                }
                assert_eq!((answer.status, code(&answer).as_str()), (401, expected), "{told}");
                let layer = stand.get("/files");
                let layer = secret.map_or(stand.get("/files"), |secret| layer.key(secret)).send().await;
                assert_eq!(answer.header("www-authenticate"), layer.header("www-authenticate"), "{told}");
                assert_eq!(answer.body, layer.body, "{told}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn given_something_of_another_organization_when_named_then_it_is_as_if_there_were_none() {
    on_each(async |stand| {
        let admin = stand.admin().await;
        for row in matrix(&stand).await.into_iter().filter(|row| row.of != Of::None) {
            let theirs = row.target(&stand, "globex").await;
            // An id of the same length that doesn't exist.
            let nobody = match row.of {
                Of::Alert => "alt_00000000000999999999".to_owned(),
                _ => theirs[..theirs.len() - 1].to_owned() + if theirs.ends_with('0') { "1" } else { "0" },
            };
            let stranger = row.ask(&stand, Some(&admin), &theirs).await;
            let unknown = row.ask(&stand, Some(&admin), &nobody).await;
            let told = format!("{} {}: {stranger:?}", row.method, row.path);
            assert_eq!(stranger.lines(), unknown.lines(), "{told}");
            match row.of {
                Of::KeyOrNone => assert_eq!(stranger.status, 200, "{told}"),
                _ => {
                    assert_eq!((stranger.status, code(&stranger).as_str()), (404, "not_found"), "{told}");
                    let malformed = row.ask(&stand, Some(&admin), "a%20b").await;
                    assert_eq!(malformed.lines(), stranger.lines(), "{told}");
                }
            }
        }
        // None of them was changed.
        let globex = secret_of(&stand.issue("globex", &["*"]).await);
        let list = stand.get("/keys/v1/api-keys?limit=200").key(&globex).expect(200).await;
        assert!(list["items"].as_array().unwrap().iter().all(|key| key["version"] == 1), "{list}");
        let list = stand.get("/keys/v1/api-keys?limit=200").key(&admin).expect(200).await;
        assert!(list["items"].as_array().unwrap().iter().all(|key| key["organization"] == "acme"), "{list}");
    })
    .await;
}

#[tokio::test]
async fn given_a_key_that_loses_its_rights_when_it_asks_again_then_it_is_refused_as_any_other() {
    on_each(async |stand| {
        let issued = stand.issue("acme", &["keys:write"]).await;
        let secret = secret_of(&issued);
        let body = json!({"name": "x"});
        stand.post("/keys/v1/api-keys").key(&secret).json(&body).expect(201).await;
        let admin = stand.admin().await;
        let path = format!("/keys/v1/api-keys/{}", issued.id());
        stand.patch(&path).key(&admin).json(&json!({"scopes": ["keys:read"]})).expect(200).await;
        let answer = stand.post("/keys/v1/api-keys").key(&secret).json(&body).send().await;
        assert_eq!((answer.status, code(&answer).as_str()), (403, "insufficient_scope"));
        assert_eq!(parsed(&stand.get("/keys/v1/whoami").key(&secret).send().await)["scopes"], json!(["keys:read"]));
    })
    .await;
}
