//! What receivers answer, and what they do instead.

use std::time::Duration;

use apikey_manager::WebhookSender;
use apikey_webhooks::Webhooks;
use tokio::{join, sync::oneshot, time::timeout};

use super::{PATIENCE, local, message, receiver::Receiver, sent};

#[tokio::test]
async fn given_an_answer_when_its_status_is_not_a_success_then_it_is_not_accepted() {
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    for (status, accepted) in
        [(200, true), (202, true), (299, true), (400, false), (404, false), (410, false), (500, false)]
    {
        let text = format!("HTTP/1.1 {status} Text\r\ncontent-length: 5\r\n\r\nsorry");
        let message = message(receiver.url());
        let (answer, _call) = sent(&webhooks, &message, receiver.answer(&text)).await;
        assert_eq!((answer.status, answer.error.as_deref()), (Some(status), None));
        assert_eq!(answer.is_accepted(), accepted, "{status}");
    }
}

#[tokio::test]
async fn given_a_redirect_to_this_machine_when_it_is_answered_then_nobody_follows_it() {
    let webhooks = local().build().unwrap();
    for status in [301, 302, 303, 307, 308] {
        let (receiver, internal) = (Receiver::bind().await, Receiver::bind().await);
        let text = format!("HTTP/1.1 {status} Text\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", internal.url());
        let message = message(receiver.url());
        let (answer, _call) = sent(&webhooks, &message, receiver.answer(&text)).await;
        assert_eq!(answer.status, Some(status));
        assert!(!answer.is_accepted());
        internal.assert_untouched();
    }
}

#[tokio::test]
async fn given_a_slow_answer_when_it_comes_in_time_then_it_is_read_to_its_end() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(Duration::from_secs(600)).build().unwrap();
    let (first, second) = (oneshot::channel::<()>(), oneshot::channel::<()>());
    let message = message(receiver.url());
    let slow = async {
        let mut call = receiver.call().await;
        call.write(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap();
        first.0.send(()).unwrap();
        second.1.await.unwrap();
        call.write(b"ngth: 2\r\n\r\nok").await.unwrap();
        call
    };
    let release = async {
        first.1.await.unwrap();
        second.0.send(()).unwrap();
    };
    let all = async { join!(webhooks.send(&message), slow, release) };
    let (answer, _call, ()) = timeout(PATIENCE, all).await.unwrap();
    assert!(answer.is_accepted(), "{answer:?}");
}

#[tokio::test]
async fn given_a_receiver_that_does_not_answer_when_it_is_called_then_the_reason_is_told() {
    let webhooks = local().build().unwrap();
    let receiver = Receiver::bind().await;
    let closing = message(receiver.url());
    let (answer, ()) = sent(&webhooks, &closing, async { drop(receiver.connection().await) }).await;
    assert_eq!(answer.status, None);
    assert!(answer.error.is_some_and(|error| error.contains("clos") || error.contains("reset")));

    let (answer, _call) = sent(&webhooks, &closing, receiver.answer("SSH-2.0-OpenSSH_9.2\r\n")).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some("invalid HTTP version parsed")));

    drop(receiver);
    let answer = webhooks.send(&closing).await;
    assert_eq!(answer.status, None);
    assert!(answer.error.is_some_and(|error| error.starts_with("Connection refused")));
}

#[tokio::test]
async fn given_one_message_when_the_next_is_sent_then_it_has_a_connection_of_its_own() {
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    for _ in 0..2 {
        let message = message(receiver.url());
        let (_, call) =
            sent(&webhooks, &message, receiver.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
        call.closed().await;
    }
}

/// More than 64 KiB aren't waited for.
#[tokio::test]
async fn given_a_receiver_that_stops_after_64_kib_when_it_stays_connected_then_the_sender_hangs_up() {
    let receiver = Receiver::bind().await;
    assert_eq!(Webhooks::builder().build().unwrap().patience(), Duration::from_secs(10));
    let webhooks = local().time_limit(PATIENCE * 10).build().unwrap();
    let message = message(receiver.url());
    let stopping = async {
        let mut call = receiver.answer("HTTP/1.1 200 OK\r\n\r\n").await;
        call.write(&[b'x'; 66_000]).await.unwrap();
        call.closed().await;
    };
    let (answer, ()) = sent(&webhooks, &message, stopping).await;
    assert!(answer.is_accepted(), "{answer:?}");
}
