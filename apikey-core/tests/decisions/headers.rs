//! Decisions by the text of a credential, before any lookup. `properties` tests how headers are read.

use apikey_core::{
    Authenticator, Checksum, ForeignTokens, KeyFormat, KeyFormatBuilder, TestKeys, adapter::Anonymous, resolver_fn,
};

use crate::support::{Request, admit, decide, refusal};

fn declared(prefix: &str) -> KeyFormatBuilder {
    KeyFormat::builder(prefix).environment("live").environment("test")
}

/// Returns an authenticator of `format` that knows no key.
fn keyless(format: KeyFormat) -> apikey_core::AuthenticatorBuilder {
    Authenticator::builder(resolver_fn(async |_| std::io::Result::Ok(None))).format(format)
}

#[tokio::test]
async fn given_text_that_fails_a_step_when_refused_then_logs_name_the_step() {
    let format = declared("tsk").build().unwrap();
    let authenticator = keyless(format.clone()).environments(["live"]).build().unwrap();
    let live = format.generate_for("live").unwrap();
    let live = live.expose_secret();
    let test = format.generate_for("test").unwrap();
    let mistyped = format!("{}{}", &live[..live.len() - 1], if live.ends_with('0') { '1' } else { '0' });
    let cases = [
        ("other_live_x".to_owned(), "wrong_format"),
        ("tsk_stage_x".to_owned(), "wrong_environment"),
        ("tsk_live_x".to_owned(), "wrong_format"),
        (format!("{live}x"), "wrong_format"),
        (mistyped, "wrong_checksum"),
        (test.expose_secret().to_owned(), "wrong_environment"),
        (live.to_owned(), "unknown"),
        (format!("{live}="), "wrong_format"),
        (format!("{live},"), "malformed_credential"),
        (String::new(), "malformed_credential"),
    ];
    for (token, expected) in cases {
        assert_eq!(refusal(&authenticator, &Request::bearer(&token)).await, expected, "{token}");
    }
}

#[tokio::test]
async fn given_two_formats_when_neither_accepts_then_the_one_that_got_further_is_named() {
    let two = keyless(declared("tsk").build().unwrap()).format(KeyFormat::builder("npm").build().unwrap());
    let authenticator = two.build().unwrap();
    assert_eq!(refusal(&authenticator, &Request::bearer("tsk_stage_x")).await, "wrong_environment");
    let mistyped = Request::bearer("npm_qkJaB6MffYVzZXWqmcoF49yrUxP3wg0LsakP");
    assert_eq!(refusal(&authenticator, &mistyped).await, "wrong_checksum");
}

#[tokio::test]
async fn given_foreign_tokens_that_pass_when_sent_then_only_those_in_authorization_and_without_a_prefix_do() {
    let format = declared("tsk").checksum(Checksum::None).build().unwrap();
    let builder = || keyless(format.clone()).header("X-Api-Key");
    let passing = builder().foreign_tokens(ForeignTokens::PassThrough).build().unwrap();
    let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    assert!(decide(&passing, &Request::bearer(jwt)).await.unwrap().is_none());
    assert_eq!(refusal(&passing, &Request::bearer("tsk_live_short")).await, "wrong_format");
    let in_extra = Request { extra: Some(jwt.to_owned()), ..Request::default() };
    assert_eq!(refusal(&passing, &in_extra).await, "wrong_format");
    assert_eq!(refusal(&builder().build().unwrap(), &Request::bearer(jwt)).await, "wrong_format");
}

#[tokio::test]
async fn given_an_extra_header_when_asked_for_then_it_is_in_lower_case_and_its_whole_value_is_the_key() {
    let keys = TestKeys::with(|builder| builder.header("X-Api-Key"));
    let names: Vec<_> = keys.authenticator().extra_headers().iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["x-api-key"]);
    let key = keys.key(["a"]);
    let sent = |value: String| Request { extra: Some(value), ..Request::default() };
    let secret = key.secret().expose_secret().to_owned();
    assert_eq!(admit(&keys.authenticator(), &sent(secret.clone())).await.key_id(), key.id());
    let with_scheme = sent(format!("Bearer {secret}"));
    assert_eq!(refusal(&keys.authenticator(), &with_scheme).await, "malformed_credential");
}

#[tokio::test]
async fn given_no_credential_when_it_is_optional_then_the_request_passes_and_else_it_is_refused() {
    let nothing = Request::default();
    assert_eq!(refusal(&TestKeys::new().authenticator(), &nothing).await, "no_credential");
    let optional = TestKeys::with(|builder| builder.optional(true)).authenticator();
    assert!(decide(&optional, &nothing).await.unwrap().is_none());
    assert_eq!(Anonymous::new(optional).refuse().status(), 401);
}

#[tokio::test]
async fn given_a_key_from_an_outer_layer_when_it_is_another_authenticators_or_dead_then_headers_are_read() {
    let (keys, others) = (TestKeys::new(), TestKeys::new());
    let key = keys.key(["a"]);
    let own = admit(&keys.authenticator(), &Request::of(&key)).await;
    let foreign = admit(&others.authenticator(), &Request::of(&others.key(["a"]))).await;
    let left = |key: &apikey_core::AuthenticatedKey| Request { key: Some(key.clone()), ..Request::default() };

    assert_eq!(admit(&keys.authenticator(), &left(&own)).await.key_id(), key.id());
    assert_eq!(refusal(&keys.authenticator(), &left(&foreign)).await, "no_credential");
    keys.revoke(&key);
    assert_eq!(refusal(&keys.authenticator(), &left(&own)).await, "no_credential");
    assert!(format!("{:?}", keys.authenticator()).contains("realm: \"api\""));
}
