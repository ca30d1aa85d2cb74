//! The service's response body, polled by actix. It keeps pumping the request's body while it is sent.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;

use super::request_body::Pump;

pin_project! {
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: B,
        size: BodySize,
        pump: Option<Pump>,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: B, size: BodySize, pump: Option<Pump>) -> Self {
        ResponseBody { body, size, pump }
    }
}

impl<B> MessageBody for ResponseBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Box<dyn Error>>>> {
        let mut this = self.project();
        // Polled first, so that a body that is made from the request's finds it.
        if this.pump.as_mut().is_some_and(|pump| pump.poll(cx).is_ready()) {
            *this.pump = None;
        }
        loop {
            let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let frame = frame.map_err(|error| -> Box<dyn Error> { error.into() })?;
            if let Ok(mut data) = frame.into_data()
                // An empty chunk would end a chunked message.
                && data.has_remaining()
            {
                return Poll::Ready(Some(Ok(data.copy_to_bytes(data.remaining()))));
            }
        }
    }
}
