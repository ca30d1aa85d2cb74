//! The program is killed at each of its system calls that change something in turn.

use crate::{Stand, has, text};

/// Those that change a file, the keyring or the service. Each is a step of its own.
const CALLS: [&str; 7] = ["ftruncate", "fsync", "rename", "unlink", "connect", "sendto", "sendmsg"];

fn steps(of_each: usize) -> impl Iterator<Item = (&'static str, usize)> {
    CALLS.into_iter().flat_map(move |call| (1..=of_each).map(move |step| (call, step)))
}

#[test]
fn given_rotation_when_killed_at_any_step_then_the_stored_key_is_valid() {
    if !has("strace") {
        return;
    }
    let stand = Stand::new();
    stand.sign_in();
    rotate_killed(&stand, 6);
}

/// After each step the stored key must work, and a later rotation completes the interrupted one.
pub(crate) fn rotate_killed(stand: &Stand, of_each: usize) {
    let (mut killed, mut noted) = (0, 0);
    for (call, step) in steps(of_each) {
        let output = stand.run_killed_at(&["rotate"], "", call, step);
        let status = stand.run(&["status"], "");
        assert_eq!(status.status.code(), Some(0), "at {call} {step}: {}", text(&status));
        if output.status.success() {
            continue;
        }
        killed += 1;
        if !stand.note().is_empty() {
            noted += 1;
            assert!(text(&status).contains("interrupted"), "{}", text(&status));
            if noted % 2 == 0 {
                let output = stand.run(&["rotate"], "");
                assert!(output.status.success(), "at {call} {step}: {}", text(&output));
                assert_eq!(stand.note(), "");
            }
        }
    }
    println!("killed {killed} times, {noted} of them with a rotation under way");
    assert!(noted >= 3, "{noted} of {killed}");
}

#[test]
fn given_signing_in_when_killed_at_any_step_then_it_is_done_or_not_and_can_be_repeated() {
    if has("strace") {
        sign_in_killed(&Stand::new(), &["login", "--with-token", "--insecure-storage"], 6);
    }
}

pub(crate) fn sign_in_killed(stand: &Stand, login: &[&str], of_each: usize) {
    let mut killed = 0;
    for (call, step) in steps(of_each) {
        let output = stand.run_killed_at(login, &stand.key, call, step);
        killed += usize::from(!output.status.success());
        let status = stand.run(&["status"], "");
        assert!(matches!(status.status.code(), Some(0 | 4)), "at {call} {step}: {}", text(&status));
        let again = stand.run(login, &stand.key);
        assert_eq!(again.status.code(), Some(0), "at {call} {step}: {}", text(&again));
        assert_eq!(stand.run(&["logout"], "").status.code(), Some(0));
    }
    assert!(killed >= 3, "{killed}");
}

#[test]
fn given_signing_out_when_killed_at_any_step_then_it_can_be_repeated() {
    if has("strace") {
        sign_out_killed(&Stand::new(), &["login", "--with-token", "--insecure-storage"], 6);
    }
}

pub(crate) fn sign_out_killed(stand: &Stand, login: &[&str], of_each: usize) {
    let mut killed = 0;
    for (call, step) in steps(of_each) {
        let signed_in = stand.run(login, &stand.key);
        assert_eq!(signed_in.status.code(), Some(0), "{}", text(&signed_in));
        let output = stand.run_killed_at(&["logout"], "", call, step);
        killed += usize::from(!output.status.success());
        let again = stand.run(&["logout"], "");
        assert!(matches!(again.status.code(), Some(0 | 4)), "at {call} {step}: {}", text(&again));
        assert_eq!(stand.run(&["status"], "").status.code(), Some(4), "at {call} {step}");
    }
    assert!(killed >= 1, "{killed}");
}
