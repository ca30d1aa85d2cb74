//! The answer to each kind of refusal.

use std::time::Duration;

use apikey_core::{
    AuthenticatedKey, Claims, KeyStatus, Rejection, RejectionKind, Requirement, Resolution, TestKeys,
    adapter::Anonymous,
};

use crate::support::{Request, decide};

async fn refused(keys: &TestKeys, request: &Request) -> Rejection {
    decide(&keys.authenticator(), request).await.unwrap_err()
}

#[tokio::test]
async fn given_each_kind_of_refusal_when_answered_then_status_code_and_title_belong_together() {
    use RejectionKind::{
        InsufficientScope, InvalidRequest, InvalidToken, MissingCredential, MissingLayer, NotFound, Unavailable,
    };
    let keys = TestKeys::with(|builder| builder.retry_after(Duration::from_millis(2_001)));
    let handle = AuthenticatedKey::fake(Claims::new("k".parse().unwrap()));
    let malformed = refused(&keys, &Request::bearer("a b")).await;
    let unknown = refused(&keys, &Request::bearer("test_unknown")).await;
    keys.fail(Some("down"));
    let unavailable = refused(&keys, &Request::of(&keys.key(["a"]))).await;
    let cases = [
        (
            Anonymous::new(keys.authenticator()).refuse(),
            MissingCredential,
            401,
            16,
            "missing_credential",
            "Unauthorized",
        ),
        (malformed, InvalidRequest, 400, 3, "invalid_request", "Bad Request"),
        (unknown, InvalidToken, 401, 16, "invalid_token", "Unauthorized"),
        (
            handle.require_scopes(&Requirement::all(["a"]).unwrap()).unwrap_err(),
            InsufficientScope,
            403,
            7,
            "insufficient_scope",
            "Forbidden",
        ),
        (handle.require_organization("o").unwrap_err(), NotFound, 404, 5, "not_found", "Not Found"),
        (unavailable, Unavailable, 503, 14, "unavailable", "Service Unavailable"),
        (Rejection::missing_layer("ApiKeyLayer"), MissingLayer, 500, 13, "missing_layer", "Internal Server Error"),
    ];
    for (rejection, kind, status, grpc_code, code, title) in cases {
        assert_eq!((rejection.kind(), rejection.status(), rejection.grpc_code()), (kind, status, grpc_code));
        let problem: serde_json::Value = serde_json::from_str(&rejection.problem()).unwrap();
        let detail = rejection.to_string();
        let expected = serde_json::json!({
            "type": "about:blank", "title": title, "status": status, "code": code, "detail": detail,
        });
        assert_eq!(problem, expected);
        assert_eq!(rejection.detail(), detail);
        assert!(detail.len() > 10, "{detail}");
        assert_eq!(rejection.retry_after(), (kind == Unavailable).then_some(3));
        let error = (status < 404 && kind != MissingCredential).then(|| format!(", error=\"{code}\""));
        let challenge = rejection.challenge();
        assert_eq!(challenge.is_some(), status < 404, "{code}");
        assert!(error.is_none_or(|error| challenge.is_some_and(|challenge| challenge.contains(&error))));
        assert!(format!("{rejection:?}").starts_with(&format!("Rejection {{ kind: {kind:?}, reason: \"")));
    }
    assert!(Rejection::missing_layer("ApiKeyLayer").detail().contains("ApiKeyLayer"));
}

#[tokio::test]
async fn given_two_credentials_or_a_malformed_one_when_answered_then_the_sender_is_told_which() {
    let keys = TestKeys::with(|builder| builder.header("x-api-key"));
    let two = Request { extra: Some("b".to_owned()), ..Request::bearer("a") };
    assert_eq!(refused(&keys, &two).await.detail(), "More than one credential was sent.");
    assert_eq!(refused(&keys, &Request::bearer("a b")).await.detail(), "The credential is malformed.");
}

#[tokio::test]
async fn given_a_service_that_tells_holders_when_their_key_is_refused_then_each_reason_is_told() {
    let keys = TestKeys::with(|builder| builder.explain_refusals(true).environments(["live"]));
    let wall = keys.clock().wall();
    let later = wall + Duration::from_secs(1);
    type Record = Box<dyn Fn(Resolution) -> Resolution>;
    let cases: [(Record, &str); 4] = [
        (Box::new(|record| record.with_status(KeyStatus::Disabled)), "The key is disabled."),
        (Box::new(|record| record.with_status(KeyStatus::Revoked)), "The key has been revoked."),
        (Box::new(move |record| record.with_not_before(later)), "The key is not valid yet."),
        (Box::new(move |record| record.with_secret_end(wall)), "The key has expired."),
    ];
    for (change, told) in cases {
        let key = keys.insert(|digest, id| change(Resolution::new(digest, Claims::new(id).with_environment("live"))));
        assert_eq!(refused(&keys, &Request::of(&key)).await.detail(), told);
    }
    let key = keys.key_with(|claims| claims.with_environment("test"));
    assert_eq!(refused(&keys, &Request::of(&key)).await.detail(), "The key belongs to another environment.");
    assert_eq!(refused(&keys, &Request::bearer("test_none")).await.detail(), "The API key is not valid.");
}
