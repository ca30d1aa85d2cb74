//! Every outcome for a key, on every server, with everything logged.

use std::time::Duration;

use support::{
    servers::Server,
    stand::{Setting, Stand},
    store::Behaviour,
    table::{rows, run_all},
    wire,
};

use crate::{
    disguise::{assert_absent, assert_absent_digest},
    log::Log,
};

const BEHAVIOURS: [Behaviour; 5] =
    [Behaviour::Fail, Behaviour::Panic, Behaviour::PanicAtOnce, Behaviour::Mistake, Behaviour::Answer];
const OUTCOMES: [&str; 7] =
    ["accepted", "unknown", "revoked", "digest_mismatch", "scope_missing", "wrong_checksum", "unavailable"];

#[tokio::test]
async fn given_all_that_can_happen_to_a_key_when_everything_is_logged_then_no_key_is() {
    let log = Log::everything();
    // A store without an answer is one case, and should not take long.
    let stand = Stand::with(Setting::Plain, |builder| builder.resolver_timeout(Duration::from_millis(50)));
    for server in Server::ALL {
        let running = server.start(&stand).await;
        for behaviour in BEHAVIOURS {
            stand.store.behave(behaviour);
            stand.authenticator.refresh_all();
            for name in stand.names() {
                for path in ["whoami", "read", "write", "globex", "unlayered", "nested/whoami"] {
                    let key = stand.token(name);
                    let request = format!(
                        "GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
                    );
                    wire::exchange(running.address, request.as_bytes()).await;
                }
            }
        }
        running.stop().await;
    }
    let text = log.text();
    for outcome in OUTCOMES {
        assert!(text.contains(outcome), "the scenario should have logged {outcome}");
    }
    assert!(text.contains("key-reader"), "the id of a key may be logged, and is");
    for name in stand.names() {
        assert_absent(&text, stand.token(name), "the log");
        assert_absent_digest(&text, &stand.digest(name), "the log");
    }
}

#[tokio::test]
async fn given_the_table_of_requests_when_everything_is_logged_then_tokens_sent_are_not() {
    let log = Log::everything();
    run_all(rows(), Server::Axum).await;
    let text = log.text();
    for sent in ["eyJhbGciOi", "c2lnbmF0", "dXNlcjpwYXNzd29yZA", "xxxxxxxxxxxxxxx"] {
        assert!(!text.contains(sent), "{sent} is in the log");
    }
}
