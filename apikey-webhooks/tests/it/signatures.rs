//! Receivers verify messages with the library of Standard Webhooks.

use apikey_manager::{Timestamp, WebhookMessage, WebhookSecret, WebhookSender};
use standardwebhooks::Webhook;
use tokio::net::TcpStream;

use super::{
    SECRET, local, message, message_signed_by,
    receiver::{Call, Receiver},
    sent,
};

const OTHER: &str = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn verifies(secret: &str, call: &Call<TcpStream>) -> bool {
    Webhook::new(secret).unwrap().verify(&call.body, &call.headers).is_ok()
}

#[tokio::test]
async fn given_a_message_when_it_arrives_then_its_secret_alone_verifies_it() {
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    let message = message(receiver.url());
    let (answer, mut call) = sent(&webhooks, &message, receiver.answer(OK)).await;
    assert!(answer.is_accepted(), "{answer:?}");
    assert_eq!(answer.status, Some(204));
    assert_eq!(call.line, "POST /hook");
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["user-agent"], concat!("apikey-webhooks/", env!("CARGO_PKG_VERSION")));
    assert_eq!(call.headers["webhook-id"], "alt_1");
    assert_eq!(call.body, message.body.as_bytes());
    assert!(verifies(SECRET, &call));
    assert!(!verifies(OTHER, &call));
    call.body[2] ^= 1;
    assert!(!verifies(SECRET, &call));
}

#[tokio::test]
async fn given_a_rotation_when_a_message_arrives_then_each_secret_verifies_it() {
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    let message = message_signed_by(receiver.url(), &[SECRET, OTHER]);
    let (_, call) = sent(&webhooks, &message, receiver.answer(OK)).await;
    assert!(verifies(SECRET, &call) && verifies(OTHER, &call));
    let signatures: Vec<_> = call.headers["webhook-signature"].to_str().unwrap().split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(signatures.iter().all(|signature| signature.starts_with("v1,")));
}

/// The example of the library's own tests.
#[tokio::test]
async fn given_the_known_example_when_it_is_sent_then_its_signature_is_the_known_one() {
    let (receiver, webhooks) = (Receiver::bind().await, local().build().unwrap());
    let message = WebhookMessage::new(
        receiver.url(),
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        Timestamp::from_millis(1_649_367_553_999).unwrap(),
        r#"{"email":"test@example.com","username":"test_user"}"#,
        vec![WebhookSecret::from_text("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")],
    );
    let (_, call) = sent(&webhooks, &message, receiver.answer(OK)).await;
    assert_eq!(call.headers["webhook-timestamp"], "1649367553");
    assert_eq!(call.headers["webhook-signature"], "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

#[tokio::test]
async fn given_no_usable_secret_when_it_signs_then_nothing_is_sent_and_no_secret_is_told() {
    let webhooks = local().build().unwrap();
    for (secrets, expected) in
        [(&[][..], "there is no signing secret"), (&[SECRET, "whsec_~bad~"][..], "a signing secret is not base64")]
    {
        let receiver = Receiver::bind().await;
        let answer = webhooks.send(&message_signed_by(receiver.url(), secrets)).await;
        assert_eq!(answer.error.as_deref(), Some(expected));
        receiver.assert_untouched();
    }
}
