//! Proxies of the environment are not used.

use std::{env, process::Command};

use super::{local, message, receiver::Receiver, sent};

const THIS: &str = "proxies::given_a_proxy_in_the_environment_when_a_message_is_sent_then_it_goes_straight";

/// Runs itself again with a proxy that doesn't exist.
#[tokio::test]
async fn given_a_proxy_in_the_environment_when_a_message_is_sent_then_it_goes_straight() {
    if env::var_os("HTTP_PROXY").is_none() {
        let mut again = Command::new(env::current_exe().unwrap());
        let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1"));
        again.args(["--exact", THIS]).envs(proxies).env_remove("NO_PROXY").env_remove("no_proxy");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    let message = message(receiver.url());
    let (answer, _call) = sent(&webhooks, &message, receiver.answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert!(answer.is_accepted(), "{answer:?}");
}
