//! `Debug`, `Display` and problems of all public values that have had a key.

use std::io;

use apikey_core::{
    AnyOf, KeyFormat, KeyHasher, Pepper,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use support::stand::{FilesRead, FilesWrite, Setting, Stand};

use crate::disguise::{assert_absent, assert_absent_digest};

struct OneLine(String);

impl RequestView for OneLine {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

/// Prints all public values that have had a key, in both ways.
async fn printed(stand: &Stand, name: &str) -> Vec<String> {
    let line = OneLine(format!("Bearer {}", stand.token(name)));
    let mut printed = Vec::new();
    let mut print = |value: &dyn std::fmt::Debug| printed.extend([format!("{value:?}"), format!("{value:#?}")]);
    let key = match stand.authenticator.authenticate(&line) {
        Authentication::Loading(loading) => {
            print(&loading);
            print(&Authentication::Loading(loading));
            let Authentication::Loading(loading) = stand.authenticator.authenticate(&line) else {
                panic!("nothing has been loaded")
            };
            loading.await
        }
        Authentication::Done(decision) => decision,
    };
    print(&key);
    print(&stand.authenticator.authenticate(&line));
    match key {
        Ok(Some(key)) => {
            print(&key.claims());
            print(&key.revoked());
            print(&key.require::<AnyOf<(FilesRead, FilesWrite)>>());
            print(&key.require_organization("globex"));
        }
        Ok(None) => panic!("a key was sent"),
        Err(rejection) => {
            printed.extend([rejection.to_string(), rejection.problem(), format!("{:?}", rejection.challenge())])
        }
    }
    printed
}

#[tokio::test]
async fn given_everything_public_that_has_seen_a_key_when_printed_then_neither_key_nor_digest_is_there() {
    let stand = Stand::new(Setting::ExplainRefusals);
    for name in ["reader", "revoked", "unknown", "mistyped", "nobody"] {
        for text in printed(&stand, name).await {
            assert_absent(&text, stand.token(name), &text);
            assert_absent_digest(&text, &stand.digest(name), &text);
        }
    }
}

#[tokio::test]
async fn given_keys_with_every_character_of_base64_when_printed_then_they_are_not_there_percent_encoded_either() {
    let format = KeyFormat::builder("b").alphabet(apikey_core::Alphabet::Base64).build().unwrap();
    let key = format.generate().unwrap();
    let hasher = KeyHasher::hmac_sha256(Pepper::new(1, &[7; 32]).unwrap());
    let digest = hasher.digest(&key);
    let exposed = key.expose_secret().to_owned();
    let (sent, received) = std::sync::mpsc::channel();
    let resolver = apikey_core::resolver_fn(move |presented: apikey_core::PresentedKey| {
        let printed = format!("{presented:?} {presented:#?} {:?}", presented.plaintext());
        sent.send((printed, format!("{:?}", presented.digests()))).unwrap();
        async { Ok::<_, io::Error>(None) }
    });
    let authenticator = apikey_core::Authenticator::builder(resolver).format(format.clone()).hasher(hasher.clone());
    let builder = format!("{authenticator:?}");
    let authenticator = authenticator.build().unwrap();
    let Authentication::Loading(loading) = authenticator.authenticate(&OneLine(format!("Bearer {exposed}"))) else {
        panic!("nothing has been loaded")
    };
    drop(loading.await);
    let (presented, digests) = received.recv().unwrap();
    for text in [builder, presented, digests, format!("{key:?} {format:?} {hasher:?} {authenticator:?} {digest:?}")] {
        assert_absent(&text, &exposed, &text);
        assert_absent_digest(&text, &digest, &text);
    }
}
