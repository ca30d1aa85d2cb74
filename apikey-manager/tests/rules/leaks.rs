//! The key of a secret that somebody found.

use std::time::Duration;

use apikey_core::KeyFormat;
use apikey_manager::{NewKey, Overlap};

use crate::{bed::Bed, stage::Stage};

/// A secret identifies its key as long as the key can be accepted with it, now or again.
#[tokio::test]
async fn a_secret_identifies_its_key_until_either_has_ended() {
    let stage = Stage::new(Bed::new());
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = keys.issue(host, NewKey::new("a key").expires_at(bed.at(1_000))).await.unwrap();
    let old = key.secret().expose_secret().to_owned();
    let found = async |secret: &str| keys.identify(secret).await.unwrap().map(|found| (found.id, found.organization));
    let ours = Some((key.id().clone(), stage.ours.clone()));
    assert_eq!(found(&old).await, ours, "it is valid");
    keys.disable(host, key.id()).await.unwrap();
    assert_eq!(found(&old).await, ours, "it may be enabled");
    keys.enable(host, key.id()).await.unwrap();
    let rotated = keys.rotate(host, key.id(), Overlap::For(Duration::from_secs(10))).await.unwrap();
    let new = rotated.secret().expose_secret().to_owned();
    assert_eq!([found(&old).await, found(&new).await], [ours.clone(), ours.clone()], "both are valid");
    stage.at(10);
    assert_eq!([found(&old).await, found(&new).await], [None, ours.clone()], "the old one has ended");
    stage.at(2_000);
    assert_eq!(found(&new).await, ours, "its expiry may be extended");
    keys.revoke(host, key.id(), "leaked").await.unwrap();
    assert_eq!(found(&new).await, None, "it is revoked for good");
}

/// Texts that are no secrets identify nothing, whatever they look like.
#[tokio::test]
async fn other_texts_identify_nothing() {
    let stage = Stage::new(Bed::new());
    let key = stage.issue().await.unwrap();
    let unknown = KeyFormat::builder("tst").environment("live").build().unwrap().generate().unwrap();
    let other = KeyFormat::builder("other").build().unwrap().generate().unwrap();
    let hint = &key.record().hint;
    for text in ["", "\0", "a b", hint, key.id().as_str(), unknown.expose_secret(), other.expose_secret()] {
        assert!(stage.keys.identify(text).await.unwrap().is_none(), "{text:?}");
    }
}
