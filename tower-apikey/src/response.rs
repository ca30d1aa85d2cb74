//! Rejections as HTTP responses. The core has chosen everything except the form.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use apikey_core::{
    Rejection,
    adapter::{self, Answer, ResponseMut, fixed_headers},
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response,
    header::{CACHE_CONTROL, CONTENT_LENGTH},
    response::Parts,
};
use http_body::Body;
use http_body_util::Full;

use crate::{
    body::{Ending, ResponseBody},
    config::{Config, Responder},
    grpc,
    linger::Parting,
    refusal::Refusal,
};

/// Returns the response to `rejection`, for services and handlers that refuse requests themselves.
///
/// An [`ApiKeyLayer`](crate::ApiKeyLayer) around them applies its custom responder or gRPC's form.
///
/// ```
/// use tower_apikey::{AuthenticatedKey, refusal};
///
/// fn transfer(key: &AuthenticatedKey, organization: &str) -> http::Response<http_body_util::Full<bytes::Bytes>> {
///     match key.require_organization(organization) {
///         Ok(()) => http::Response::new("done".into()),
///         Err(rejection) => refusal(rejection),
///     }
/// }
/// ```
#[must_use]
pub fn refusal(rejection: Rejection) -> Response<Full<Bytes>> {
    let mut response = Form::default().refuse(&rejection, None);
    // The layer around it finds the rejection here.
    response.extensions_mut().insert(rejection);
    response
}

/// The form of a request's refusals.
#[derive(Clone, Copy, Default)]
struct Form {
    is_head: bool,
    is_grpc: bool,
}

impl Form {
    fn refuse(self, rejection: &Rejection, responder: Option<&Responder>) -> Response<Full<Bytes>> {
        let (mut parts, ()) = Response::new(()).into_parts();
        let body = self.write_to(rejection, responder, &mut parts);
        Response::from_parts(parts, body)
    }

    fn write_to(self, rejection: &Rejection, responder: Option<&Responder>, parts: &mut Parts) -> Full<Bytes> {
        if self.is_grpc {
            let (refused, body) = grpc::refusal(rejection).into_parts();
            parts.status = refused.status;
            for fixed in fixed_headers(rejection) {
                parts.headers.remove(fixed.0);
            }
            parts.headers.extend(refused.headers);
            return body;
        }
        let refusal = responder.map_or_else(|| Refusal::problem(rejection), |responder| responder(rejection));
        let length = refusal.body.len();
        let body = refusal.write_to(rejection, &mut parts.status, &mut parts.headers);
        if self.is_head {
            // RFC 9110 §9.3.2: no content, but the length of the response to GET.
            parts.headers.insert(CONTENT_LENGTH, length.into());
            return Full::default();
        }
        body
    }
}

/// What a request's response needs to know.
pub(crate) struct Exchange {
    form: Form,
    /// How an inner refusal treats the connection. It most likely comes before the body is read.
    parting: Parting,
    /// The core's part.
    admitted: adapter::Exchange,
    /// Set only if the response may need it, because cloning it is not free.
    config: Option<Arc<Config>>,
}

impl Exchange {
    pub(crate) fn of<B: Body>(request: &Request<B>, config: &Arc<Config>) -> Self {
        let form = Form { is_head: request.method() == Method::HEAD, is_grpc: config.grpc && grpc::is_grpc(request) };
        let needs_config = form.is_grpc || config.responder.is_some() || config.expiry_header.is_some();
        Exchange {
            form,
            parting: Parting::of(request),
            admitted: adapter::Exchange::default(),
            config: needs_config.then(|| Arc::clone(config)),
        }
    }

    pub(crate) fn admitted(self, admitted: adapter::Exchange) -> Self {
        Exchange { admitted, ..self }
    }

    pub(crate) fn poll<F: Future>(
        &mut self,
        service: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Rejection>> {
        self.admitted.poll(service, cx)
    }

    fn responder(&self) -> Option<&Responder> {
        self.config.as_ref()?.responder.as_deref()
    }

    /// Finishes the inner service's response.
    #[inline]
    pub(crate) fn finish<R>(&mut self, mut response: Response<R>) -> Response<ResponseBody<R>> {
        let is_refusal = response.extensions().get::<Rejection>().is_some();
        if is_refusal {
            self.parting.announce(&mut response);
        }
        let rewords = is_refusal && (self.form.is_grpc || self.form.is_head || self.responder().is_some());
        let expiry_header = self.config.as_ref().and_then(|config| config.expiry_header.as_ref());
        match self.admitted.finish(&mut View { response: &mut response, expiry_header }, rewords) {
            Answer::Free => response.map(ResponseBody::free),
            Answer::WhileLive(revoked, last_frame) => {
                let ending = Ending { is_grpc: self.form.is_grpc, last_frame };
                response.map(|body| ResponseBody::while_live(body, revoked, ending))
            }
            Answer::Refused(rejection) => {
                let (mut parts, _) = response.into_parts();
                let body = self.form.write_to(&rejection, self.responder(), &mut parts);
                Response::from_parts(parts, ResponseBody::refusal(body))
            }
        }
    }

    /// Refuses a request whose key died while its handler waited.
    #[cold]
    pub(crate) fn refuse_under_way(&mut self, rejection: &Rejection) -> Response<Full<Bytes>> {
        let mut refused = self.form.refuse(rejection, self.responder());
        self.parting.announce(&mut refused);
        self.admitted.answered(refused.status().as_u16());
        refused
    }
}

/// A response, as the core sees it.
struct View<'a, R> {
    response: &'a mut Response<R>,
    expiry_header: Option<&'a HeaderName>,
}

impl<R> ResponseMut for View<'_, R> {
    fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.response.extensions().get().cloned()
    }

    fn take<T: Clone + Send + Sync + 'static>(&mut self) -> Option<T> {
        self.response.extensions_mut().remove()
    }

    fn set_private(&mut self) {
        self.response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    }

    fn set_expiry(&mut self, moment: &str) {
        if let (Some(name), Ok(moment)) = (self.expiry_header, HeaderValue::try_from(moment)) {
            self.response.headers_mut().insert(name, moment);
        }
    }
}

impl Config {
    /// Returns the layer's own answer to a refused request.
    pub(crate) fn refuse<B>(
        &self,
        request: Request<B>,
        rejection: &Rejection,
        exchange: &Exchange,
    ) -> Response<Full<Bytes>>
    where
        B: Body + Send + 'static,
    {
        let mut refused = exchange.form.refuse(rejection, self.responder.as_deref());
        self.lingering.leave(request, &mut refused);
        refused
    }
}
