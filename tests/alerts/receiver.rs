//! A receiver that verifies each message with the library of Standard Webhooks, and accepts, fails or holds it as a test says.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    net::SocketAddr,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::{net::TcpListener, sync::watch, time::timeout};

use crate::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Accept,
    Fail,
    /// Never answers.
    Hold,
}

/// A message that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: Value,
}

impl Message {
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    /// Returns the id of the key that it tells of.
    pub(crate) fn key(&self) -> &str {
        self.body["data"]["key"]["id"].as_str().unwrap()
    }
}

/// What one webhook has received.
#[derive(Debug)]
pub(crate) struct Hook {
    secret: String,
    mood: Mood,
    pub(crate) accepted: Vec<Message>,
    pub(crate) failed: Vec<Message>,
    pub(crate) held: Vec<Message>,
    /// Messages that could not be verified.
    forged: usize,
}

impl Hook {
    /// Returns the ids of the keys whose messages were accepted.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.accepted.iter().map(Message::key).collect()
    }
}

type Hooks = BTreeMap<String, Hook>;

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    hooks: watch::Sender<Hooks>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver { address: listener.local_addr().unwrap(), hooks: watch::Sender::new(Hooks::new()) };
        let app = Router::new().route("/{name}", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Verifies what comes to this webhook with its secret.
    pub(crate) fn expect(&self, name: &str, secret: &str, mood: Mood) {
        let (secret, forged) = (secret.to_owned(), 0);
        let (accepted, failed, held) = (Vec::new(), Vec::new(), Vec::new());
        let hook = Hook { secret, mood, accepted, failed, held, forged };
        self.hooks.send_modify(|hooks| drop(hooks.insert(name.to_owned(), hook)));
    }

    /// Says what becomes of the messages that come from now on.
    pub(crate) fn turn(&self, name: &str, mood: Mood) {
        self.hooks.send_modify(|hooks| hooks.get_mut(name).unwrap().mood = mood);
    }

    /// Waits until `reached` holds for this webhook.
    pub(crate) async fn until(&self, name: &str, reached: impl Fn(&Hook) -> bool) {
        let mut hooks = self.hooks.subscribe();
        if timeout(PATIENCE, hooks.wait_for(|hooks| reached(&hooks[name]))).await.is_err() {
            panic!("{:#?}", self.hooks.borrow()[name]);
        }
    }

    /// Returns something about this webhook, to which nothing unverified may have come.
    pub(crate) fn look<T>(&self, name: &str, look: impl Fn(&Hook) -> T) -> T {
        let hooks = self.hooks.borrow();
        assert_eq!(hooks[name].forged, 0);
        look(&hooks[name])
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut mood = Mood::Fail;
    receiver.hooks.send_modify(|hooks| {
        let hook = hooks.get_mut(&name).unwrap();
        if Webhook::new(&hook.secret).unwrap().verify(&body, &headers).is_err() {
            hook.forged += 1;
            return;
        }
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        let message = Message { id, body: serde_json::from_slice(&body).unwrap() };
        mood = hook.mood;
        let kept = match mood {
            Mood::Accept => &mut hook.accepted,
            Mood::Fail => &mut hook.failed,
            Mood::Hold => &mut hook.held,
        };
        kept.push(message);
    });
    match mood {
        Mood::Accept => StatusCode::NO_CONTENT,
        Mood::Fail => StatusCode::INTERNAL_SERVER_ERROR,
        Mood::Hold => pending().await,
    }
}
