//! Rules of the manager that depend on the database's locks, with several processes that have a store each.

use std::sync::Arc;

use apikey_core::KeyFormat;
use apikey_manager::{
    Actor, Change, Claim, Event, KeyHead, KeyManager, KeyStore, Limits, ManageError, NewAlert, NewKey, OrganizationId,
};
use apikey_testkit::PrivatePostgres;

use crate::support::{Place, at, commit, insert, key};

async fn manager(place: &Place) -> KeyManager {
    let format = KeyFormat::builder("tst").build().unwrap();
    let limits = |_| async { Ok(Limits::new().keys(10)) };
    KeyManager::builder(place.open().await).format(format).limits(limits).build().unwrap()
}

fn host(organization: &str) -> Actor {
    Actor::host("tests", OrganizationId::new(organization).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_of_five_processes_at_limit_ten_get_ten_keys() {
    for place in Place::all() {
        let mut managers = Vec::new();
        for _ in 0..5 {
            managers.push(manager(&place).await);
        }
        let issuing: Vec<_> = (0..50)
            .map(|n| {
                let keys = managers[n % managers.len()].clone();
                tokio::spawn(async move { keys.issue(&host("acme"), NewKey::new("a key")).await })
            })
            .collect();
        let mut issued = 0;
        for answer in issuing {
            match answer.await.unwrap() {
                Ok(_) => issued += 1,
                Err(ManageError::LimitReached { used: 10, allowed: 10, .. }) => {}
                Err(error) => panic!("{}: {error:?}", place.name),
            }
        }
        assert_eq!(issued, 10, "{}", place.name);
        assert_eq!(place.count("SELECT id FROM apikey_key").await, 10, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_eight_processes_that_bootstrap_gets_the_key() {
    for place in Place::all() {
        place.open().await.close().await;
        let place = Arc::new(place);
        let starting: Vec<_> = (0..8)
            .map(|n| {
                let place = Arc::clone(&place);
                tokio::spawn(async move {
                    let new = NewKey::new("first").scopes(["*"]);
                    manager(&place).await.bootstrap(&host(&format!("organization {}", n / 2)), new).await.unwrap()
                })
            })
            .collect();
        let mut issued = 0;
        for started in starting {
            issued += usize::from(started.await.unwrap().is_some());
        }
        assert_eq!(issued, 1, "{}", place.name);
        assert_eq!(place.count("SELECT id FROM apikey_key").await, 1, "{}", place.name);
    }
}

/// Each process takes what no other is at, instead of waiting for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_another_session_holds_is_stepped_over() {
    let (Some(server), Some(place)) = (PrivatePostgres::shared(), Place::postgres()) else { return };
    let store = place.open().await;
    commit(&store, [insert(key(1))]).await.unwrap();
    for n in 1..=3 {
        let event = Event::Unused { key: Arc::new(KeyHead::from(&key(1))), since: at(n) };
        let mut alert = NewAlert::new(at(n), event, format!("alert {n}"));
        alert.for_host = true;
        commit(&store, [Change::Alert(Box::new(alert))]).await.unwrap();
    }
    let mut session = server.session(&place.url);
    session.run("BEGIN; SELECT id FROM apikey_delivery ORDER BY id LIMIT 1 FOR UPDATE");
    let (now, until) = (at(1_000), at(60_000));
    let claim = Claim { by: "other".to_owned(), now, until, for_host: true, except: Vec::new(), limit: 2 };
    let claimed = store.alerts().claim(&claim).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.alert.at).collect::<Vec<_>>(), [at(2), at(3)]);
}
