//! The parts that a process can take: a member, one that is alone, one that serves no requests.

use std::time::{Duration, Instant};

use apikey_fleet::{Beat, NodeId};
use apikey_manager::{Fleet, KeyManager, KeyStore, ManageError, NewKey, OnStoreLoss};
use apikey_testkit::PrivatePostgres;

use support::ready;

use crate::bed::{
    Bed, PATIENCE, admit, host, issue, on_each_database, receipt_of, refusal, request, request_with, within_limit,
};

const SHORTEST: Duration = Duration::from_secs(2);

/// Waits until a manager is not ready for this reason: at first it may only have been too slow to ask.
async fn unready_because(keys: &KeyManager, reason: &str) {
    let begun = Instant::now();
    loop {
        let error = keys.readiness().await.unwrap_err();
        if std::error::Error::source(&error).is_some_and(|source| source.to_string().contains(reason)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn given_a_manager_without_requests_when_it_ends_a_key_then_others_follow_and_nobody_waits_for_it() {
    on_each_database(async |bed| {
        let (serving, command) = (bed.manager().await, bed.builder().await.without_requests().build().unwrap());
        let key = issue(&command, NewKey::new("by command")).await;
        let caller = admit(&serving, &key).await;
        assert_eq!(refusal(&command, &key).await, 503);
        let receipt = receipt_of(async |actor| command.revoke(&actor, key.id(), "").await).await;
        assert_eq!((receipt.nodes, receipt.waited_out.len()), (1, 0));
        assert!(!caller.is_live());
        command.shutdown().await;
        serving.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_a_process_that_is_alone_when_another_comes_then_the_other_serves_nothing_until_it_has_left() {
    on_each_database(async |bed| {
        let alone = bed.builder().await.alone().build().unwrap();
        ready(&alone).await;
        let key = issue(&alone, NewKey::new("k")).await;
        admit(&alone, &key).await;
        let member = bed.builder().await.build().unwrap();
        unready_because(&member, "alone").await;
        assert_eq!(refusal(&member, &key).await, 503);
        // The change is made, but the process that is alone does not hear of it.
        let unconfirmed = member.revoke(&host(), key.id(), "").await.unwrap_err();
        assert!(
            matches!(&unconfirmed, ManageError::Unconfirmed { reason } if reason.contains("alone")),
            "{unconfirmed}"
        );
        alone.shutdown().await;
        ready(&member).await;
        assert_eq!(refusal(&member, &key).await, 401);
        member.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_processes_on_a_database_when_one_wants_to_be_alone_then_it_serves_nothing_until_they_have_left() {
    on_each_database(async |bed| {
        let member = bed.manager().await;
        let key = issue(&member, NewKey::new("k")).await;
        let alone = bed.builder().await.alone().build().unwrap();
        assert!(alone.readiness().await.is_err());
        assert_eq!(refusal(&alone, &key).await, 503);
        admit(&member, &key).await;
        // Requests there don't hinder the changes of those that serve.
        let crowd: Vec<_> = (0..8)
            .map(|_| {
                let (alone, secret) = (alone.clone(), key.secret().expose_secret().to_owned());
                tokio::spawn(async move { while request_with(&alone, &secret).await.is_err() {} })
            })
            .collect();
        for n in 0..10 {
            let dead = issue(&member, NewKey::new(format!("dead {n}"))).await;
            let receipt = receipt_of(async |actor| member.revoke(&actor, dead.id(), "").await).await;
            assert_eq!((receipt.nodes, receipt.waited_out.len()), (1, 0));
            let (_, rows) = bed.store().await.fleet().nodes().await.unwrap();
            assert!(rows.iter().all(|row| !row.lease.is_zero()), "a row that is written in vain");
        }
        member.shutdown().await;
        ready(&alone).await;
        for one in crowd {
            one.await.unwrap();
        }
        admit(&alone, &key).await;
        alone.shutdown().await;
        assert!(bed.store().await.fleet().nodes().await.unwrap().1.is_empty(), "a row of one that has left");
    })
    .await;
}

#[tokio::test]
async fn given_a_process_that_was_killed_when_another_wants_to_be_alone_then_it_serves_once_no_lease_can_be_left() {
    on_each_database(async |bed| {
        let store = bed.store().await;
        let killed = NodeId::new(7);
        store.fleet().beat(killed, SHORTEST, Beat::new(1), None).await.unwrap();
        let alone = bed.builder().await.alone().build().unwrap();
        let rows = async || store.fleet().nodes().await.unwrap().1;
        let serves = async {
            while rows().await.iter().any(|row| row.id == killed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            while alone.readiness().await.is_err() {}
        };
        tokio::time::timeout(Duration::from_secs(60), serves).await.expect("the row of the killed one is deleted");
        // It was only stopped. When it wakes, it finds that the other is alone.
        let member = bed.builder().await.fleet(Fleet::new().lease(SHORTEST)).build().unwrap();
        assert!(member.readiness().await.is_err());
        member.shutdown().await;
        alone.shutdown().await;
    })
    .await;
}

/// A process that sleeps may be taken for dead by one that wants to be alone.
#[tokio::test]
async fn given_a_lease_that_has_ended_when_another_is_alone_then_it_is_not_renewed() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let bed = Bed::on(server.create_database());
    let member = bed.builder().await.fleet(Fleet::new().lease(SHORTEST)).build().unwrap();
    let key = issue(&member, NewKey::new("k")).await;
    admit(&member, &key).await;
    bed.store().await.fleet().beat(NodeId::new(7), Duration::ZERO, Beat::new(1), None).await.unwrap();
    server.kill();
    within_limit(async {
        while request(&member, &key).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.restart();
    unready_because(&member, "alone").await;
    assert_eq!(refusal(&member, &key).await, 503);
    let store = bed.store().await;
    store.fleet().leave(NodeId::new(7)).await.unwrap();
    ready(&member).await;
    admit(&member, &key).await;
    member.shutdown().await;
}

#[tokio::test]
async fn given_a_stalled_runtime_when_it_goes_on_then_the_lease_was_renewed_meanwhile() {
    on_each_database(async |bed| {
        let keys = bed.builder().await.fleet(Fleet::new().lease(SHORTEST)).build().unwrap();
        let key = issue(&keys, NewKey::new("k")).await;
        let caller = admit(&keys, &key).await;
        // This test's runtime has one thread, which does nothing else for longer than a lease.
        std::thread::sleep(2 * SHORTEST);
        // A busy machine may delay one renewal. The runtime stays blocked, and can't have made the next.
        let begun = Instant::now();
        while caller.require_live().is_err() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(caller.require_live().is_ok());
        keys.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn given_a_database_that_is_lost_when_leases_end_then_only_who_may_serve_stale_answers_does() {
    let Some(mut server) = PrivatePostgres::start() else { return };
    let bed = Bed::on(server.create_database());
    let strict = bed.builder().await.fleet(Fleet::new().lease(SHORTEST)).build().unwrap();
    let stale = Fleet::new().lease(SHORTEST).on_store_loss(OnStoreLoss::ServeStale(Duration::from_secs(120)));
    let lenient = bed.builder().await.fleet(stale).build().unwrap();
    let key = issue(&strict, NewKey::new("k")).await;
    for keys in [&strict, &lenient] {
        admit(keys, &key).await;
    }
    let longest = bed.store().await.fleet().nodes().await.unwrap().1.iter().map(|row| row.lease).max();
    assert_eq!(longest, Some(SHORTEST + Duration::from_secs(120)), "others know");
    server.kill();
    within_limit(async {
        while request(&strict, &key).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    admit(&lenient, &key).await;
    assert!(strict.readiness().await.is_err() && lenient.revoke(&host(), key.id(), "").await.is_err());
}

#[tokio::test]
async fn given_settings_out_of_range_when_built_then_the_error_names_them() {
    on_each_database(async |bed| {
        let cases = [
            (Fleet::new().lease(Duration::from_secs(1)), "fleet: a lease lasts 2 to 300 seconds"),
            (Fleet::new().lease(Duration::from_secs(301)), "fleet: a lease lasts 2 to 300 seconds"),
            (
                Fleet::new().on_store_loss(OnStoreLoss::ServeStale(Duration::from_secs(90_000))),
                "fleet: a lost store is outlasted for a day at most",
            ),
        ];
        for (fleet, expected) in cases {
            let error = bed.builder().await.fleet(fleet).build().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn given_a_manager_that_is_dropped_when_its_authenticator_is_too_then_its_row_is_gone() {
    on_each_database(async |bed| {
        let (stays, goes) = (bed.manager().await, bed.manager().await);
        let authenticator = goes.authenticator();
        drop(goes);
        let rows = async || bed.store().await.fleet().nodes().await.unwrap().1.len();
        assert_eq!(rows().await, 2, "requests may still come");
        drop(authenticator);
        while rows().await > 1 {
            tokio::task::yield_now().await;
        }
        stays.shutdown().await;
    })
    .await;
}
