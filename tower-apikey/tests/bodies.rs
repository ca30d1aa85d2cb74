//! Bodies in progress when their key dies, poll by poll.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_apikey::{
    ApiKeyLayer, BodyError, BoxError, FinishLayer, LastFrame, OnRevoked, RequireScopeLayer, ResponseBody, TestKey,
    TestKeys,
};

/// Two chunks, and a third that never comes. `alive` lives as long as the body.
struct Chunks {
    left: u8,
    alive: Option<Arc<()>>,
    fails: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.fails {
            return Poll::Ready(Some(Err(std::io::Error::other("the disk is gone"))));
        }
        assert!(self.alive.is_some());
        match self.left {
            0 => Poll::Pending,
            _ => {
                self.left -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
            }
        }
    }
}

fn chunks(left: u8) -> (Chunks, Weak<()>) {
    let alive = Arc::new(());
    let weak = Arc::downgrade(&alive);
    (Chunks { left, alive: Some(alive), fails: false }, weak)
}

fn request(key: &TestKey) -> Request<String> {
    Request::get("/").header("authorization", key.authorization()).body(String::new()).unwrap()
}

async fn under_way(layer: ApiKeyLayer, key: &TestKey, response: Response<Chunks>) -> ResponseBody<Chunks> {
    let response = Arc::new(Mutex::new(Some(response)));
    let handler = service_fn(move |_: Request<String>| {
        let response = response.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(response) }
    });
    layer.layer(handler).oneshot(request(key)).await.unwrap().into_body()
}

fn poll<B>(body: &mut B) -> Poll<Option<Result<Bytes, B::Error>>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    polled.map_ok(|frame| frame.into_data().unwrap_or_default())
}

#[tokio::test]
async fn given_a_body_at_any_point_when_its_key_is_revoked_then_it_is_dropped_unpolled_and_ends_with_an_error() {
    for polls in 0..4 {
        let keys = TestKeys::new();
        let key = keys.key(["a"]);
        let (chunks, alive) = chunks(2);
        let mut body = under_way(ApiKeyLayer::new(keys.authenticator()), &key, Response::new(chunks)).await;
        for number in 0..polls {
            assert_eq!(poll(&mut body).is_ready(), number < 2);
        }
        keys.revoke(&key);
        if polls == 0 {
            // The first frame passes; it is the last.
            assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        }
        assert_eq!(alive.strong_count(), 0, "after {polls} polls");
        let Poll::Ready(Some(Err(error))) = poll(&mut body) else { panic!("half is taken for whole") };
        assert!(error.is_revoked() && error.into_inner().is_err());
        assert!(matches!(poll(&mut body), Poll::Ready(None)) && body.is_end_stream());
    }
}

#[tokio::test]
async fn given_a_service_s_own_choice_when_its_key_is_revoked_then_the_body_ends_or_goes_on_as_it_says() {
    let keys = TestKeys::new();
    for finishes in [false, true] {
        let key = keys.key(["a"]);
        let mut response = Response::new(chunks(3).0);
        match finishes {
            true => drop(response.extensions_mut().insert(OnRevoked::Finish)),
            false => drop(response.extensions_mut().insert(LastFrame::new("bye"))),
        }
        let mut body = under_way(ApiKeyLayer::new(keys.authenticator()), &key, response).await;
        assert!(poll(&mut body).is_ready());
        keys.revoke(&key);
        let Poll::Ready(Some(Ok(next))) = poll(&mut body) else { panic!("it says how it ends") };
        assert_eq!(next, if finishes { "x" } else { "bye" });
        assert_eq!(matches!(poll(&mut body), Poll::Ready(None)), !finishes);
    }
}

#[tokio::test]
async fn given_nested_layers_when_a_body_is_cut_or_fails_then_the_outermost_error_tells_which() {
    let keys = TestKeys::new();
    for fails in [false, true] {
        let key = keys.key(["files:read"]);
        let handler = service_fn(move |_: Request<String>| {
            let (mut chunks, _) = chunks(1);
            chunks.fails = fails;
            async { Ok::<_, Infallible>(Response::new(chunks)) }
        });
        let outer = ApiKeyLayer::new(keys.authenticator()).on_revoked(OnRevoked::Finish);
        let inner = ApiKeyLayer::new(keys.authenticator());
        let boxes = tower::util::MapResponseLayer::new(|response: Response<ResponseBody<_>>| {
            response.map(|body| body.map_err(BoxError::from).boxed())
        });
        let service = outer.layer(boxes.layer(inner.layer(handler)));
        let mut body = service.oneshot(request(&key)).await.unwrap().into_body();
        if !fails {
            assert!(poll(&mut body).is_ready());
            keys.revoke(&key);
        }
        let Poll::Ready(Some(Err(error))) = poll(&mut body) else { panic!("it ends with an error") };
        assert_eq!(error.is_revoked(), !fails);
        assert!(std::error::Error::source(&error).is_some());
        let causes = format!("{error:?}");
        assert_eq!(causes.contains("the disk is gone"), fails, "{causes}");
    }
}

#[test]
fn given_bodies_when_boxed_or_served_then_they_have_what_frameworks_ask_for() {
    fn served<B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static>() {}
    fn error<E: std::error::Error + Send + Sync + 'static>() {}
    served::<ResponseBody<Full<Bytes>>>();
    served::<ResponseBody<ResponseBody<String>>>();
    served::<ResponseBody<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>>>();
    error::<BodyError>();
    let _ = (FinishLayer::new(), RequireScopeLayer::new(tower_apikey::Requirement::all(["a"]).unwrap()));
}
