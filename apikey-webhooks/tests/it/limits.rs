//! Receivers that would keep the sender busy.

use std::time::Duration;

use apikey_manager::WebhookSender;
use tokio::time::interval;

use super::{PATIENCE, local, message, receiver::Receiver, sent};

/// Long enough for a busy machine to send a head, so that what is missing is what the test withholds.
const LIMIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn given_a_receiver_that_hangs_when_the_time_is_over_then_the_sender_gives_up() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(LIMIT).build().unwrap();
    assert_eq!(webhooks.patience(), LIMIT);
    let message = message(receiver.url());
    let (answer, call) = sent(&webhooks, &message, receiver.call()).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some("no answer within 3s")));
    call.closed().await;
}

#[tokio::test]
async fn given_an_answer_in_drops_when_the_time_is_over_then_the_sender_gives_up() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(LIMIT).build().unwrap();
    let message = message(receiver.url());
    let dripping = async {
        let mut call = receiver.answer("HTTP/1.1 200 OK\r\nx: ").await;
        let mut often = interval(Duration::from_millis(10));
        while call.write(b"x").await.is_ok() {
            often.tick().await;
        }
    };
    let (answer, ()) = sent(&webhooks, &message, dripping).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some("no answer within 3s")));
}

#[tokio::test]
async fn given_content_without_end_when_64_kib_are_read_then_the_status_counts_and_the_sender_hangs_up() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(PATIENCE * 10).build().unwrap();
    let message = message(receiver.url());
    let endless = async {
        let mut call = receiver.answer("HTTP/1.1 200 OK\r\n\r\n").await;
        while call.write(&[b'x'; 65_536]).await.is_ok() {}
    };
    let (answer, ()) = sent(&webhooks, &message, endless).await;
    assert!(answer.is_accepted(), "{answer:?}");
}

#[tokio::test]
async fn given_content_that_never_ends_when_the_time_is_over_then_the_status_counts() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(LIMIT).build().unwrap();
    let message = message(receiver.url());
    let stalled = receiver.answer("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\nhalf");
    let (answer, _call) = sent(&webhooks, &message, stalled).await;
    assert_eq!((answer.status, answer.error), (Some(503), None));
}

#[tokio::test]
async fn given_a_head_without_end_when_it_is_too_large_then_the_sender_hangs_up() {
    let receiver = Receiver::bind().await;
    let webhooks = local().time_limit(PATIENCE * 10).build().unwrap();
    let message = message(receiver.url());
    let endless = async {
        let mut call = receiver.answer("HTTP/1.1 200 OK\r\nx: ").await;
        while call.write(&[b'x'; 65_536]).await.is_ok() {}
    };
    let (answer, ()) = sent(&webhooks, &message, endless).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some("message head is too large")));
}
