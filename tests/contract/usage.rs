//! What a key did, as the quickstarts tell its holder.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test, which is what it is for")]

use apikey_testkit::PrivatePostgres;

use crate::{
    contract::{
        http::{Request, json},
        service::{Folder, Launch, Service},
    },
    keys::{add, add_in, status_of},
};

/// `[ok, refused]` of the key's last day, once it is the sum of its hours.
fn usage_of(service: &Service, key: &str) -> [u64; 2] {
    let answer = service.send(&Request::new("GET", "/usage").bearer(key));
    assert_eq!(answer.status, 200, "{answer:?}");
    let usage = json(&answer.body);
    let names = ["ok", "refused"];
    let hours = usage["hours"].as_array().unwrap();
    for hour in hours {
        let start = hour["hour"].as_str().unwrap();
        assert!(start.ends_with(":00:00Z"), "{usage}");
    }
    let total = names.map(|name| usage[name].as_u64().unwrap());
    let sum = names.map(|name| hours.iter().map(|hour| hour[name].as_u64().unwrap()).sum::<u64>());
    assert_eq!(total, sum, "{usage}");
    total
}

#[test]
fn given_a_key_that_was_used_when_it_asks_for_its_usage_then_what_it_did_is_listed_and_nothing_else() {
    let folder = Folder::new();
    let service = folder.start();
    let [reader, writer] = ["files:read", "files:write"].map(|scope| add(&folder, "one", &[scope]));
    for _ in 0..3 {
        assert_eq!(status_of(&service, "/files", &reader), 200);
    }
    assert_eq!(status_of(&service, "/files", &writer), 403);
    // The question counts as well.
    assert_eq!([usage_of(&service, &reader), usage_of(&service, &reader)], [[4, 0], [5, 0]]);
    assert_eq!(usage_of(&service, &writer), [1, 1]);
}

#[test]
fn given_a_key_that_was_used_when_asked_to_stop_then_no_usage_is_lost() {
    let folder = Folder::new();
    let service = folder.start();
    let reader = add(&folder, "reader", &["files:read"]);
    for _ in 0..100 {
        assert_eq!(status_of(&service, "/files", &reader), 200);
    }
    assert_eq!(status_of(&service, "/whoami", &reader), 200);
    assert_eq!(service.send(&Request::new("POST", "/files").bearer(&reader).json("{}")).status, 403);
    service.stop();

    assert_eq!(usage_of(&folder.start(), &reader), [102, 1]);
}

#[test]
fn given_postgres_and_several_services_when_they_have_stopped_then_what_each_counted_is_added_up() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let settings = [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())];
    let folder = Folder::new();
    let services = [(); 3].map(|()| folder.launch_with(&[], &settings)).map(Launch::ready);
    let reader = add_in(&folder, &settings, "reader", &["files:read"]);
    for service in &services {
        assert_eq!(status_of(service, "/files", &reader), 200);
    }
    services.into_iter().for_each(Service::stop);
    assert_eq!(usage_of(&folder.launch_with(&[], &settings).ready(), &reader), [4, 0]);
}

/// Each template is whole, so these files stand in both.
#[test]
fn given_both_frameworks_then_keys_are_kept_by_the_same_code() {
    let pairs = [
        (
            include_str!("../../examples/axum-quickstart/src/files.rs"),
            include_str!("../../examples/actix-quickstart/src/files.rs"),
        ),
        (
            include_str!("../../examples/axum-quickstart/src/keys.rs"),
            include_str!("../../examples/actix-quickstart/src/keys.rs"),
        ),
        (
            include_str!("../../examples/axum-quickstart/src/usage.rs"),
            include_str!("../../examples/actix-quickstart/src/usage.rs"),
        ),
    ];
    for (axum, actix) in pairs {
        assert_eq!(axum.replace("axum_apikey", "actix_apikey").lines().count(), actix.lines().count());
        let without_imports =
            |text: &'static str| text.lines().filter(|line| !line.starts_with("use ")).collect::<Vec<_>>();
        assert_eq!(without_imports(actix), without_imports(axum));
    }
}
