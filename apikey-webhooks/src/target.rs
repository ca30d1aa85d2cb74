//! A webhook's URL: what is refused before anything is resolved.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::Addresses;

/// Most characters of a URL.
const LONGEST: usize = 2_000;

/// Which URLs may be called.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) addresses: Addresses,
    pub(crate) plain_http: bool,
}

impl Targets {
    /// Parses a URL, or says what is wrong with it. A host name is not resolved.
    ///
    /// An IP address, in whatever notation, is judged here, since the HTTP client resolves names alone.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, &'static str> {
        if text.chars().nth(LONGEST).is_some() {
            return Err("must have at most 2,000 characters");
        }
        // The URL standard would drop or replace them.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("must not contain spaces, control characters or backslashes");
        }
        if !(text.starts_with("https://") || self.plain_http && text.starts_with("http://")) {
            return Err(if self.plain_http {
                "must begin with https:// or http://"
            } else {
                "must begin with https://"
            });
        }
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or a password");
        }
        if url.fragment().is_some() {
            return Err("must not contain a fragment");
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err("must name a host"),
        };
        if address.is_some_and(|address| !self.addresses.contain(address)) {
            return Err("must lead to a public address");
        }
        Ok(url)
    }
}
