//! Names are resolved at each connection, and all of their addresses are judged.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use apikey_manager::{WebhookAnswer, WebhookSender};
use apikey_webhooks::reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{LOCAL, local, message, receiver::Receiver, sent};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const NOT_PUBLIC: Option<&str> = Some("the name leads to an address that is not public");

/// Answers each question with the next of these lists.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<VecDeque<Vec<SocketAddr>>>>);

impl Script {
    pub(crate) fn new<const N: usize>(answers: [&[&str]; N]) -> Self {
        let answers = answers.map(|ips| ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect());
        Script(Arc::new(Mutex::new(answers.into())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Resolving {
        let answer = self.0.lock().unwrap().pop_front();
        Box::pin(async { Ok(Box::new(answer.ok_or("asked too often")?.into_iter()) as Addrs) })
    }
}

fn by_name(address: SocketAddr) -> String {
    format!("http://receiver.test:{}/hook", address.port())
}

/// Binds receivers to the same port of 127.0.0.1 and 127.0.0.2.
async fn two() -> (Receiver, Receiver) {
    let allowed = Receiver::bind().await;
    let internal = Receiver::bind_to(&format!("127.0.0.2:{}", allowed.address().port())).await;
    (allowed, internal)
}

#[tokio::test]
async fn given_a_name_that_leads_elsewhere_after_the_check_when_it_is_called_then_it_is_refused() {
    let (allowed, internal) = two().await;
    let script = Script::new([&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]]);
    let webhooks = local().resolver(script.clone()).build().unwrap();
    let message = message(by_name(allowed.address()));

    assert_eq!(webhooks.check(&message.url), Ok(()));
    let (answer, _call) = sent(&webhooks, &message, allowed.answer(OK)).await;
    assert!(answer.is_accepted(), "{answer:?}");
    let answer = webhooks.send(&message).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, NOT_PUBLIC));
    internal.assert_untouched();

    let (answer, _call) = sent(&webhooks, &message, allowed.answer(OK)).await;
    assert!(answer.is_accepted(), "{answer:?}");
    assert_eq!(script.left(), 0, "each message asks once");
}

#[tokio::test]
async fn given_one_address_that_is_not_allowed_when_others_are_then_the_name_is_refused() {
    for addresses in [&["127.0.0.1", "127.0.0.2"][..], &["127.0.0.2", "127.0.0.1"], &["127.0.0.1", "::1"]] {
        let (allowed, internal) = two().await;
        let webhooks = local().resolver(Script::new([addresses])).build().unwrap();
        let answer = webhooks.send(&message(by_name(allowed.address()))).await;
        assert_eq!((answer.status, answer.error.as_deref()), (None, NOT_PUBLIC), "{addresses:?}");
        allowed.assert_untouched();
        internal.assert_untouched();
    }
}

#[tokio::test]
async fn given_the_default_settings_when_a_name_leads_to_this_machine_then_it_is_refused() {
    let receiver = Receiver::bind().await;
    let webhooks = apikey_webhooks::Webhooks::new().unwrap();
    let url = format!("https://localhost:{}/", receiver.address().port());
    assert_eq!(webhooks.check(&url), Ok(()), "a check resolves nothing");
    let answer = webhooks.send(&message(url)).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, NOT_PUBLIC));
    receiver.assert_untouched();
}

#[tokio::test]
async fn given_the_systems_resolver_when_a_name_is_allowed_then_it_is_called() {
    let receiver = Receiver::bind().await;
    let webhooks = local().allow_internal_addresses(|address| address.is_loopback()).build().unwrap();
    let message = message(format!("http://localhost:{}/hook", receiver.address().port()));
    let (answer, call) = sent(&webhooks, &message, receiver.answer(OK)).await;
    assert!(answer.is_accepted(), "{answer:?}");
    assert!(call.headers["host"].to_str().unwrap().starts_with("localhost:"));
}

#[tokio::test]
async fn given_a_name_that_nobody_has_when_it_is_called_then_this_is_told() {
    // Its label is too long for DNS, so no server is asked.
    let nobody = format!("http://{}.invalid/hook", "x".repeat(64));
    let answer = local().build().unwrap().send(&message(nobody)).await;
    assert_eq!(answer, WebhookAnswer::failed("the name can't be resolved"));
}

#[tokio::test]
async fn given_a_stored_address_when_the_settings_have_changed_then_it_is_refused() {
    let receiver = Receiver::bind().await;
    let before = local().build().unwrap();
    assert_eq!(before.check(&receiver.url()), Ok(()));
    let after = local().allow_internal_addresses(|address| address != LOCAL).build().unwrap();
    let answer = after.send(&message(receiver.url())).await;
    assert_eq!(answer, WebhookAnswer::failed("the URL must lead to a public address"));
    receiver.assert_untouched();
}
