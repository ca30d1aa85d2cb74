//! Bodies that come too slowly end with an error. Of a request, actix bounds the head alone.

use std::{io, time::Duration};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    rt::time::sleep,
};
use futures_util::{FutureExt, StreamExt, stream};

/// Gives the body of `request` so long to come.
pub(crate) async fn body_in_time(
    client_timeout: Duration,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (mut body, mut late) = (request.take_payload(), Box::pin(sleep(client_timeout)));
    let bounded = stream::poll_fn(move |cx| {
        let too_late = late.poll_unpin(cx).map(|()| Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        if too_late.is_ready() { too_late } else { body.poll_next_unpin(cx) }
    });
    request.set_payload(Payload::Stream { payload: bounded.boxed_local() });
    next.call(request).await
}
