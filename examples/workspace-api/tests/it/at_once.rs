//! Changes of keys under traffic: each holds for every call that begins after its answer.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::{
    contract::http::Request,
    stand::{Issued, Stand, Visitor},
};

const CALLERS: usize = 4;
/// The number of calls of each caller before a change, and after it.
const CALLS: usize = 8;

/// Makes a change while several programs call with `secret`. Until the change is answered, their calls are answered as
/// before or as after; each call that begins later must have the status `after`.
fn under_traffic<T>(stand: &Stand, secret: &str, [before, after]: [u16; 2], change: impl FnOnce() -> T) -> T {
    let (address, request) = (&stand.service.address, Request::new("GET", "/v1/records").bearer(secret));
    let (is_answered, called) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let call = || {
            let mut later = 0;
            while later < CALLS {
                let is_later = is_answered.load(Ordering::Acquire);
                let status = request.send(address).status;
                match is_later {
                    true => assert_eq!(status, after, "a call that began after the answer"),
                    false => assert!([before, after].contains(&status), "{status}"),
                }
                later += usize::from(is_later);
                called.fetch_add(1, Ordering::AcqRel);
            }
        };
        let callers = [(); CALLERS].map(|()| scope.spawn(call));
        while called.load(Ordering::Acquire) < CALLERS * CALLS && !callers.iter().any(|caller| caller.is_finished()) {
            thread::yield_now();
        }
        let changed = change();
        is_answered.store(true, Ordering::Release);
        changed
    })
}

fn rotate(stand: &Stand, owner: &Visitor, key: &Issued) -> String {
    let path = format!("/api-keys/{}/rotate", key.id);
    let rotated = stand.manage(owner, 200, "POST", &path, Some(json!({"overlap_seconds": 0})));
    assert_eq!(rotated["key"]["id"], key.id);
    rotated["secret"].as_str().unwrap().to_owned()
}

#[test]
fn given_traffic_when_a_key_is_rotated_then_no_later_call_has_the_old_value_and_each_has_the_new_one() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let mut key = stand.issue(&owner, "backend", "production");
    for _ in 0..5 {
        let new = under_traffic(&stand, &key.secret, [200, 401], || {
            let new = rotate(&stand, &owner, &key);
            assert_eq!(stand.status(&new), 200, "the first call with the new value");
            new
        });
        under_traffic(&stand, &new, [200, 200], || assert_eq!(stand.status(&key.secret), 401));
        key.secret = new;
    }
}

#[test]
fn given_a_rotation_that_would_keep_the_old_value_when_asked_for_then_it_is_refused() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let key = stand.issue(&owner, "backend", "production");
    for overlap in [json!(1), json!(86_400), json!(null)] {
        let path = format!("/api-keys/{}/rotate", key.id);
        let refused = stand.manage(&owner, 422, "POST", &path, Some(json!({"overlap_seconds": overlap})));
        assert_eq!(refused["errors"][0]["field"], "overlap_seconds", "{refused}");
    }
    assert_eq!(stand.status(&key.secret), 200);
}

#[test]
fn given_traffic_when_a_key_is_disabled_enabled_and_revoked_then_each_holds_for_every_later_call() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let key = stand.issue(&owner, "backend", "production");
    let change = |to: &str, body: Option<Value>| {
        let path = format!("/api-keys/{}/{to}", key.id);
        stand.manage(&owner, 200, "POST", &path, body);
    };
    for _ in 0..3 {
        under_traffic(&stand, &key.secret, [200, 401], || change("disable", None));
        under_traffic(&stand, &key.secret, [401, 200], || change("enable", None));
    }
    under_traffic(&stand, &key.secret, [200, 401], || change("revoke", Some(json!({"reason": "over"}))));
}

#[test]
fn given_traffic_with_one_key_when_others_are_changed_then_it_is_never_refused() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    under_traffic(&stand, &stand.key, [200, 200], || {
        for _ in 0..5 {
            let other = stand.issue(&owner, "other", "staging");
            rotate(&stand, &owner, &other);
            stand.manage(&owner, 200, "POST", &format!("/api-keys/{}/revoke", other.id), None);
            stand.manage(&owner, 204, "DELETE", &format!("/api-keys/{}", other.id), None);
        }
    });
}
