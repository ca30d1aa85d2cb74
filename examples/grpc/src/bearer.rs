//! The client's interceptor, which sends a key with each call.

use std::fmt;

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Sets `authorization: Bearer …` on each call.
///
/// The key is readable on the connection, so use TLS across a network.
#[derive(Clone)]
pub struct Bearer {
    authorization: MetadataValue<Ascii>,
}

/// The error for a text that is not a key: a key is visible ASCII without spaces. It doesn't contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BearerError;

impl Bearer {
    /// Presents `key`.
    ///
    /// # Errors
    ///
    /// Returns an error if `key` is empty or contains a character that no key has.
    pub fn new(key: &str) -> Result<Self, BearerError> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BearerError);
        }
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {key}").parse().map_err(|_| BearerError)?;
        // Marked sensitive: it is not logged, and not stored in HTTP/2's header compression table.
        authorization.set_sensitive(true);
        Ok(Bearer { authorization })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.authorization.clone());
        Ok(request)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").finish_non_exhaustive()
    }
}

impl fmt::Display for BearerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API key is visible ASCII without spaces")
    }
}

impl std::error::Error for BearerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_key_when_presented_then_it_is_sensitive_and_alone() {
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", "Basic YTpi".parse().unwrap());
        let request = Bearer::new("demo_live_secret").unwrap().call(request).unwrap();
        let values: Vec<_> = request.metadata().get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer demo_live_secret"]);
        assert!(values[0].is_sensitive());
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn given_text_that_is_no_key_then_it_is_refused() {
        for text in ["", "two words", "line\nbreak", "é"] {
            assert_eq!(Bearer::new(text).unwrap_err(), BearerError, "{text:?}");
        }
        assert!(!format!("{:?}", Bearer::new("demo_live_secret")).contains("secret"));
    }
}
