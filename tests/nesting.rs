//! Keys that were in the extensions before a layer saw the request, and nested layers with responders. The table has
//! the cases that all frameworks share.

use apikey_core::{AuthenticatedKey, Claims};
use support::{
    calls::{answer, request, whoami},
    stand::{Setting, Stand, key_id},
};
use tower::{Layer, service_fn};
use tower_apikey::{ApiKeyLayer, Refusal, RequireScopeLayer};

fn layer(stand: &Stand) -> ApiKeyLayer {
    ApiKeyLayer::new(stand.authenticator.clone())
}

fn forged() -> AuthenticatedKey {
    AuthenticatedKey::fake(Claims::new(key_id("forged")).with_name("forged"))
}

#[tokio::test]
async fn given_a_forged_key_in_the_extensions_when_nothing_good_is_sent_then_it_lets_nobody_in() {
    let stand = Stand::new(Setting::Plain);
    for token in [None, Some("revoked"), Some("unknown")] {
        let mut request = match token {
            Some(name) => request(stand.token(name)),
            None => http::Request::new(String::new()),
        };
        request.extensions_mut().insert(forged());
        assert_eq!(answer(layer(&stand).layer(service_fn(whoami)), request).await.0, 401);
    }
}

#[tokio::test]
async fn given_a_forged_key_in_the_extensions_when_a_good_one_is_sent_or_none_is_needed_then_it_is_replaced() {
    for (setting, token, expected) in [(Setting::Plain, true, "reader"), (Setting::Optional, false, "")] {
        let stand = Stand::new(setting);
        let mut request = if token { request(stand.token("reader")) } else { http::Request::new(String::new()) };
        request.extensions_mut().insert(forged());
        let (status, body) = answer(layer(&stand).layer(service_fn(whoami)), request).await;
        match setting {
            Setting::Optional => assert_eq!(status, 401, "the handler needs a caller, and there is none"),
            _ => assert_eq!((status, body.as_str()), (200, expected)),
        }
    }
}

#[tokio::test]
async fn given_the_key_that_an_outer_layer_left_when_it_has_been_revoked_since_then_the_inner_layer_refuses_it() {
    let stand = Stand::new(Setting::Plain);
    let authenticator = stand.authenticator.clone();
    let inner = layer(&stand).layer(service_fn(whoami));
    let between = service_fn(move |request| {
        authenticator.revoke(&key_id("reader"));
        answer_of(inner.clone(), request)
    });
    stand.change("reader", |claims| claims, |record| record);
    let outer = layer(&stand).strip_credential(true).layer(between);
    assert_eq!(answer(outer, request(stand.token("reader"))).await.0, 401);
}

async fn answer_of<S, B>(service: S, request: http::Request<String>) -> Result<http::Response<B>, S::Error>
where
    S: tower::Service<http::Request<String>, Response = http::Response<B>>,
{
    tower::ServiceExt::oneshot(service, request).await
}

#[tokio::test]
async fn given_a_responder_on_each_layer_when_refused_then_the_innermost_that_saw_the_request_answers() {
    let stand = Stand::new(Setting::Plain);
    let says = |text: &'static str| layer(&stand).responder(move |_| Refusal::new("text/plain", text));
    let guarded = || RequireScopeLayer::of::<support::stand::FilesWrite>().layer(service_fn(whoami));
    let nested = || says("outer").layer(says("inner").layer(guarded()));
    assert_eq!(answer(nested(), http::Request::new(String::new())).await, (401, "outer".to_owned()));
    assert_eq!(answer(nested(), request(stand.token("unknown"))).await, (401, "outer".to_owned()));
    assert_eq!(answer(nested(), request(stand.token("reader"))).await, (403, "inner".to_owned()));
    // An inner layer without a responder leaves the default problem.
    let (status, problem) =
        answer(says("outer").layer(layer(&stand).layer(guarded())), request(stand.token("reader"))).await;
    assert_eq!(status, 403);
    assert!(problem.contains("insufficient_scope"), "{problem}");
}
