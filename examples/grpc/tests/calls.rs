//! The server's answers to tonic's client, over sockets.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::time::Duration;

use grpc::{
    Bearer,
    proto::{
        EntriesRequest, Entry, OpenRequest, PostRequest, accounts_client::AccountsClient, ledger_client::LedgerClient,
    },
    server::{Scopes, serve},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::{self, Channel, Endpoint},
};
use tower_apikey::{TestKey, TestKeys};

/// Longer than any answer takes, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, a channel to it, and its keys.
struct Stand {
    keys: TestKeys,
    channel: Channel,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), transport::Error>>,
}

impl Stand {
    async fn start() -> Self {
        let keys = TestKeys::with(|authenticator| authenticator.catalog(Scopes::catalog()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let authenticator = keys.authenticator();
        let server = tokio::spawn(async {
            serve(listener, authenticator, PATIENCE, async {
                let _ = stopped.await;
            })
            .await
        });
        let channel = Endpoint::new(address).unwrap().timeout(PATIENCE).connect().await.unwrap();
        Stand { keys, channel, stop, server }
    }

    fn caller(&self, key: &TestKey) -> Caller<Bearer> {
        self.caller_with(Bearer::new(key.secret().expose_secret()).unwrap())
    }

    fn caller_with<I: Interceptor>(&self, presents: I) -> Caller<I> {
        Caller { channel: self.channel.clone(), presents }
    }

    /// Stops the server, and checks that it ends without an error.
    async fn stop(self) {
        drop(self.channel);
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }
}

#[derive(Clone)]
struct Caller<I> {
    channel: Channel,
    presents: I,
}

impl<I: Interceptor + Clone> Caller<I> {
    async fn open(&self, account: &str) -> Result<(), Status> {
        let mut client = AccountsClient::with_interceptor(self.channel.clone(), self.presents.clone());
        client.open(OpenRequest { account: account.into() }).await.map(drop)
    }

    async fn post(&self, account: &str, amount: i64) -> Result<u64, Status> {
        let mut client = LedgerClient::with_interceptor(self.channel.clone(), self.presents.clone());
        let request = PostRequest { account: account.into(), amount, text: "for a test".into() };
        Ok(client.post(request).await?.into_inner().number)
    }

    async fn follow(&self, account: &str) -> Result<Streaming<Entry>, Status> {
        let mut client = LedgerClient::with_interceptor(self.channel.clone(), self.presents.clone());
        Ok(client.entries(EntriesRequest { account: account.into(), follow: true }).await?.into_inner())
    }

    async fn entries(&self, account: &str) -> Result<Vec<(u64, i64, String)>, Status> {
        let mut client = LedgerClient::with_interceptor(self.channel.clone(), self.presents.clone());
        let request = EntriesRequest { account: account.into(), follow: false };
        let mut stream = client.entries(request).await?.into_inner();
        let mut entries = Vec::new();
        while let Some(entry) = stream.message().await? {
            entries.push((entry.number, entry.amount, entry.posted_by));
        }
        Ok(entries)
    }

    /// Returns the refusals of open, post and entries, in this order.
    async fn refusals(&self) -> [(Code, String); 3] {
        let refusals = [
            self.open("cash").await.unwrap_err(),
            self.post("cash", 1).await.unwrap_err(),
            self.entries("cash").await.unwrap_err(),
        ];
        refusals.map(|status| (status.code(), status.message().to_owned()))
    }
}

/// Returns the amount of the next entry.
async fn next(entries: &mut Streaming<Entry>) -> Result<Option<i64>, Status> {
    let message = timeout(PATIENCE, entries.message()).await.expect("no entry, and no end");
    Ok(message?.map(|entry| entry.amount))
}

/// Sends any text as a key.
fn presenting(values: &[&str]) -> impl Interceptor + Clone + use<> {
    let values: Vec<MetadataValue<Ascii>> = values.iter().map(|value| value.parse().unwrap()).collect();
    move |mut request: Request<()>| {
        for value in &values {
            request.metadata_mut().append("authorization", value.clone());
        }
        Ok(request)
    }
}

#[tokio::test]
async fn given_a_key_with_the_scopes_when_called_then_unary_and_streaming_methods_answer() {
    let stand = Stand::start().await;
    let key = stand.keys.key_with(|claims| {
        claims.with_name("till 1").with_scopes("accounts:manage ledger:read ledger:write".parse().unwrap())
    });
    let caller = stand.caller(&key);
    caller.open("cash").await.unwrap();
    assert_eq!(caller.entries("cash").await.unwrap(), []);
    assert_eq!(caller.post("cash", 1250).await.unwrap(), 1);
    assert_eq!(caller.post("cash", -300).await.unwrap(), 2);
    assert_eq!(caller.entries("cash").await.unwrap(), [(1, 1250, "till 1".into()), (2, -300, "till 1".into())]);
    stand.stop().await;
}

#[tokio::test]
async fn given_no_good_key_when_called_then_every_method_refuses() {
    let stand = Stand::start().await;
    let good = stand.keys.key(["*"]);
    let good = good.authorization();
    let mut mistyped = good.clone();
    mistyped.push('x');
    let revoked = stand.keys.key(["*"]);
    stand.keys.revoke(&revoked);
    let (required, invalid) = ("An API key is required.", "The API key is not valid.");
    for (name, values, code, message) in [
        ("no key", vec![], Code::Unauthenticated, required),
        ("another scheme", vec!["Basic YTpi"], Code::Unauthenticated, required),
        ("a mistyped key", vec![mistyped.as_str()], Code::Unauthenticated, invalid),
        ("a revoked key", vec![&revoked.authorization()], Code::Unauthenticated, invalid),
        ("two keys", vec![&good, &good], Code::InvalidArgument, "More than one credential was sent."),
        ("two keys in one value", vec!["Bearer a, Bearer b"], Code::InvalidArgument, "The credential is malformed."),
    ] {
        let refusals = stand.caller_with(presenting(&values)).refusals().await;
        assert_eq!(refusals, [(); 3].map(|()| (code, message.to_owned())), "{name}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn given_a_key_without_the_scope_when_called_then_the_service_or_the_method_refuses() {
    let stand = Stand::start().await;
    let lacks = || Err((Code::PermissionDenied, "The API key lacks a required scope.".to_owned()));
    let clerk = stand.caller(&stand.keys.key(["accounts:manage"]));
    clerk.open("cash").await.unwrap();
    for (scope, opens, posts, reads) in [
        ("accounts:manage", Ok(()), lacks(), lacks()),
        ("ledger:write", lacks(), Ok(()), lacks()),
        ("ledger:read", lacks(), lacks(), Ok(())),
        ("ledger:*", lacks(), Ok(()), Ok(())),
        ("other:*", lacks(), lacks(), lacks()),
    ] {
        let caller = stand.caller(&stand.keys.key([scope]));
        let account = format!("of-{}", scope.replace([':', '*'], "-"));
        let refused = |status: Status| (status.code(), status.message().to_owned());
        assert_eq!(caller.open(&account).await.map_err(refused), opens, "{scope} opens");
        assert_eq!(caller.post("cash", 1).await.map(drop).map_err(refused), posts, "{scope} posts");
        assert_eq!(caller.entries("cash").await.map(drop).map_err(refused), reads, "{scope} reads");
    }
    stand.stop().await;
}

#[tokio::test]
async fn given_keys_that_cannot_be_looked_up_when_called_then_unavailable_until_they_can() {
    let stand = Stand::start().await;
    let caller = stand.caller(&stand.keys.key(["*"]));
    stand.keys.fail(Some("the store is down"));
    let unavailable = (Code::Unavailable, "API keys can't be checked right now.".to_owned());
    assert_eq!(caller.refusals().await, [(); 3].map(|()| unavailable.clone()));
    stand.keys.fail(None);
    caller.open("cash").await.unwrap();
    stand.stop().await;
}

#[tokio::test]
async fn given_wrong_requests_when_called_then_they_are_refused_as_such() {
    let stand = Stand::start().await;
    let caller = stand.caller(&stand.keys.key(["*"]));
    caller.open("cash").await.unwrap();
    assert_eq!(caller.open("cash").await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(caller.open("no name").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(caller.post("none", 1).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(caller.entries("none").await.unwrap_err().code(), Code::NotFound);
    stand.stop().await;
}

#[tokio::test]
async fn given_a_stream_under_way_when_its_key_is_revoked_then_it_ends_and_others_go_on() {
    let stand = Stand::start().await;
    let (reader, other) = (stand.keys.key(["ledger:read"]), stand.keys.key(["ledger:read"]));
    let writer = stand.caller(&stand.keys.key(["accounts:manage", "ledger:write"]));
    writer.open("cash").await.unwrap();
    writer.post("cash", 1).await.unwrap();
    let mut ends = stand.caller(&reader).follow("cash").await.unwrap();
    let mut goes_on = stand.caller(&other).follow("cash").await.unwrap();
    for stream in [&mut ends, &mut goes_on] {
        assert_eq!(next(stream).await.unwrap(), Some(1));
    }

    stand.keys.revoke(&reader);
    let ended = next(&mut ends).await.unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::Unauthenticated, "The API key is not valid."));
    writer.post("cash", 2).await.unwrap();
    assert_eq!(next(&mut goes_on).await.unwrap(), Some(2));
    // The server waits for calls in progress, and only the client ends this one.
    drop(goes_on);
    drop((ends, writer));
    stand.stop().await;
}
