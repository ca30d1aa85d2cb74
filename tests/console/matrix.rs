//! Who may do what: every route of the API, asked by everybody.

use std::collections::BTreeSet;

use apikey_manager::{NewAccount, ServiceAccountId};
use serde_json::{Value, json};

use crate::stand::{Stand, code, json as parsed, on_each, secret_of};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// No credential at all.
    Nothing,
    /// Any credential.
    Credential,
    /// This scope.
    Scope(&'static str),
}

/// What stands for `{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    None,
    Key,
    /// A key that is named even when it is gone.
    KeyOrNone,
    Account,
}

struct Row {
    method: &'static str,
    path: &'static str,
    needs: Needs,
    of: Of,
    /// A body that is taken.
    body: Option<Value>,
    /// The status for somebody who may.
    done: u16,
}

fn row(method: &'static str, path: &'static str, needs: Needs, of: Of, body: Option<Value>, done: u16) -> Row {
    Row { method, path, needs, of, body, done }
}

fn matrix() -> Vec<Row> {
    let (read, write, admin) = (Needs::Scope("keys:read"), Needs::Scope("keys:write"), Needs::Scope("keys:admin"));
    let named = || Some(json!({"name": "x"}));
    let overlap = || Some(json!({"overlap_seconds": 0}));
    vec![
        row("GET", "/health", Needs::Nothing, Of::None, None, 200),
        row("GET", "/openapi.json", Needs::Nothing, Of::None, None, 200),
        row("GET", "/whoami", Needs::Credential, Of::None, None, 200),
        row("POST", "/self-revoke", Needs::Credential, Of::None, None, 200),
        row("GET", "/scopes", read, Of::None, None, 200),
        row("GET", "/limits", read, Of::None, None, 200),
        row("GET", "/usage", read, Of::None, None, 200),
        row("GET", "/audit-events", read, Of::None, None, 200),
        row("GET", "/api-keys", read, Of::None, None, 200),
        row("POST", "/api-keys", write, Of::None, named(), 201),
        row("POST", "/api-keys/bulk-revoke", write, Of::None, Some(json!({"environment": "test"})), 200),
        row("GET", "/api-keys/{id}", read, Of::Key, None, 200),
        row("PATCH", "/api-keys/{id}", write, Of::Key, named(), 200),
        row("DELETE", "/api-keys/{id}", write, Of::Key, None, 204),
        row("POST", "/api-keys/{id}/rotate", write, Of::Key, overlap(), 200),
        row("POST", "/api-keys/{id}/end-overlap", write, Of::Key, None, 200),
        row("POST", "/api-keys/{id}/duplicate", write, Of::Key, None, 201),
        row("POST", "/api-keys/{id}/disable", write, Of::Key, None, 200),
        row("POST", "/api-keys/{id}/enable", write, Of::Key, None, 200),
        row("POST", "/api-keys/{id}/revoke", write, Of::Key, None, 200),
        row("GET", "/api-keys/{id}/usage", read, Of::KeyOrNone, None, 200),
        row("GET", "/api-keys/{id}/activity", read, Of::Key, None, 200),
        row("GET", "/service-accounts", read, Of::None, None, 200),
        row("POST", "/service-accounts", admin, Of::None, named(), 201),
        row("GET", "/service-accounts/{id}", read, Of::Account, None, 200),
        row("PATCH", "/service-accounts/{id}", admin, Of::Account, named(), 200),
        row("DELETE", "/service-accounts/{id}", admin, Of::Account, None, 204),
        row("POST", "/service-accounts/{id}/disable", admin, Of::Account, None, 200),
        row("POST", "/service-accounts/{id}/enable", admin, Of::Account, None, 200),
        row("POST", "/service-accounts/{id}/rotate-all", admin, Of::Account, overlap(), 200),
    ]
}

impl Row {
    async fn ask(&self, stand: &Stand, secret: Option<&str>, id: &str) -> support::wire::Answer {
        let span = if self.path.ends_with("usage") { "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z" } else { "" };
        let path = format!("/keys/v1{}{span}", self.path.replace("{id}", id));
        let mut request = stand.request(self.method, &path);
        if let Some(secret) = secret {
            request = request.key(secret);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        request.send().await
    }

    /// The id of something new in `organization`.
    async fn target(&self, stand: &Stand, organization: &str) -> String {
        match self.of {
            Of::Key | Of::KeyOrNone => stand.issue(organization, &["files:read"]).await.id().to_string(),
            Of::Account => account(stand, organization).await.to_string(),
            Of::None => String::new(),
        }
    }
}

async fn account(stand: &Stand, organization: &str) -> ServiceAccountId {
    stand.keys.create_account(&stand.host(organization), NewAccount::new("ci")).await.unwrap().id
}

/// The scopes by which one may, of those there are.
fn scopes_that_suffice(needs: Needs) -> &'static [&'static str] {
    match needs {
        Needs::Nothing | Needs::Credential => &["files:read", "keys:read", "keys:write", "keys:admin"],
        Needs::Scope("keys:read") => &["keys:read", "keys:write", "keys:admin"],
        Needs::Scope("keys:write") => &["keys:write", "keys:admin"],
        Needs::Scope(_) => &["keys:admin"],
    }
}

#[tokio::test]
async fn given_the_served_document_when_its_routes_are_listed_then_the_matrix_has_each_with_what_it_needs() {
    on_each(async |stand| {
        let document = stand.get("/keys/v1/openapi.json").expect(200).await;
        let mut served = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                let needs = match operation["security"].as_array().unwrap().as_slice() {
                    [] => "nothing".to_owned(),
                    [only] => only["api_key"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect(),
                    _ => panic!("{operation}"),
                };
                served.insert((method.to_uppercase(), path.clone(), needs));
            }
        }
        let rows = matrix().into_iter().map(|row| {
            let needs = match row.needs {
                Needs::Nothing => "nothing",
                Needs::Credential => "",
                Needs::Scope(scope) => scope,
            };
            (row.method.to_owned(), row.path.to_owned(), needs.to_owned())
        });
        assert_eq!(served, rows.collect());
    })
    .await;
}

#[tokio::test]
async fn given_every_route_when_asked_with_each_scope_then_only_those_that_suffice_may() {
    on_each(async |stand| {
        for row in matrix() {
            let enough = scopes_that_suffice(row.needs);
            for scope in ["files:read", "files:write", "keys:read", "keys:write", "keys:admin"] {
                // So that nothing is refused for what the target may do.
                let own = if scope.starts_with("keys:") { vec![scope, "files:read"] } else { vec![scope] };
                let secret = secret_of(&stand.issue("acme", &own).await);
                let id = row.target(&stand, "acme").await;
                let answer = row.ask(&stand, Some(&secret), &id).await;
                let told = format!("{} {} with {scope}: {answer:?}", row.method, row.path);
                let may = enough.contains(&scope) || row.needs == Needs::Nothing || row.needs == Needs::Credential;
                match row.needs {
                    Needs::Scope(needed) if !may => {
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
        for row in matrix() {
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
        for row in matrix().into_iter().filter(|row| row.of != Of::None) {
            let theirs = row.target(&stand, "globex").await;
            // Of the same length, and of nobody.
            let nobody = theirs[..theirs.len() - 1].to_owned() + if theirs.ends_with('0') { "1" } else { "0" };
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
        // And nothing was done to any of it.
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
