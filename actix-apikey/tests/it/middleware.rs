//! The middleware alone: which requests it accepts, what the service sees, and what refused clients see.

use std::{
    cell::Cell,
    future::{Ready, ready},
    rc::Rc,
    task::{Context, Poll},
};

use actix_apikey::{ApiKeyMiddleware, AuthenticatedKey, ForeignTokens, KeyStatus, Refusal, TestKeys};
use actix_web::{
    App, Error, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BodySize,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    error::ErrorImATeapot,
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::{Next, from_fn},
    test::{self, TestRequest},
    web,
};
use futures_util::FutureExt;

use crate::support::{Answer, get};

/// The header lines of a request.
type Lines<'a> = &'a [(&'a str, &'a str)];

/// Reports which parts of the caller and the credential reached the handler.
async fn seen(request: HttpRequest) -> String {
    let key = request.extensions().get::<AuthenticatedKey>().map(|key| key.key_id().to_string());
    let mut headers: Vec<_> = ["authorization", "x-api-key"]
        .into_iter()
        .filter(|name| request.headers().contains_key(*name))
        .map(ToOwned::to_owned)
        .collect();
    headers.insert(0, key.unwrap_or("nobody".to_owned()));
    headers.join(" ")
}

macro_rules! app {
    ($($middleware:expr),+) => {
        test::init_service(App::new().default_service(web::to(seen))$(.wrap($middleware))+).await
    };
}

macro_rules! ask {
    ($app:expr, $request:expr) => {
        Answer::of(test::call_service(&$app, $request.to_request()).await).await
    };
}

