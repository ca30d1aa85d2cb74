//! Confirmations of what can't be undone.

use apikey_manager::Status;
use apikey_testkit::Terminal;

use crate::stand::Stand;

async fn status(stand: &Stand) -> Status {
    stand.keys().await[0].status(stand.service.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_terminal_and_no_yes_when_run_then_it_is_wrong_usage_and_nothing_is_changed() {
    let stand = Stand::on_sqlite().await;
    let (id, secret) = stand.issue(&["reader"]);
    let version = stand.keys().await[0].version;
    let commands: [&[&str]; 6] = [
        &["revoke", &id],
        &["delete", &id],
        &["end-overlap", &id],
        &["bulk-revoke", "--everything"],
        &["rotate", &id, "--overlap", "none", "--key-output", "stdout"],
        &["prune", "--audit-before", "0s"],
    ];
    for arguments in commands {
        let ended = stand.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains("--yes"), "{arguments:?}: {}", ended.err);
    }
    assert!(stand.lets_in(&secret).await);
    assert_eq!(stand.keys().await[0].version, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_terminal_when_asked_then_only_the_word_confirms() {
    let stand = Stand::on_sqlite().await;
    let (id, _) = stand.issue(&["reader"]);
    for answer in ["", "y", "no", "YES"] {
        let mut terminal = Terminal::start(&stand.command(&["revoke", &id]));
        terminal.wait_for("Type yes to go on: ");
        terminal.type_line(answer);
        let (ended, screen) = terminal.end();
        assert_eq!((ended.code(), status(&stand).await), (Some(1), Status::Active), "{answer:?}: {screen}");
    }
    let mut terminal = Terminal::start(&stand.command(&["revoke", &id]));
    terminal.wait_for("\"reader\"");
    terminal.wait_for("Type yes to go on: ");
    terminal.type_line("yes");
    let (ended, screen) = terminal.end();
    assert_eq!((ended.code(), status(&stand).await), (Some(0), Status::Revoked), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_terminal_when_many_keys_are_revoked_then_their_number_confirms() {
    let stand = Stand::on_sqlite().await;
    stand.issue(&["one"]);
    stand.issue(&["two"]);
    for (answer, code, expected) in [("yes", 1, Status::Active), ("2", 0, Status::Revoked)] {
        let mut terminal = Terminal::start(&stand.command(&["bulk-revoke", "--everything"]));
        terminal.wait_for("Type 2 to go on: ");
        terminal.type_line(answer);
        let (ended, screen) = terminal.end();
        assert_eq!((ended.code(), status(&stand).await), (Some(code), expected), "{screen}");
    }
}
