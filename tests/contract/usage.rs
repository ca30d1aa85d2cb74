//! Usage, as the quickstarts' consoles show it to administrators.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use apikey_testkit::PrivatePostgres;

#[path = "eventually.rs"]
mod eventually;

use self::eventually::eventually;
use crate::{
    contract::{
        http::{Request, json},
        service::{Folder, Launch, Service},
    },
    keys::{add, add_in, status_of},
};

/// Returns the key's id. This request counts, too.
fn id_of(service: &Service, key: &str) -> String {
    let answer = service.send(&Request::new("GET", "/whoami").bearer(key));
    json(&answer.body)["key_id"].as_str().unwrap().to_owned()
}

/// Returns `[ok, refused]` of a key, which is the sum of its buckets.
fn usage_of(service: &Service, admin: &str, id: &str) -> [u64; 2] {
    let answer = service.send(&Request::new("GET", &format!("/keys/v1/api-keys/{id}/usage")).bearer(admin));
    assert_eq!(answer.status, 200, "{answer:?}");
    let usage = json(&answer.body);
    let names = ["ok", "refused"];
    let buckets = usage["buckets"].as_array().unwrap();
    let total = names.map(|name| usage[name].as_u64().unwrap());
    let sum = names.map(|name| buckets.iter().map(|bucket| bucket[name].as_u64().unwrap()).sum::<u64>());
    assert_eq!(total, sum, "{usage}");
    total
}

#[test]
fn given_a_key_that_was_used_when_its_usage_is_asked_for_then_what_it_did_is_counted_and_nothing_else() {
    let folder = Folder::new();
    let service = folder.start();
    let admin = service.key.clone().unwrap();
    let [reader, writer] = ["files:read", "files:write"].map(|scope| add(&folder, "one", &[scope]));
    let ids = [&reader, &writer].map(|key| id_of(&service, key));
    for _ in 0..3 {
        assert_eq!(status_of(&service, "/files", &reader), 200);
    }
    assert_eq!(status_of(&service, "/files", &writer), 403);
    eventually(&[[4, 0], [1, 1]], || [0, 1].map(|n: usize| usage_of(&service, &admin, &ids[n])));
}

#[test]
fn given_a_key_that_was_used_when_asked_to_stop_then_no_usage_is_lost() {
    let folder = Folder::new();
    let service = folder.start();
    let admin = service.key.clone().unwrap();
    let reader = add(&folder, "reader", &["files:read"]);
    let id = id_of(&service, &reader);
    for _ in 0..100 {
        assert_eq!(status_of(&service, "/files", &reader), 200);
    }
    assert_eq!(service.send(&Request::new("POST", "/files").bearer(&reader).json("{}")).status, 403);
    service.stop();

    assert_eq!(usage_of(&folder.start(), &admin, &id), [101, 1]);
}

#[test]
fn given_postgres_and_several_services_when_they_have_stopped_then_what_each_counted_is_added_up() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let settings = [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())];
    let folder = Folder::new();
    let services = [(); 3].map(|()| folder.launch_with(&[], &settings)).map(Launch::ready);
    let admin = services.iter().find_map(|service| service.key.clone()).unwrap();
    let reader = add_in(&folder, &settings, "reader", &["files:read"]);
    let id = id_of(&services[0], &reader);
    for service in &services {
        assert_eq!(status_of(service, "/files", &reader), 200);
    }
    services.into_iter().for_each(Service::stop);
    assert_eq!(usage_of(&folder.launch_with(&[], &settings).ready(), &admin, &id), [4, 0]);
}
