//! A key is replaced by a second one while its programs keep calling.

use std::{
    sync::{
        RwLock,
        mpsc::{Receiver, channel},
    },
    thread,
};

use crate::{
    contract::http::{PATIENCE, Request},
    stand::{Key, Stand},
};

const PROGRAMS: usize = 4;
const REQUESTS: usize = 20;

/// A request that was answered: its program, the number of its key, and the status.
type Call = (usize, usize, u16);

/// Waits until every program has had this many answers with the key of this number.
fn wait_for(calls: &Receiver<Call>, wanted: usize, all: &mut Vec<Call>) {
    let mut seen = [0; PROGRAMS];
    while seen.iter().any(|count| *count < REQUESTS) {
        let call = calls.recv_timeout(PATIENCE).unwrap();
        if call.1 == wanted {
            seen[call.0] += 1;
        }
        all.push(call);
    }
}

#[test]
fn given_constant_traffic_when_a_key_is_replaced_by_a_second_one_then_no_request_is_refused() {
    let stand = Stand::new();
    let dana = stand.dana();
    let old = dana.issue("production");
    // What the programs are configured with: the number of the key, and the key.
    let configured = RwLock::new((1, old.secret.clone()));
    let address = stand.service.address.as_str();
    let mut all = Vec::new();
    let new: Key = thread::scope(|threads| {
        let (sender, calls) = channel();
        for program in 0..PROGRAMS {
            let (sender, configured) = (sender.clone(), &configured);
            threads.spawn(move || {
                // It ends when nobody listens any more.
                loop {
                    let (number, key) = configured.read().unwrap().clone();
                    let answer = Request::new("GET", "/v1/projects").bearer(&key).send(address);
                    if sender.send((program, number, answer.status)).is_err() {
                        return;
                    }
                }
            });
        }
        wait_for(&calls, 1, &mut all);
        // 1. A second key.
        let new = dana.issue("production, from November");
        wait_for(&calls, 1, &mut all);
        // 2. The programs switch to it.
        *configured.write().unwrap() = (2, new.secret.clone());
        wait_for(&calls, 2, &mut all);
        // 3. It works, and the old one is used by none of them: the requests of each come one after the other.
        assert_eq!(stand.status(&new.secret), 200);
        assert!(all.iter().rev().take(PROGRAMS).all(|(_, number, _)| *number == 2));
        // 4. The old one is revoked.
        dana.revoke(&old);
        wait_for(&calls, 2, &mut all);
        new
    });
    assert!(all.len() >= 4 * PROGRAMS * REQUESTS);
    let refused: Vec<_> = all.iter().filter(|(.., status)| *status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!([stand.status(&old.secret), stand.status(&new.secret)], [401, 200]);
}
