//! Several processes on one database: what one ends is ended in all when its answer comes, and what one adds is there.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    thread,
    time::{Duration, Instant},
};

use apikey_testkit::PrivatePostgres;
use serde_json::json;

use crate::{
    API,
    contract::{
        http::{Answer, Request},
        service::{Folder, Launch, Service},
    },
    keys::{add_in, status_of},
};

/// The number of requests with each ended key, at each process.
const PROBES: usize = 60;

/// The method, path and body of the request that ends a key.
type Way = fn(&str) -> (&'static str, String, serde_json::Value);

const WAYS: [Way; 5] = [
    |id| ("POST", format!("/keys/v1/api-keys/{id}/revoke"), json!({"reason": "leaked"})),
    |id| ("POST", format!("/keys/v1/api-keys/{id}/disable"), json!(null)),
    |id| ("DELETE", format!("/keys/v1/api-keys/{id}"), json!(null)),
    |id| ("POST", format!("/keys/v1/api-keys/{id}/rotate"), json!({"overlap_seconds": 0})),
    |id| ("POST", "/keys/v1/api-keys/bulk-revoke".to_owned(), json!({"key_id": id})),
];

struct Group {
    folder: Folder,
    url: String,
    admin: String,
}

impl Group {
    fn settings(&self) -> [(&str, &str); 2] {
        [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", &self.url)]
    }

    fn start(&self) -> Service {
        self.folder.launch_with(&[], &self.settings()).ready()
    }

    fn try_issue(&self, address: &str, name: &str) -> Answer {
        let body = json!({"name": name, "scopes": [API.list.1]}).to_string();
        self.send(address, Request::new("POST", "/keys/v1/api-keys").json(body))
    }

    /// Stops a process. One that is stopped while it writes to a file keeps the others from writing, so that it goes on
    /// and is stopped again.
    fn stop_outside_of_changes(&self, stopped: &Service, other: &Service) {
        for attempt in 1.. {
            stopped.signal("STOP");
            let answer = self.try_issue(&other.address, "can be written");
            if answer.status == 201 {
                return;
            }
            assert!(attempt < 10 && answer.status == 503, "{answer:?}");
            stopped.signal("CONT");
        }
    }

    /// Issues a key, and returns its id and its secret.
    fn issue(&self, address: &str, name: &str) -> (String, String) {
        let answer = self.try_issue(address, name);
        assert_eq!(answer.status, 201, "{answer:?}");
        let made: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (made["key"]["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
    }

    fn send(&self, address: &str, request: Request) -> Answer {
        request.bearer(&self.admin).send(address)
    }

    /// Ends a key in the given way. Returns the receipt.
    fn end(&self, address: &str, id: &str, way: usize) -> String {
        let (method, path, body) = WAYS[way % WAYS.len()](id);
        let request = Request::new(method, &path);
        let request = if body.is_null() { request } else { request.json(body.to_string()) };
        let answer = self.send(address, request);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.header("fleet-receipt").unwrap_or_else(|| panic!("no receipt: {answer:?}")).to_owned()
    }
}

#[test]
fn given_three_processes_on_a_file_when_keys_end_at_one_then_none_lets_them_in() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.path().join("shared.db").display());
    end_keys_in_every_way(folder, url);
}

#[test]
fn given_three_processes_on_a_server_when_keys_end_at_one_then_none_lets_them_in() {
    let Some(server) = PrivatePostgres::shared() else { return };
    end_keys_in_every_way(Folder::new(), server.create_database());
}

fn end_keys_in_every_way(folder: Folder, url: String) {
    let mut group = Group { folder, url, admin: String::new() };
    let first = group.start();
    group.admin = first.key.clone().unwrap();
    let (second, third) = (group.start(), group.start());
    let all = [&first, &second, &third];
    let mut refused = 0;

    // What is new is there at once, and so is what is enabled again, though all have refused it.
    for round in 0..4 {
        let (id, secret) = group.issue(&all[round % 3].address, &format!("new {round}"));
        let assert_all = |status: u16, what: &str| {
            for (n, service) in all.iter().enumerate() {
                assert_eq!(status_of(service, API.list.0, &secret), status, "{what}, at {n} of round {round}");
            }
        };
        assert_all(200, "issued");
        let change = |change: &str| {
            let request = Request::new("POST", &format!("/keys/v1/api-keys/{id}/{change}"));
            let answer = group.send(&all[(round + 1) % 3].address, request);
            assert_eq!((answer.status, answer.header("fleet-receipt").is_some()), (200, true), "{answer:?}");
        };
        change("disable");
        assert_all(401, "disabled");
        change("enable");
        assert_all(200, "enabled");
    }

    // Ended while all are well.
    for way in 0..3 * WAYS.len() {
        let (id, secret) = group.issue(&all[way % 3].address, &format!("well {way}"));
        all.iter().for_each(|service| assert_eq!(status_of(service, API.list.0, &secret), 200));
        let receipt = group.end(&all[(way + 1) % 3].address, &id, way);
        assert!(receipt.contains("nodes=3") && !receipt.contains("waited-out"), "{receipt}");
        refused += assert_refused(&all, &secret, way);
    }

    // Ended while one is stopped: the receipt waits for its lease, and it lets nothing in when it wakes.
    let issued: Vec<_> = (0..3 * WAYS.len()).map(|n| group.issue(&first.address, &format!("stopped {n}"))).collect();
    for (_, secret) in &issued {
        all.iter().for_each(|service| assert_eq!(status_of(service, API.list.0, secret), 200));
    }
    group.stop_outside_of_changes(&third, &first);
    let receipts: Vec<String> = thread::scope(|scope| {
        let (group, first) = (&group, first.address.as_str());
        let ended = issued.iter().enumerate().map(|(way, (id, _))| scope.spawn(move || group.end(first, id, way)));
        ended.collect::<Vec<_>>().into_iter().map(|ended| ended.join().unwrap()).collect()
    });
    assert!(receipts.iter().all(|receipt| receipt.contains("waited-out=(\"")), "{receipts:?}");
    third.signal("CONT");
    for (way, (_, secret)) in issued.iter().enumerate() {
        refused += assert_refused(&[&third], secret, way) + assert_refused(&all, secret, way);
    }

    // One is killed. It is waited for, and forgotten after a while.
    let (id, secret) = group.issue(&first.address, "killed");
    all.iter().for_each(|service| assert_eq!(status_of(service, API.list.0, &secret), 200));
    drop(third);
    let all = [&first, &second];
    let receipt = group.end(&second.address, &id, 0);
    assert!(receipt.contains("waited-out=(\""), "{receipt}");
    refused += assert_refused(&all, &secret, 0);
    let begun = Instant::now();
    loop {
        let (id, _) = group.issue(&first.address, "after");
        if group.end(&first.address, &id, 0).contains("nodes=2") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the row of a process that was killed stays");
    }

    // One leaves, another comes: a rolling deployment.
    let (id, secret) = group.issue(&first.address, "rolling");
    let fourth = group.start();
    for service in [&first, &second, &fourth] {
        assert_eq!(status_of(service, API.list.0, &secret), 200);
    }
    first.stop();
    let receipt = group.end(&fourth.address, &id, 1);
    assert!(receipt.contains("nodes=2") && !receipt.contains("waited-out"), "{receipt}");
    refused += assert_refused(&[&second, &fourth], &secret, 1);
    println!("{refused} requests with ended keys, none let in");
    assert!(refused > 5_000, "{refused}");

    // A command is no process that others wait for, and its change is known to all.
    let made = add_in(&group.folder, &group.settings(), "by command", &[API.list.1]);
    for service in [&second, &fourth] {
        assert_eq!(status_of(service, API.list.0, &made), 200);
    }
    let services: [Service; 2] = [second, fourth];
    services.into_iter().for_each(Service::stop);
}

/// Returns the number of requests.
fn assert_refused(services: &[&Service], secret: &str, way: usize) -> usize {
    for (n, service) in services.iter().enumerate() {
        for probe in 0..PROBES {
            let status = status_of(service, API.list.0, secret);
            assert_eq!(status, 401, "way {way}, at {n}, request {probe} after its end");
        }
    }
    services.len() * PROBES
}

#[test]
fn given_a_database_that_is_lost_when_the_lease_ends_then_no_key_is_let_in_until_it_is_back() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let mut group = Group { folder: Folder::new(), url: server.create_database(), admin: String::new() };
    let service = group.start();
    group.admin = service.key.clone().unwrap();
    assert_eq!(status_of(&service, API.list.0, &group.admin), 200);
    server.kill();
    let begun = Instant::now();
    while status_of(&service, API.list.0, &group.admin) != 503 {
        assert!(begun.elapsed() < Duration::from_secs(60), "let in without a lease");
    }
    server.restart();
    let begun = Instant::now();
    while status_of(&service, API.list.0, &group.admin) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "not let in although the database is back");
    }
    service.stop();
}

/// All of them together take the place of one.
#[test]
fn given_processes_that_start_at_once_when_a_key_ends_then_each_follows() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.path().join("shared.db").display());
    let mut group = Group { folder, url, admin: String::new() };
    // In batches: sixteen programs that start on a machine with few processors take as long as all of them together.
    let batches =
        [(); 4].map(|()| [(); 4].map(|()| group.folder.launch_with(&[], &group.settings())).map(Launch::ready));
    let services = batches.as_flattened();
    group.admin = services.iter().find_map(|service| service.key.clone()).unwrap();
    let (id, secret) = group.issue(&services[0].address, "one");
    services.iter().for_each(|service| assert_eq!(status_of(service, API.list.0, &secret), 200));
    let receipt = group.end(&services[15].address, &id, 0);
    assert!(receipt.contains("nodes=16") && !receipt.contains("waited-out"), "{receipt}");
    services.iter().for_each(|service| assert_eq!(status_of(service, API.list.0, &secret), 401));
    batches.into_iter().flatten().for_each(Service::stop);
}
