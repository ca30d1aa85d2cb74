//! The options of a middleware.

use std::sync::Arc;

use actix_web::http::header::HeaderName;
use apikey_core::adapter::Admission;

use crate::response::Responder;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) admission: Admission,
    /// The authenticator's extra headers, parsed once.
    pub(crate) extra_headers: Arc<[HeaderName]>,
    pub(crate) responder: Option<Responder>,
    pub(crate) keep_request: bool,
    pub(crate) expiry_header: Option<HeaderName>,
}
