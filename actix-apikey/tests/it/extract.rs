//! The extractors: what handlers get, and what refused callers see.

use actix_apikey::{
    AnyOf, ApiKey, ApiKeyMiddleware, ApiKeyRejection, AuthenticatedKey, Claims, ForeignTokens, KeyId, MaybeApiKey,
    Refusal, RejectionKind, RequireScope, ScopeSet, TestKeys, scopes,
};
use actix_web::{App, HttpMessage, ResponseError, body::BodySize, http::Method, test, test::TestRequest, web};

use crate::support::{Answer, get};

scopes! { Files { FilesRead = "files:read", FilesWrite = "files:write", FilesAudit = "files:audit" } }

macro_rules! app {
    ($($middleware:expr),*) => {
        test::init_service(
            App::new()
                .route("/key", web::get().to(async |key: ApiKey| key.key_id().to_string()))
                .route("/maybe", web::get().to(async |MaybeApiKey(key): MaybeApiKey| {
                    key.map_or("nobody".to_owned(), |key| key.key_id().to_string())
                }))
                .route("/all", web::route().to(async |key: RequireScope<(FilesRead, FilesWrite)>| key.key_id().to_string()))
                .route("/any", web::get().to(async |key: RequireScope<AnyOf<(FilesWrite, FilesAudit)>>| {
                    key.into_key().key_id().to_string()
                }))
                .route("/of/{organization}", web::get().to(async |key: ApiKey, path: web::Path<String>| {
                    key.require_organization(&path)?;
                    Ok::<_, ApiKeyRejection>("yours")
                }))
                $(.wrap($middleware))*
        )
        .await
    };
}

macro_rules! ask {
    ($app:expr, $request:expr) => {
        Answer::of(test::call_service(&$app, $request.to_request()).await).await
    };
}

