//! The host that a key belongs to. A key is sent to it alone.

use url::{Host as Name, Url};

use crate::error::Error;

/// A host, as a URL that ends with a slash.
#[derive(Clone, Debug)]
pub(crate) struct Host(Url);

impl Host {
    /// Reads a URL such as `https://registry.example`. Plain HTTP is for loopback, unless `plain_http` allows more.
    pub(crate) fn parse(text: &str, plain_http: bool) -> Result<Host, Error> {
        let usage = |reason: &str| Error::Usage(format!("host {text:?}: {reason}"));
        let mut url = Url::parse(text).map_err(|_| usage("not a URL such as https://registry.example"))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            // The text may hold a password, so it isn't repeated.
            return Err(Error::Usage("host: a URL without user, query and fragment is needed".to_owned()));
        }
        match url.scheme() {
            "https" => {}
            "http" if plain_http || is_loopback(&url) => {}
            "http" => return Err(usage("plain HTTP shows the key to everyone on the way; use https")),
            _ => return Err(usage("the scheme must be https")),
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Host(url))
    }

    /// Returns scheme, name and port, such as `https://registry.example`.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Returns the URL of a path below this host's.
    pub(crate) fn join(&self, path: &str) -> Result<Url, Error> {
        let url = self.0.join(path.trim_start_matches('/')).map_err(|_| Error::Usage(format!("not a path: {path}")))?;
        self.check(&url).map(|()| url)
    }

    /// Refuses a URL of another origin.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Error> {
        if url.origin() == self.0.origin() {
            return Ok(());
        }
        let (own, other) = (self.origin(), url.origin().ascii_serialization());
        Err(Error::Usage(format!("the key is for {own} and isn't sent to {other}")))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Name::Ipv4(address)) => address.is_loopback(),
        Some(Name::Ipv6(address)) => address.is_loopback(),
        // RFC 6761 §6.3
        Some(Name::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_urls_when_parsed_then_plain_http_is_for_loopback() {
        let cases = [
            ("https://registry.example", true),
            ("https://registry.example:8443/base", true),
            ("http://127.0.0.1:3000", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:3000/", true),
            ("http://localhost:3000", true),
            ("http://api.localhost", true),
            ("http://registry.example", false),
            ("http://localhost.example", false),
            ("http://notlocalhost", false),
            ("http://10.0.0.1", false),
            ("http://128.0.0.1", false),
            ("ftp://registry.example", false),
            ("https://user@registry.example", false),
            ("https://:secret@registry.example", false),
            ("https://registry.example/?key=1", false),
            ("registry.example", false),
            ("", false),
        ];
        for (text, allowed) in cases {
            assert_eq!(Host::parse(text, false).is_ok(), allowed, "{text}");
        }
        assert!(Host::parse("http://registry.example", true).is_ok());
        let error = Host::parse("https://:hunter2@registry.example", false).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn given_paths_when_joined_then_none_leads_to_another_origin() {
        let host = Host::parse("https://registry.example/base", false).unwrap();
        assert_eq!(host.join("files").unwrap().as_str(), "https://registry.example/base/files");
        assert_eq!(host.join("/files?a=b").unwrap().as_str(), "https://registry.example/base/files?a=b");
        assert_eq!(host.join("//evil.example/x").unwrap().as_str(), "https://registry.example/base/evil.example/x");
        for path in ["https://evil.example/", "http://registry.example/", "https://registry.example:444/", "data:x"] {
            assert!(host.join(path).is_err(), "{path}");
        }
    }
}
