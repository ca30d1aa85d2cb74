//! A real keyring: gnome-keyring on a D-Bus daemon of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Stand, has,
    interrupted::{rotate_killed, sign_in_killed, sign_out_killed},
    text,
};

const LOGIN: [&str; 2] = ["login", "--with-token"];

/// A session with an unlocked keyring.
struct Session {
    bus: Child,
    keyring: Child,
}

impl Session {
    /// Starts both daemons, with the home of `stand`. Returns `None` if they are not installed.
    fn start(stand: &mut Stand) -> Option<Session> {
        if !["dbus-daemon", "dbus-send", "gnome-keyring-daemon"].iter().all(|program| has(program)) {
            return None;
        }
        let home = stand.home.path();
        let address = format!("unix:path={}", home.join("bus").display());
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address", "--address", &address]);
        let mut bus = bus.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut line).unwrap();
        stand.bus = line.trim_end().to_owned();

        let mut keyring = Command::new("gnome-keyring-daemon");
        keyring.args(["--foreground", "--unlock", "--components=secrets"]);
        keyring.env("DBUS_SESSION_BUS_ADDRESS", &stand.bus).env("HOME", home);
        for folder in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
            keyring.env(folder, home.join("session"));
        }
        fs::create_dir_all(home.join("session")).unwrap();
        let mut keyring = keyring.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        keyring.stdin.take().unwrap().write_all(b"the password of the keyring").unwrap();
        let session = Session { bus, keyring };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_on(&stand.bus) {
            assert!(Instant::now() < deadline, "the keyring does not come");
            thread::sleep(Duration::from_millis(20));
        }
        Some(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in [&mut self.keyring, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns `true` if the bus has a Secret Service.
fn is_on(bus: &str) -> bool {
    let mut ask = Command::new("dbus-send");
    ask.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
    ask.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
    let output = ask.env("DBUS_SESSION_BUS_ADDRESS", bus).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("boolean true")
}

#[test]
fn given_a_keyring_when_signing_in_and_out_then_the_key_is_there_and_in_no_file() {
    let mut stand = Stand::new();
    let Some(_session) = Session::start(&mut stand) else { return };
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
    assert_eq!(stand.run(&["logout", "--revoke"], "").status.code(), Some(0));
    assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(1), "it is revoked");
}

#[test]
fn given_a_keyring_that_is_gone_when_used_then_the_error_says_so() {
    let mut stand = Stand::new();
    let Some(session) = Session::start(&mut stand) else { return };
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(0));
    drop(session);
    let status = stand.run(&["status"], "");
    assert_eq!(status.status.code(), Some(4));
    assert!(text(&status).contains("unless the key is in the keyring, which can't be asked"), "{}", text(&status));
}

#[test]
fn given_a_keyring_when_killed_at_any_step_then_nobody_is_locked_out() {
    let mut stand = Stand::new();
    let Some(_session) = Session::start(&mut stand) else { return };
    if !has("strace") {
        return;
    }
    sign_in_killed(&stand, &LOGIN, 2);
    sign_out_killed(&stand, &LOGIN, 2);
    assert_eq!(stand.run(&LOGIN, &stand.key).status.code(), Some(0));
    rotate_killed(&stand, 6);
}
