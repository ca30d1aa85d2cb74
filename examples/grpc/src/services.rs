//! The methods and their scopes. `books` has the data.

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};
use tower_apikey::{AuthenticatedKey, Rejection, RequiredScopes, caller};

use crate::{
    books::{Books, Line, NoAccount, OpenError},
    proto::{
        EntriesRequest, Entry, OpenRequest, OpenResponse, PostRequest, PostResponse, accounts_server, ledger_server,
    },
    server::{LedgerRead, LedgerWrite},
};

pub(crate) struct Ledger {
    books: Books,
}

pub(crate) struct Accounts {
    books: Books,
}

impl Ledger {
    pub(crate) fn new(books: Books) -> Self {
        Ledger { books }
    }
}

impl Accounts {
    pub(crate) fn new(books: Books) -> Self {
        Accounts { books }
    }
}

#[tonic::async_trait]
impl ledger_server::Ledger for Ledger {
    type EntriesStream = BoxStream<'static, Result<Entry, Status>>;

    async fn post(&self, request: Request<PostRequest>) -> Result<Response<PostResponse>, Status> {
        let posted_by = authorize::<LedgerWrite, _>(&request)?.name().to_owned();
        let PostRequest { account, amount, text } = request.into_inner();
        let number = self.books.post(&account, Line { amount, text, posted_by })?;
        Ok(Response::new(PostResponse { number }))
    }

    async fn entries(&self, request: Request<EntriesRequest>) -> Result<Response<Self::EntriesStream>, Status> {
        authorize::<LedgerRead, _>(&request)?;
        let EntriesRequest { account, follow } = request.into_inner();
        let lines = self.books.follow(&account)?;
        Ok(Response::new(entries(lines, follow).boxed()))
    }
}

#[tonic::async_trait]
impl accounts_server::Accounts for Accounts {
    // The layer around this service has checked the scope.
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        self.books.open(request.into_inner().account)?;
        Ok(Response::new(OpenResponse {}))
    }
}

/// Returns the caller if its key has the scopes `S`.
///
/// The message has been read and decoded by then; a layer, as around [`Accounts`], refuses before that.
fn authorize<S: RequiredScopes, T>(request: &Request<T>) -> Result<&AuthenticatedKey, Status> {
    let key = caller(request.extensions()).map_err(status)?;
    key.require::<S>().map_err(status)?;
    Ok(key)
}

/// Returns a refusal in the layer's form.
fn status(rejection: Rejection) -> Status {
    Status::new(Code::from_i32(rejection.grpc_code()), rejection.detail())
}

/// A call that may last for days. Like all calls, it ends with its key; the layer ensures that.
fn entries(lines: watch::Receiver<Vec<Line>>, follow: bool) -> impl Stream<Item = Result<Entry, Status>> + Send {
    stream::try_unfold((lines, 0), move |(mut lines, told)| async move {
        loop {
            let next = lines.borrow_and_update().get(told).map(|line| line.entry(told));
            if let Some(entry) = next {
                return Ok(Some((entry, (lines, told + 1))));
            }
            if !follow {
                return Ok(None);
            }
            if lines.changed().await.is_err() {
                return Ok(None);
            }
        }
    })
}

impl Line {
    fn entry(&self, index: usize) -> Entry {
        let Line { amount, text, posted_by } = self.clone();
        Entry { number: index as u64 + 1, amount, text, posted_by }
    }
}

impl From<OpenError> for Status {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadName => Status::invalid_argument(
                "An account's name is 1 to 100 letters, digits, dots, underscores and hyphens.",
            ),
            OpenError::Exists => Status::already_exists("There is an account of this name."),
        }
    }
}

impl From<NoAccount> for Status {
    fn from(_: NoAccount) -> Self {
        Status::not_found("There is no account of this name.")
    }
}