#[actix_web::test]
async fn given_credentials_when_judged_then_each_is_answered_as_the_core_has_it() {
    let keys = TestKeys::with(|builder| builder.realm("files").header("x-api-key"));
    let key = keys.key(["files:read"]);
    let disabled = keys.insert(|digest, id| {
        actix_apikey::Resolution::new(digest, actix_apikey::Claims::new(id)).with_status(KeyStatus::Disabled)
    });
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));

    let good = key.authorization();
    let secret = key.secret().expose_secret();
    let invalid = r#"Bearer realm="files", error="invalid_token", error_description="The API key is not valid.""#;
    let malformed = "invalid_request";
    let cases: [(Lines<'_>, u16, &str); 12] = [
        (&[("authorization", &good)], 200, ""),
        (&[("authorization", &good.replace("Bearer", "bEaReR  "))], 200, ""),
        (&[("x-api-key", secret)], 200, ""),
        (&[("x-api-key", secret), ("authorization", "Basic eDp5")], 200, ""),
        (&[], 401, r#"Bearer realm="files""#),
        (&[("authorization", "Basic eDp5")], 401, r#"Bearer realm="files""#),
        (&[("authorization", "Bearer nonsense")], 401, invalid),
        (&[("authorization", &disabled.authorization())], 401, invalid),
        (&[("authorization", &good), ("authorization", &good)], 400, malformed),
        (&[("authorization", &good), ("x-api-key", secret)], 400, malformed),
        (&[("authorization", &format!("{good}, {good}"))], 400, malformed),
        (&[("authorization", "Bearer")], 400, malformed),
    ];
    for (headers, status, challenge) in cases {
        let request = headers.iter().fold(TestRequest::get(), |request, line| request.append_header(*line));
        let answer = ask!(app, request);
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 200 {
            assert!(answer.text().starts_with(key.id().as_str()), "{headers:?}");
            continue;
        }
        let told = answer.header("www-authenticate").unwrap();
        assert!(told == challenge || challenge == malformed && told.contains(malformed), "{headers:?}: {told}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("retry-after"), None);
        assert!(answer.text().contains(&format!(r#""status":{status}"#)), "{}", answer.text());
        assert!(!answer.text().contains("nonsense"), "nothing that was sent is said again");
    }
}

#[actix_web::test]
async fn given_a_resolver_that_fails_when_asked_then_503_says_when_to_come_back() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    keys.fail(Some("the database is gone"));
    let answer = ask!(app, get("/", key.authorization()));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!((answer.header("www-authenticate"), answer.header("cache-control")), (None, Some("no-store")));
    assert!(!answer.text().contains("database"));

    keys.fail(None);
    assert_eq!(ask!(app, get("/", key.authorization())).status, 200, "a failure is not remembered");
}

#[actix_web::test]
async fn given_a_key_that_is_revoked_when_it_comes_again_then_it_is_refused() {
    let keys = TestKeys::new();
    let key = keys.key(["files:read"]);
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    for _ in 0..2 {
        assert_eq!(ask!(app, get("/", key.authorization())).status, 200);
    }
    assert_eq!(keys.resolver_calls(), 1);
    keys.revoke(&key);
    assert_eq!(ask!(app, get("/", key.authorization())).status, 401);
}

#[actix_web::test]
async fn given_a_refusal_when_answered_then_the_service_is_not_called() {
    let keys = TestKeys::new();
    let app = test::init_service(
        App::new()
            .default_service(web::to(async || -> &'static str { panic!("called for nobody") }))
            .wrap(ApiKeyMiddleware::new(keys.authenticator())),
    )
    .await;
    assert_eq!(ask!(app, get("/", None)).status, 401);
    assert_eq!(ask!(app, get("/", "Bearer test_x".to_owned())).status, 401);
    assert_eq!(ask!(app, TestRequest::default().method(Method::OPTIONS)).status, 401, "OPTIONS is no exception");
}

#[actix_web::test]
async fn given_a_head_request_when_refused_then_only_the_length_of_the_body_is_told() {
    let keys = TestKeys::new();
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    let got = ask!(app, get("/", None));
    let head = ask!(app, TestRequest::default().method(Method::HEAD));
    assert_eq!((head.status, head.size, head.body.len()), (401, BodySize::Sized(got.body.len() as u64), 0));
    assert_eq!(head.header("www-authenticate"), got.header("www-authenticate"));
}

#[actix_web::test]
async fn given_an_outer_key_when_another_authenticator_decides_then_its_own_key_or_none_is_left() {
    let (outer, inner) = (TestKeys::new(), TestKeys::with(|b| b.optional(true).header("x-api-key")));
    // Makes the ids differ.
    inner.key(["other"]);
    let (outer_key, inner_key) = (outer.key(["a"]), inner.key(["a"]));
    let app = app!(
        ApiKeyMiddleware::new(inner.authenticator()),
        ApiKeyMiddleware::new(outer.authenticator()).strip_credential(true)
    );
    let answer = ask!(app, get("/", outer_key.authorization()));
    assert_eq!(answer.text(), "nobody", "a stranger's key is removed");
    let request = get("/", outer_key.authorization()).insert_header(("x-api-key", inner_key.secret().expose_secret()));
    assert_eq!(ask!(app, request).text(), format!("{} x-api-key", inner_key.id()), "or replaced");
}

#[actix_web::test]
async fn given_the_same_authenticator_twice_when_the_outer_one_strips_then_its_key_stands() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let app = app!(
        ApiKeyMiddleware::new(keys.authenticator()),
        ApiKeyMiddleware::new(keys.authenticator()).strip_credential(true)
    );
    for _ in 0..2 {
        assert_eq!(ask!(app, get("/", key.authorization())).text(), key.id().to_string());
    }
    assert_eq!(keys.resolver_calls(), 1);
}

#[actix_web::test]
async fn given_stripping_when_let_in_then_the_credential_goes_and_nothing_else() {
    let keys = TestKeys::with(|builder| builder.header("x-api-key").foreign_tokens(ForeignTokens::PassThrough));
    let key = keys.key(["a"]);
    let id = key.id().to_string();
    let secret = key.secret().expose_secret();
    let basic = format!("{id} authorization");
    let cases: [(Lines<'_>, &str); 4] = [
        (&[("authorization", &key.authorization())], &id),
        (&[("x-api-key", secret)], &id),
        (&[("x-api-key", secret), ("authorization", "Basic eDp5")], &basic),
        (&[("authorization", "Bearer eyJ.e30.x")], "nobody authorization"),
    ];
    let strips = app!(ApiKeyMiddleware::new(keys.authenticator()).strip_credential(true));
    let keeps = app!(ApiKeyMiddleware::new(keys.authenticator()));
    for (headers, expected) in cases {
        let request = || headers.iter().fold(TestRequest::get(), |request, line| request.append_header(*line));
        assert_eq!(ask!(strips, request()).text(), expected, "{headers:?}");
        let kept = ask!(keeps, request());
        assert!(headers.iter().all(|(name, _)| kept.text().contains(name)), "{headers:?}: {}", kept.text());
    }
}

#[actix_web::test]
async fn given_a_responder_when_refused_then_body_and_headers_are_its_and_the_rest_is_fixed() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let name = HeaderName::from_static;
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()).responder(move |rejection| {
        ["www-authenticate", "retry-after", "cache-control", "content-type", "content-length"]
            .into_iter()
            .fold(Refusal::new("text/plain", format!("no: {}", rejection.code())), |refusal, fixed| {
                refusal.header(name(fixed), HeaderValue::from_static("7"))
            })
            .header(name("x-help"), HeaderValue::from_static("/help"))
            .header(name("link"), HeaderValue::from_static("</a>"))
            .header(name("link"), HeaderValue::from_static("</b>"))
    }));
    let answer = ask!(app, get("/", None));
    assert_eq!((answer.status, answer.text()), (401, "no: missing_credential"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("x-help"), Some("/help"));
    assert_eq!(answer.headers.get_all("link").count(), 2);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((answer.header("retry-after"), answer.header("content-length")), (None, None));

    keys.fail(Some("gone"));
    let answer = ask!(app, get("/", key.authorization()));
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.header("www-authenticate")),
        (503, Some("1"), None)
    );
}

#[actix_web::test]
async fn given_a_key_in_an_extra_header_when_answered_then_shared_caches_are_kept_out() {
    let keys = TestKeys::with(|builder| builder.header("x-api-key").optional(true));
    let key = keys.key(["a"]);
    let secret = key.secret().expose_secret();
    let app = test::init_service(
        App::new()
            .wrap(ApiKeyMiddleware::new(keys.authenticator()))
            .route("/", web::get().to(async || "fine"))
            .route("/own", web::get().to(async || "fine".customize().insert_header(("cache-control", "max-age=60")))),
    )
    .await;
    let extra = ("x-api-key", secret);
    let cases = [
        (get("/", None).insert_header(extra), Some("private")),
        (get("/missing", None).insert_header(extra), Some("private")),
        (get("/own", None).insert_header(extra), Some("max-age=60")),
        (get("/", "Basic eDp5".to_owned()).insert_header(extra), None),
        (get("/", key.authorization()), None),
        (get("/", None), None),
    ];
    for (request, expected) in cases {
        assert_eq!(ask!(app, request).header("cache-control"), expected);
    }
    assert_eq!(ask!(app, get("/", None).insert_header(("x-api-key", "?"))).header("cache-control"), Some("no-store"));
}

#[actix_web::test]
async fn given_an_application_a_scope_and_a_resource_all_wrapped_when_asked_then_routing_still_works() {
    let keys = TestKeys::with(|builder| builder.cache_ttl(std::time::Duration::ZERO));
    let key = keys.key(["a"]);
    let wrap = || ApiKeyMiddleware::new(keys.authenticator());
    let app = test::init_service(
        App::new().wrap(wrap()).service(
            web::scope("/{organization}").wrap(wrap()).service(
                web::resource("/files/{name}")
                    .wrap(wrap())
                    .wrap(from_fn(async |request: ServiceRequest, next: Next<_>| {
                        request.extensions_mut().insert("a handler may write to the extensions");
                        next.call(request).await
                    }))
                    .to(async |path: web::Path<(String, String)>, request: HttpRequest| {
                        request.extensions_mut().insert(1_u8);
                        path.into_inner().1
                    }),
            ),
        ),
    )
    .await;
    // The key is not cached fresh: every middleware awaits a lookup before it calls the next.
    for _ in 0..2 {
        assert_eq!(ask!(app, get("/acme/files/a", key.authorization())).text(), "a");
    }
    assert!(keys.resolver_calls() > 1);
    assert_eq!(ask!(app, get("/acme/files/a", None)).status, 401);
}

#[actix_web::test]
async fn given_a_service_that_fails_when_let_in_then_its_error_is_unchanged() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let app = app!(
        from_fn(async |_: ServiceRequest, _: Next<_>| Err::<ServiceResponse, _>(ErrorImATeapot("short and stout"))),
        ApiKeyMiddleware::new(keys.authenticator())
    );
    let error = test::try_call_service(&app, get("/", key.authorization()).to_request()).await.unwrap_err();
    assert_eq!(error.to_string(), "short and stout");
}

/// Counts polls of readiness and calls.
struct Counting {
    asked: Rc<Cell<usize>>,
    called: Rc<Cell<usize>>,
}

impl Service<ServiceRequest> for Counting {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Result<ServiceResponse, Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.asked.set(self.asked.get() + 1);
        match self.asked.get() {
            1 => Poll::Pending,
            2 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(ErrorImATeapot("worn out"))),
        }
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        self.called.set(self.called.get() + 1);
        ready(Ok(request.into_response(HttpResponse::Ok().finish())))
    }
}

