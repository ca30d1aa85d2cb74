//! The configuration of a layer.

use std::{fmt, sync::Arc};

use apikey_core::{
    Rejection,
    adapter::{Admission, RequestDescription},
};
use http::{Extensions, HeaderMap, HeaderName};

use crate::{linger::Lingering, refusal::Refusal};

pub(crate) type Responder = dyn Fn(&Rejection) -> Refusal + Send + Sync;
type Describe = dyn Fn(&HeaderMap, &Extensions) -> RequestDescription + Send + Sync;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) admission: Admission,
    /// The authenticator's extra headers, parsed once.
    pub(crate) extra_headers: Box<[HeaderName]>,
    pub(crate) responder: Option<Arc<Responder>>,
    pub(crate) grpc: bool,
    pub(crate) expiry_header: Option<HeaderName>,
    pub(crate) describe: Option<Arc<Describe>>,
    pub(crate) lingering: Lingering,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyLayer")
            .field("admission", &self.admission)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}
