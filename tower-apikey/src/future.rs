//! The future of one request: it waits for the key, runs the inner service, or refuses.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apikey_core::adapter::Loading;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{body::ResponseBody, config::Config, response::Exchange, view::View};

pin_project! {
    /// The response future of [`ApiKeyService`](crate::ApiKeyService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // Boxed, because the future is moved, and cached requests should pay only for their own call.
        Refused {
            response: Option<Box<Response<Full<Bytes>>>>,
        },
        Loading {
            call: Option<Box<Call<S, B>>>,
        },
        Calling {
            #[pin]
            future: S::Future,
            exchange: Exchange,
        },
    }
}

/// A call that waits for its key, with the service that was ready for it.
struct Call<S, B> {
    loading: Loading,
    ready: S,
    request: Request<B>,
    config: Arc<Config>,
    exchange: Exchange,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(crate) fn refused(response: Response<Full<Bytes>>) -> Self {
        ResponseFuture { state: State::Refused { response: Some(Box::new(response)) } }
    }

    pub(crate) fn calling(future: S::Future, exchange: Exchange) -> Self {
        ResponseFuture { state: State::Calling { future, exchange } }
    }

    pub(crate) fn loading(
        loading: Loading,
        ready: S,
        request: Request<B>,
        config: Arc<Config>,
        exchange: Exchange,
    ) -> Self {
        let call = Call { loading, ready, request, config, exchange };
        ResponseFuture { state: State::Loading { call: Some(Box::new(call)) } }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body + Send + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    #[expect(clippy::expect_used, reason = "a future polled after completion may panic")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map(ResponseBody::refusal)));
                }
                StateProjection::Calling { future, exchange } => match ready!(exchange.poll(future, cx)) {
                    Ok(response) => return Poll::Ready(Ok(exchange.finish(response?))),
                    Err(rejection) => {
                        State::Refused { response: Some(Box::new(exchange.refuse_under_way(&rejection))) }
                    }
                },
                StateProjection::Loading { call } => {
                    let waiting = call.as_mut().expect("polled after completion");
                    let decision = ready!(Pin::new(&mut waiting.loading).poll(cx));
                    let Call { mut ready, mut request, config, exchange, .. } =
                        *call.take().expect("looked at just now");
                    match decision {
                        Ok(key) => {
                            let mut view = View { request: &mut request, config: &config };
                            let exchange = exchange.admitted(config.admission.admit(key, &mut view));
                            State::Calling { future: ready.call(request), exchange }
                        }
                        Err(rejection) => {
                            let response = config.refuse(request, &rejection, &exchange);
                            State::Refused { response: Some(Box::new(response)) }
                        }
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
