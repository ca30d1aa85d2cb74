//! The signed list: its contents and its signature.

use apikey_testkit::PrivatePostgres;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use crate::{
    contract::{
        http::{Request, json as parsed},
        service::{Folder, Launch, Service},
    },
    stand::{Stand, expect},
};

/// Reads a list as its users do: finds the key by its id, verifies, and only then reads.
fn verified(list: &str, key_set: &Value) -> Option<Value> {
    let (signed, signature) = list.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    let key = key_set["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    assert_eq!((&header["alg"], &key["kty"], &key["crv"]), (&json!("EdDSA"), &json!("OKP"), &json!("Ed25519")));
    let key = BASE64.decode(key["x"].as_str()?).ok()?;
    let key = VerifyingKey::from_bytes(&key.try_into().ok()?).ok()?;
    let signature = Signature::from_slice(&BASE64.decode(signature).ok()?).ok()?;
    key.verify_strict(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

/// Returns the list of a service after verifying its signature with the published key.
fn list_of(service: &Service, key: &str) -> Value {
    let key_set = parsed(&service.send(&Request::new("GET", "/.well-known/jwks.json")).body);
    let answer = service.send(&Request::new("GET", "/revocation-list").bearer(key));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jose")), "{answer:?}");
    verified(&answer.body, &key_set).unwrap()
}

fn revoke(stand: &Stand, id: &str) {
    expect(201, &stand.tell(&stand.admin, "POST", "/revocations", &json!({"id": id})));
}

#[test]
fn given_a_change_when_the_list_is_fetched_then_it_is_a_newer_version_with_it_and_its_signature_holds() {
    let stand = Stand::new();
    let authorizer = stand.issue_role("authorizer").secret;
    let list = || list_of(&stand.service, &authorizer);
    let first = list();
    assert_eq!((&first["tenant"], &first["version"], &first["revoked"]), (&json!("main"), &json!(1), &json!([])));
    assert!(first["issued_at"].as_str().unwrap().ends_with('Z'), "{first}");
    revoke(&stand, "b");
    revoke(&stand, "a");
    let third = list();
    assert_eq!((&third["version"], &third["revoked"]), (&json!(3), &json!(["a", "b"])));
    assert_eq!(stand.ask(&stand.admin, "DELETE", "/revocations/b").status, 204);
    assert_eq!((&list()["version"], &list()["revoked"]), (&json!(4), &json!(["a"])));
}

#[test]
fn given_a_list_when_any_part_is_altered_or_the_key_is_another_then_it_does_not_verify() {
    let stand = Stand::new();
    revoke(&stand, "card-1842");
    let keys = stand.get("/.well-known/jwks.json");
    let list = stand.ask(&stand.admin, "GET", "/revocation-list").body;
    assert!(verified(&list, &keys).is_some());
    for (at, _) in list.char_indices().step_by(7) {
        let other = if list.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut altered = list.clone();
        altered.replace_range(at..=at, other);
        assert_eq!(verified(&altered, &keys), None, "{at}");
    }
    let mut others = Stand::new().get("/.well-known/jwks.json");
    others["keys"][0]["kid"] = keys["keys"][0]["kid"].clone();
    assert_eq!(verified(&list, &others), None);
}

#[test]
fn given_changes_that_are_not_signed_at_once_when_asked_to_regenerate_then_the_list_has_them() {
    let stand = Stand::new();
    expect(200, &stand.tell(&stand.admin, "PATCH", "/settings", &json!({"name": "North", "sign_on_change": false})));
    revoke(&stand, "a");
    let before = list_of(&stand.service, &stand.admin);
    assert_eq!((&before["tenant"], &before["version"], &before["revoked"]), (&json!("main"), &json!(1), &json!([])));
    // The check still knows it.
    assert_eq!(stand.get("/revocations/a/check")["revoked"], true);
    let answer = stand.ask(&stand.admin, "POST", "/revocation-list");
    let signed = verified(&answer.body, &stand.get("/.well-known/jwks.json")).unwrap();
    assert_eq!(
        (&signed["tenant"], &signed["version"], &signed["revoked"]),
        (&json!("North"), &json!(2), &json!(["a"]))
    );
    assert_eq!(list_of(&stand.service, &stand.admin), signed);
}

#[test]
fn given_a_signing_key_from_the_environment_when_started_then_the_list_is_signed_anew_with_it() {
    let stand = Stand::new();
    revoke(&stand, "a");
    let own = stand.get("/.well-known/jwks.json");
    let Stand { folder, service, admin } = stand;
    service.stop();
    let key = BASE64.encode([7; 32]);
    let settings = [("ADDR", "127.0.0.1:0"), ("SIGNING_KEY", key.as_str())];
    let service = folder.launch_with(&[], &settings).ready();
    let given = parsed(&service.send(&Request::new("GET", "/.well-known/jwks.json")).body);
    assert_ne!(given, own);
    assert_eq!(list_of(&service, &admin)["revoked"], json!(["a"]));
    service.stop();

    let settings = [("ADDR", "127.0.0.1:0"), ("SIGNING_KEY", "hunter2")];
    let (status, out, err) = folder.launch_with(&[], &settings).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.starts_with("Error: SIGNING_KEY: ")), "{err:?}");
    assert!(!err.concat().contains("hunter2"), "{err:?}");
}

#[test]
fn given_postgres_and_4_services_when_each_revokes_then_all_serve_one_list_that_has_everything() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let settings = [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())];
    let folder = Folder::new();
    let services = [(); 4].map(|()| folder.launch_with(&[], &settings)).map(Launch::ready);
    let admin = services.iter().find_map(|service| service.key.clone()).unwrap();
    std::thread::scope(|scope| {
        for (at, service) in services.iter().enumerate() {
            let (admin, address) = (&admin, &service.address);
            scope.spawn(move || {
                for number in 0..10 {
                    let body = json!({"id": format!("{at}-{number}")}).to_string();
                    let answer = Request::new("POST", "/revocations").bearer(admin).json(body).send(address);
                    assert_eq!(answer.status, 201, "{answer:?}");
                }
            });
        }
    });
    let lists = services.each_ref().map(|service| list_of(service, &admin));
    assert_eq!(lists[0]["revoked"].as_array().unwrap().len(), 40, "{}", lists[0]);
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    let status = services[0].send(&Request::new("DELETE", "/revocations/0-0").bearer(&admin)).status;
    let renamed = Request::new("PATCH", "/settings").bearer(&admin).json(r#"{"name":"North"}"#);
    assert_eq!((status, services[1].send(&renamed).status), (204, 200));
    assert_eq!(list_of(&services[2], &admin)["revoked"].as_array().unwrap().len(), 39);
}
