//! The places of a new secret.

use std::{fs, os::unix::fs::PermissionsExt};

use apikey_testkit::Terminal;

use crate::stand::Stand;

#[tokio::test(flavor = "multi_thread")]
async fn given_no_terminal_when_a_key_is_issued_then_none_is_made_unless_a_place_is_named() {
    let stand = Stand::on_sqlite().await;
    for arguments in [&["issue", "reader"][..], &["issue", "reader", "--json"]] {
        let ended = stand.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.err);
        assert!(ended.err.contains("no terminal"), "{}", ended.err);
    }
    assert!(stand.keys().await.is_empty());

    let ended = stand.run(&["issue", "reader", "--key-output", "stdout"]);
    assert!(stand.lets_in(ended.out.trim_end()).await, "standard output holds the key alone: {}", ended.out);
    assert!(!ended.err.contains(ended.out.trim_end()), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_file_when_a_key_is_issued_as_json_then_only_the_file_has_it() {
    let stand = Stand::on_sqlite().await;
    let issue = ["issue", "reader", "--json", "--key-output", "file:new-key"];
    let issued = stand.run(&issue);
    let file = stand.path().join("new-key");
    let secret = fs::read_to_string(&file).unwrap();
    assert!(stand.lets_in(secret.trim_end()).await);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(issued.json()["name"], "reader");
    for text in [&issued.out, &issued.err] {
        assert!(!text.contains(secret.trim_end()), "{text}");
    }
    // Another key would replace the file.
    assert_eq!((stand.run(&issue).code, stand.keys().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_terminal_when_a_key_is_issued_then_it_is_shown_once_and_never_again() {
    let stand = Stand::on_sqlite().await;
    let (status, screen) = Terminal::start(&stand.command(&["issue", "reader"])).end();
    assert!(status.success(), "{screen}");
    let secret = screen.split_whitespace().find(|word| word.starts_with("acme_live_") && !word.contains('…'));
    let secret = secret.unwrap_or_else(|| panic!("{screen}")).to_owned();
    assert!(stand.lets_in(&secret).await);
    assert_eq!(screen.matches(&secret).count(), 1, "{screen}");

    let id = stand.keys().await[0].id.to_string();
    for arguments in [&["list"][..], &["show", &id], &["audit"], &["list", "--json"], &["show", &id, "--json"]] {
        let (_, screen) = Terminal::start(&stand.command(arguments)).end();
        assert!(screen.contains(&id) && !screen.contains(&secret), "{arguments:?}: {screen}");
    }
}
