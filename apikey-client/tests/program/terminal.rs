//! Signing in at a terminal.

use std::fs;

use apikey_testkit::Terminal;

use crate::{Stand, has, text};

#[test]
fn given_a_terminal_when_signing_in_then_nobody_sees_the_key() {
    if !has("setsid") {
        return;
    }
    let stand = Stand::new();
    let mut terminal = Terminal::start(&stand.command(&["login", "--insecure-storage"]));
    terminal.wait_for("API key for ");
    terminal.wait_until_hidden();
    let of = |file: &str| {
        String::from_utf8_lossy(&fs::read(format!("/proc/{}/{file}", terminal.id())).unwrap()).into_owned()
    };
    let told = of("cmdline") + &of("environ");
    assert!(told.contains("login") && !told.contains(&stand.key), "{told}");
    terminal.type_line(&stand.key);
    let (status, screen) = terminal.end();
    assert!(status.success(), "{screen}");
    assert!(screen.contains("signed in") && !screen.contains(&stand.key), "{screen}");
    let status = stand.run(&["status"], "");
    assert_eq!(status.status.code(), Some(0), "{}", text(&status));
}

#[test]
fn given_a_terminal_when_the_key_is_mistyped_then_it_is_not_shown_either() {
    if !has("setsid") {
        return;
    }
    let stand = Stand::new();
    let mistyped = &stand.key[..stand.key.len() - 1];
    let mut terminal = Terminal::start(&stand.command(&["login", "--insecure-storage"]));
    terminal.wait_for("API key for ");
    terminal.wait_until_hidden();
    terminal.type_line(mistyped);
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(!screen.contains(mistyped), "{screen}");
    assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
}

#[test]
fn given_a_terminal_when_revoking_then_it_asks_and_only_the_word_confirms() {
    if !has("setsid") {
        return;
    }
    let stand = Stand::new();
    stand.sign_in();
    for (answer, code, left) in [("y", 1, 0), ("", 1, 0), ("yes", 0, 4)] {
        let mut terminal = Terminal::start(&stand.command(&["logout", "--revoke"]));
        terminal.wait_for(&format!("…{}", &stand.key[stand.key.len() - 4..]));
        terminal.wait_for("Type yes to go on: ");
        terminal.type_line(answer);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{answer:?}: {screen}");
        assert_eq!(stand.run(&["status"], "").status.code(), Some(left), "{answer:?}");
    }
    assert_eq!(stand.run(&["login", "--with-token", "--insecure-storage"], &stand.key).status.code(), Some(1));
}
