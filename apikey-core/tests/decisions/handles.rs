//! The handle of a verified caller.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use apikey_core::{AuthenticatedKey, Claims, KeyId, Requirement, ScopeSet, TestKeys, scopes};

use crate::support::{Request, admit};

scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write" } }

fn reader() -> AuthenticatedKey {
    let claims = Claims::new(KeyId::new("k").unwrap()).with_organization("acme".parse().unwrap());
    AuthenticatedKey::fake(claims.with_name("n").with_scopes(ScopeSet::parse("files:read").unwrap()))
}

#[test]
fn given_scopes_when_required_then_what_is_lacking_is_refused_and_named() {
    let key = reader();
    assert!(key.require::<FilesRead>().is_ok());
    assert!(key.require_scopes(&Requirement::all(["files:read"]).unwrap()).is_ok());
    let by_type = key.require::<(FilesRead, FilesWrite)>().unwrap_err();
    let by_value = key.require_scopes(&Requirement::all(["files:read", "files:write"]).unwrap()).unwrap_err();
    for rejection in [by_type, by_value] {
        assert_eq!((rejection.status(), rejection.grpc_code(), rejection.code()), (403, 7, "insufficient_scope"));
        let challenge = rejection.challenge().unwrap();
        assert!(challenge.ends_with(r#", scope="files:read files:write""#), "{challenge}");
    }
    assert!(Files::catalog().scopes().count() == 2);
}

#[test]
fn given_an_organization_when_it_is_anothers_then_nothing_is_found() {
    assert!(reader().require_organization("acme").is_ok());
    let nobody = AuthenticatedKey::fake(Claims::new(KeyId::new("k").unwrap()));
    for rejection in [reader().require_organization("other"), nobody.require_organization("acme")] {
        let rejection = rejection.unwrap_err();
        assert_eq!((rejection.status(), rejection.grpc_code(), rejection.code()), (404, 5, "not_found"));
        assert_eq!(rejection.challenge(), None);
    }
    assert!(nobody.require_organization("").is_err());
}

#[test]
fn given_a_handle_when_read_or_printed_then_it_is_its_claims() {
    let key = reader();
    assert_eq!((key.name(), key.claims().organization().unwrap().as_str()), ("n", "acme"));
    let debug = format!("{key:?}");
    assert!(debug.contains("\"acme\"") && debug.contains("is_live: true"), "{debug}");
    assert!(format!("{:?}", key.revoked()).contains("KeyId(k)"));
}

struct Woken;

impl Wake for Woken {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn given_who_waits_for_revocation_when_they_stop_then_no_waker_stays_behind() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let handle = admit(&keys.authenticator(), &Request::of(&key)).await;
    let woken = Arc::new(Woken);
    let waker = Waker::from(Arc::clone(&woken));
    let unwatched = Arc::strong_count(&woken);
    {
        let mut revoked = pin!(handle.revoked());
        for _ in 0..3 {
            assert!(revoked.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&woken), unwatched + 1);
    }
    assert_eq!(Arc::strong_count(&woken), unwatched);

    let mut revoked = pin!(handle.revoked());
    assert!(revoked.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    keys.revoke(&key);
    assert_eq!(revoked.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    assert!(!handle.is_live());
    handle.revoked().await;
}
