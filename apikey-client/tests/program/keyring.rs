//! A real keyring.

use apikey_testkit::KeyringSession;

use crate::{
    Stand, has,
    interrupted::{rotate_killed, sign_in_killed, sign_out_killed},
    text,
};

const LOGIN: [&str; 2] = ["login", "--with-token"];

/// Starts a keyring for `stand`. Returns `None` if there is none to start.
fn start(stand: &mut Stand) -> Option<KeyringSession> {
    let session = KeyringSession::start(stand.home.path())?;
    stand.bus = session.address().to_owned();
    Some(session)
}

#[test]
fn given_a_keyring_when_signing_in_and_out_then_the_key_is_there_and_in_no_file() {
    let mut stand = Stand::new();
    let Some(_session) = start(&mut stand) else { return };
    // A key in a file gives way.
    stand.sign_in();
    let file = stand.key_file();
    let login = stand.run(&LOGIN, &stand.key);
    assert_eq!(login.status.code(), Some(0), "{}", text(&login));
    assert!(!file.exists());
    let status = stand.run(&["status"], "");
    assert!(text(&status).contains("keyring") && !text(&status).contains("not encrypted"), "{}", text(&status));

    let rotate = stand.run(&["rotate"], "");
    assert_eq!(rotate.status.code(), Some(0), "{}", text(&rotate));
    assert_eq!((stand.run(&["status"], "").status.code(), stand.note()), (Some(0), String::new()));
    // Another profile has another entry.
    assert_eq!(stand.run(&["--profile", "work", "status"], "").status.code(), Some(4));
    assert_eq!(stand.run(&["logout", "--revoke", "--yes"], "").status.code(), Some(0));
    assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(1), "it is revoked");
}

#[test]
fn given_a_keyring_that_is_gone_when_used_then_the_error_says_so() {
    let mut stand = Stand::new();
    let Some(session) = start(&mut stand) else { return };
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(0));
    drop(session);
    let status = stand.run(&["status"], "");
    assert_eq!(status.status.code(), Some(4));
    assert!(text(&status).contains("unless the key is in the keyring, which can't be asked"), "{}", text(&status));
}

#[test]
fn given_a_keyring_when_killed_at_any_step_then_nobody_is_locked_out() {
    let mut stand = Stand::new();
    let Some(_session) = start(&mut stand) else { return };
    if !has("strace") {
        return;
    }
    sign_in_killed(&stand, &LOGIN, 2);
    sign_out_killed(&stand, &LOGIN, 2);
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(0));
    rotate_killed(&stand, 6);
}