#[actix_web::test]
async fn given_a_service_when_polled_and_called_then_readiness_is_its_own_and_a_hit_calls_it_at_once() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let (asked, called) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counting = Counting { asked: Rc::clone(&asked), called: Rc::clone(&called) };
    let service = ApiKeyMiddleware::new(keys.authenticator()).new_transform(counting).await.unwrap();

    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Err(_))));

    let request = || get("/", key.authorization()).to_srv_request();
    let miss = service.call(request());
    assert_eq!(called.get(), 0, "a miss waits for the look-up");
    assert_eq!(miss.await.unwrap().status(), 200);
    assert_eq!(called.get(), 1);

    let hit = service.call(request());
    assert_eq!(called.get(), 2, "a hit has called the service before it is polled");
    assert!(hit.now_or_never().is_some());
}

#[actix_web::test]
async fn given_a_client_that_leaves_during_the_look_up_when_another_comes_then_it_is_served() {
    let keys = TestKeys::new();
    let key = keys.key(["a"]);
    let app = app!(ApiKeyMiddleware::new(keys.authenticator()));
    drop(app.call(get("/", key.authorization()).to_request()));
    assert_eq!(ask!(app, get("/", key.authorization())).status, 200);
}

#[actix_web::test]
async fn given_the_middlewares_when_moved_to_a_worker_then_they_may_be() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<ApiKeyMiddleware>();
    shared::<actix_apikey::RequireScopeMiddleware>();
    shared::<Refusal>();
}
