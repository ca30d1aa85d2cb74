//! Keys for live and for test: each environment refuses the other's keys.

use serde_json::json;

use crate::{
    contract::{
        http::{Request, json as parsed},
        service::{Folder, Service},
    },
    keys::add_in,
};

/// Runs the service for both environments, in one folder.
fn both(folder: &Folder, settings: &[(&str, &str)]) -> [Service; 2] {
    ["live", "test"].map(|environment| {
        let own = [("ADDR", "127.0.0.1:0"), ("ENVIRONMENT", environment)];
        folder.launch_with(&[], &[&own, settings].concat()).ready()
    })
}

fn issue(folder: &Folder, environment: &str, settings: &[(&str, &str)], scopes: &[&str]) -> String {
    add_in(folder, &[&[("ENVIRONMENT", environment)], settings].concat(), environment, scopes)
}

const SHARED: [(&str, &str); 1] = [("DATABASE_URL", "sqlite:shared.db")];

#[test]
fn given_live_and_test_when_keys_are_sent_to_the_other_then_they_are_refused_as_any_bad_key() {
    for settings in [&[][..], &SHARED] {
        let folder = Folder::new();
        let services = both(&folder, settings);
        let keys = ["live", "test"].map(|environment| issue(&folder, environment, settings, &["environments:read"]));
        for (own, key) in keys.iter().enumerate() {
            assert!(key.starts_with(["tsk_live_", "tsk_test_"][own]), "{key}");
            let ask = |service: &Service, path| service.send(&Request::new("GET", path).bearer(key));
            for path in ["/v1/environments", "/keys/v1/whoami"] {
                assert_eq!(ask(&services[own], path).status, 200, "{settings:?}");
                let refused = ask(&services[1 - own], path);
                assert_eq!(refused.status, 401, "{settings:?}: {refused:?}");
                let code = parsed(&refused.body)["code"].clone();
                assert_eq!(code, "invalid_token", "nothing tells why");
            }
        }
    }
}

#[test]
fn given_a_key_of_another_organization_when_used_then_it_reaches_nothing() {
    let folder = Folder::new();
    let service = folder.start();
    let issue = ["keys", "--organization", "other", "issue", "stranger", "*", "--key-output", "stdout"];
    let key = folder.launch_with(&issue, &[]).end().1.remove(0);
    let whoami = service.send(&Request::new("GET", "/keys/v1/whoami").bearer(&key));
    assert_eq!(parsed(&whoami.body)["organization"], "other");
    for path in ["/v1/environments", "/v1/account", "/v1/aggregators", "/v1/environments/a/files/b/content"] {
        let refused = service.send(&Request::new("GET", path).bearer(&key));
        assert_eq!((refused.status, &parsed(&refused.body)["code"]), (403, &json!("wrong_organization")), "{path}");
    }
}

#[test]
fn given_a_key_for_test_when_sent_to_live_then_the_log_says_why_it_was_refused() {
    let folder = Folder::new();
    let key = issue(&folder, "test", &[], &[]);
    let service = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("LOG", "debug")]).ready();
    assert_eq!(service.send(&Request::new("GET", "/v1/environments").bearer(&key)).status, 401);
    service.wait_for_log("wrong_environment");
}

#[test]
fn given_a_shared_database_when_test_s_keys_are_managed_then_live_s_are_not_there_and_none_can_be_made() {
    let folder = Folder::new();
    let [live, test] = both(&folder, &SHARED);
    let live_key = issue(&folder, "live", &SHARED, &["*"]);
    let admin = issue(&folder, "test", &SHARED, &["*"]);
    let manage = |method, path, body: &str| test.send(&Request::new(method, path).bearer(&admin).json(body));

    let listed = parsed(&test.send(&Request::new("GET", "/keys/v1/api-keys").bearer(&admin)).body);
    let environments: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| &key["environment"]).collect();
    assert_eq!(environments, ["test"], "{listed}");

    let live_id = {
        let own = live.send(&Request::new("GET", "/keys/v1/whoami").bearer(&live_key));
        parsed(&own.body)["key"]["id"].as_str().unwrap().to_owned()
    };
    let path = format!("/keys/v1/api-keys/{live_id}/revoke");
    assert_eq!(manage("POST", &path, "{}").status, 404);

    let wanted = json!({ "name": "live one", "environment": "live" }).to_string();
    assert_eq!(manage("POST", "/keys/v1/api-keys", &wanted).status, 422);
    let made = manage("POST", "/keys/v1/api-keys", r#"{"name":"one"}"#);
    assert!(parsed(&made.body)["secret"].as_str().unwrap().starts_with("tsk_test_"));
}

#[test]
fn given_an_environment_that_is_not_known_when_started_then_it_ends_and_says_so() {
    let folder = Folder::new();
    for arguments in [&[][..], &["keys", "issue", "reader"]] {
        let settings = [("ADDR", "127.0.0.1:0"), ("ENVIRONMENT", "staging")];
        let (status, out, err) = folder.launch_with(arguments, &settings).end();
        assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
        assert!(err.iter().any(|line| line.contains("ENVIRONMENT: \"staging\" is neither live nor test")), "{err:?}");
    }
    assert_eq!(folder.names(), [""; 0]);
}