#[actix_web::test]
async fn given_a_caller_when_extracted_then_the_handler_has_it_or_the_caller_is_told_what_is_missing() {
    let keys = TestKeys::new();
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    let (reader, writer) = (keys.key(["files:read"]), keys.key(["files:*"]));
    for uri in ["/key", "/maybe"] {
        assert_eq!(ask!(app, get(uri, reader.authorization())).text(), reader.id().as_str());
    }
    for uri in ["/all", "/any"] {
        assert_eq!(ask!(app, get(uri, writer.authorization())).text(), writer.id().as_str());
        let answer = ask!(app, get(uri, reader.authorization()));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
        assert_eq!(challenge.contains(r#"scope="files:read files:write""#), uri == "/all", "{challenge}");
        assert_eq!(challenge.contains("scope=\"files"), uri == "/all", "a choice can't be said: {challenge}");
        assert_eq!((answer.status, answer.header("cache-control")), (403, Some("no-store")));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}

#[actix_web::test]
async fn given_no_middleware_when_extracted_then_500_names_it() {
    let app = app!();
    for uri in ["/key", "/maybe", "/all"] {
        let answer = ask!(app, get(uri, "Bearer test_x".to_owned()));
        assert_eq!(answer.status, 500, "{uri}");
        assert!(answer.text().contains("ApiKeyMiddleware"), "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

#[actix_web::test]
async fn given_an_optional_middleware_when_nothing_is_sent_then_only_maybe_extracts() {
    let keys = TestKeys::with(|builder| builder.optional(true).realm("files"));
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    for authorization in [None, Some("Basic eDp5".to_owned())] {
        assert_eq!(ask!(app, get("/maybe", authorization.clone())).text(), "nobody");
        for uri in ["/key", "/all"] {
            let answer = ask!(app, get(uri, authorization.clone()));
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="files""#)));
        }
    }
    for bad in ["Bearer test_x", "Bearer"] {
        assert_ne!(ask!(app, get("/maybe", bad.to_owned())).status, 200, "a bad key is not nobody");
    }
}

#[actix_web::test]
async fn given_a_foreign_token_that_passes_when_extracted_then_there_is_no_key() {
    let keys = TestKeys::with(|builder| builder.foreign_tokens(ForeignTokens::PassThrough));
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    let jwt = || "Bearer eyJ.e30.x".to_owned();
    assert_eq!(ask!(app, get("/maybe", jwt())).text(), "nobody");
    assert_eq!(ask!(app, get("/key", jwt())).status, 401);
    assert_eq!(ask!(app, get("/maybe", None)).status, 401, "the middleware is not optional");
}

#[actix_web::test]
async fn given_an_anonymous_outer_and_a_strict_inner_middleware_when_extracted_then_the_inner_key_counts() {
    let (outer, inner) = (
        TestKeys::with(|b| b.optional(true).foreign_tokens(ForeignTokens::PassThrough)),
        TestKeys::with(|b| b.header("x-api-key")),
    );
    let app = app!(ApiKeyMiddleware::new(inner.authenticator()), ApiKeyMiddleware::new(outer.authenticator()));
    let key = inner.key(["a"]);
    let request = get("/maybe", None).insert_header(("x-api-key", key.secret().expose_secret()));
    assert_eq!(ask!(app, request).text(), key.id().as_str());
}

#[actix_web::test]
async fn given_a_handler_that_refuses_when_asked_for_a_stranger_s_then_it_is_not_found() {
    let keys = TestKeys::new();
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    let key = keys.key_with(|claims| claims.with_organization("acme".parse().unwrap()));
    assert_eq!(ask!(app, get("/of/acme", key.authorization())).text(), "yours");
    assert_eq!(ask!(app, get("/of/globex", key.authorization())).status, 404);
}

#[actix_web::test]
async fn given_responders_when_an_extractor_refuses_then_the_innermost_middleware_answers() {
    let says = |what: &'static str| {
        move |rejection: &actix_apikey::Rejection| Refusal::new("text/plain", format!("{what}: {}", rejection.code()))
    };
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    // One authenticator twice, so that the inner middleware uses the outer one's key.
    let twice =
        |keys: &TestKeys| (ApiKeyMiddleware::new(keys.authenticator()), ApiKeyMiddleware::new(keys.authenticator()));

    let (a, b) = twice(&keys);
    let app = app!(a.responder(says("inner")), b.responder(says("outer")));
    let answer = ask!(app, get("/all", key.authorization()));
    assert_eq!((answer.status, answer.text()), (403, "inner: insufficient_scope"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert!(answer.header("www-authenticate").unwrap().contains("scope="));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(ask!(app, get("/of/acme", key.authorization())).text(), "inner: not_found");

    let head = ask!(
        app,
        TestRequest::default().method(Method::HEAD).uri("/all").insert_header(("authorization", key.authorization()))
    );
    assert_eq!((head.status, head.size, head.body.len()), (403, BodySize::Sized(answer.body.len() as u64), 0));

    let (a, b) = twice(&keys);
    let app = app!(a, b.responder(says("outer")));
    let answer = ask!(app, get("/all", key.authorization()));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "also when it says it the usual way");
}

#[actix_web::test]
async fn given_a_fake_key_when_put_in_a_request_then_handlers_can_be_tested_without_a_middleware() {
    let claims = Claims::new(KeyId::new("k-1").unwrap()).with_scopes(ScopeSet::parse("files:read").unwrap());
    let key = AuthenticatedKey::fake(claims);
    let app = app!();
    let request = get("/key", None).to_request();
    request.extensions_mut().insert(key.clone());
    assert_eq!(Answer::of(test::call_service(&app, request).await).await.text(), "k-1");

    assert_eq!(RequireScope::<FilesRead>::check(key.clone()).unwrap().name(), key.name());
    let rejection = RequireScope::<FilesWrite>::check(key).unwrap_err();
    assert_eq!((rejection.status().as_u16(), rejection.status_code().as_u16()), (403, 403));
    assert_eq!(rejection.rejection().kind(), RejectionKind::InsufficientScope);
    assert_eq!(rejection.to_string(), "The API key lacks a required scope.");
    assert!(format!("{rejection:?}").starts_with("ApiKeyRejection(Rejection"));
}
