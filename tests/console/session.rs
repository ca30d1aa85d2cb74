//! Signing in to the page with a key: the cookie, who may use it, and when it ends.

use std::{sync::Arc, time::Duration};

use apikey_console::{Console, Page};
use apikey_core::ScopeSet;
use apikey_manager::{Actor, Expiry, NewKey, OrganizationId, Rights};
use apikey_sqlx::SqlOptions;
use apikey_testkit::PrivatePostgres;
use serde_json::{Value, json};
use support::wire::Answer;
use tokio::task::JoinSet;

use crate::stand::{Request, Server, Stand, code, fields, on_each, on_each_with, secret_of};

const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");
const SESSION: &str = "/keys/v1/session";

fn with_page(console: Console) -> Console {
    console.page(Page::new())
}

impl Stand {
    async fn sign_in(&self, secret: &str) -> Answer {
        self.post(SESSION).header(OWN_PAGE.0, OWN_PAGE.1).json(&json!({"key": secret})).send().await
    }

    /// Returns the cookie of a session with this key, as browsers send it.
    async fn cookie(&self, secret: &str) -> String {
        let answer = self.sign_in(secret).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
        cookie.to_owned()
    }

    async fn whoami(&self, cookie: &str) -> Answer {
        self.get("/keys/v1/whoami").header("cookie", cookie).send().await
    }
}

/// Returns the status and the problem's code.
fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, code(answer))
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_key_signs_in_and_its_cookie_is_that_key() {
    on_each_with(with_page, async |stand| {
        let issued = stand.issue("acme", &["keys:read"]).await;
        let answer = stand.sign_in(&secret_of(&issued)).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        let set_cookie = answer.header("set-cookie").unwrap();
        let (pair, attributes) = set_cookie.split_once("; ").unwrap();
        let mut attributes: Vec<_> = attributes.split("; ").collect();
        attributes.sort_unstable();
        assert_eq!(attributes, ["HttpOnly", "Max-Age=28800", "SameSite=Strict"]);
        let secret = secret_of(&issued);
        let random = secret.strip_prefix("acme_live_").unwrap();
        assert!(
            !set_cookie.contains(&random[..8]) && !set_cookie.contains(&random[random.len() - 8..]),
            "{set_cookie}"
        );
        let caller = stand.get("/keys/v1/whoami").header("cookie", pair).expect(200).await;
        assert_eq!(caller["key"]["id"], issued.id().to_string());
        // Other cookies of the host are ignored.
        let cookies = format!("theme=dark; {pair}; other=1");
        assert_eq!(stand.whoami(&cookies).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn signing_in_and_out_needs_the_service_s_own_page() {
    let configure = |console: Console| with_page(console).origin("https://app.acme.example");
    on_each_with(configure, async |stand| {
        let secret = stand.admin().await;
        let cases: &[(&[(&str, &str)], u16)] = &[
            (&[OWN_PAGE], 204),
            (&[("origin", "https://app.acme.example")], 204),
            (&[], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
            (&[("sec-fetch-site", "none")], 403),
            (&[("origin", "https://evil.example")], 403),
        ];
        for (headers, status) in cases {
            for method in ["POST", "DELETE"] {
                let request = headers
                    .iter()
                    .fold(stand.request(method, SESSION), |request, (name, value)| request.header(name, value));
                let request = if method == "POST" { request.json(&json!({"key": secret})) } else { request };
                let answer = request.send().await;
                assert_eq!(answer.status, *status, "{method} {headers:?}: {answer:?}");
                assert_eq!(answer.header("set-cookie").is_some(), *status == 204, "{method} {headers:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_not_let_in_are_refused_in_the_same_bytes() {
    on_each_with(with_page, async |stand| {
        let revoked = stand.issue("acme", &["*"]).await;
        stand.keys.revoke(&stand.host("acme"), revoked.id(), "").await.unwrap();
        let other = stand.issue("acme", &["*"]).await;
        stand.keys.delete(&stand.host("acme"), other.id()).await.unwrap();
        let short = NewKey::new("short").expiry(Expiry::At(stand.keys.now() + Duration::from_secs(60)));
        let expired = stand.keys.issue(&stand.host("acme"), short).await.unwrap();
        stand.clock.advance(Duration::from_secs(61));
        let mut answers = Vec::new();
        for secret in [secret_of(&revoked), secret_of(&other), secret_of(&expired), "acme_live_x".to_owned()] {
            let answer = stand.sign_in(&secret).await;
            assert_eq!(refusal(&answer), is(401, "invalid_token"));
            assert_eq!(answer.header("set-cookie"), None);
            answers.push(answer.comparable(""));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_key_in_json_is_named_as_the_field() {
    on_each_with(with_page, async |stand| {
        let own = |request: Request| request.header(OWN_PAGE.0, OWN_PAGE.1);
        let cases = [("{}", "key: required"), (r#"{"key": "x", "remember": true}"#, "remember: unknown")];
        for (body, expected) in cases {
            let answer = own(stand.post(SESSION)).body("application/json", body).send().await;
            assert_eq!(fields(&answer), [expected], "{body}");
        }
        for (body, expected) in [("", 400), ("{", 400), ("[]", 400), (&"x".repeat(70_000), 413)] {
            let answer = own(stand.post(SESSION)).body("application/json", body).send().await;
            assert_eq!(answer.status, expected, "{body:.10}");
        }
        for method in ["GET", "PUT"] {
            let answer = own(stand.request(method, SESSION)).send().await;
            assert_eq!(refusal(&answer), is(405, "method_not_allowed"));
            assert_eq!(answer.header("allow"), Some("POST, DELETE"));
            assert_eq!(answer.header("set-cookie"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn changes_need_the_service_s_own_page_and_foreign_pages_read_nothing() {
    on_each_with(with_page, async |stand| {
        let cookie = stand.cookie(&stand.admin().await).await;
        for (site, reads, writes) in [
            (Some("same-origin"), 200, 201),
            (Some("none"), 200, 403),
            (None, 200, 403),
            (Some("same-site"), 403, 403),
            (Some("cross-site"), 403, 403),
        ] {
            let get = sent(stand.get("/keys/v1/api-keys"), site, &cookie).send().await;
            let post = sent(stand.post("/keys/v1/api-keys"), site, &cookie).json(&json!({"name": "x"})).send().await;
            assert_eq!((get.status, post.status), (reads, writes), "{site:?}");
            for answer in [get, post] {
                assert!(answer.status < 300 || code(&answer) == "cross_origin", "{answer:?}");
            }
        }
    })
    .await;
}

fn sent(request: Request, site: Option<&str>, cookie: &str) -> Request {
    let request = request.header("cookie", cookie);
    match site {
        Some(site) => request.header("sec-fetch-site", site),
        None => request,
    }
}

#[tokio::test]
async fn more_than_one_credential_is_refused() {
    let configure = |console: Console| {
        with_page(console).login(|request| {
            request.headers.get("x-user")?;
            let rights = Rights::scopes(ScopeSet::parse("keys:admin").ok()?);
            Actor::user("alice", OrganizationId::new("acme").ok()?, rights).ok()
        })
    };
    on_each_with(configure, async |stand| {
        let secret = stand.admin().await;
        let cookie = stand.cookie(&secret).await;
        let get = || stand.get("/keys/v1/whoami").header(OWN_PAGE.0, OWN_PAGE.1);
        let alone = get().header("cookie", &cookie).send().await;
        assert_eq!(alone.status, 200);
        let twice = format!("{cookie}; {cookie}");
        for request in [
            get().header("cookie", &cookie).key(&secret),
            get().header("cookie", &cookie).header("x-user", "alice"),
            get().header("cookie", &twice),
            get().header("cookie", &cookie).header("cookie", &cookie),
        ] {
            assert_eq!(refusal(&request.send().await), is(400, "invalid_request"));
        }
    })
    .await;
}

#[tokio::test]
async fn cookies_that_were_not_sealed_here_are_none() {
    on_each_with(with_page, async |stand| {
        let secret = stand.admin().await;
        let cookie = stand.cookie(&secret).await;
        let (name, value) = cookie.split_once('=').unwrap();
        let first = if value.starts_with('A') { "B" } else { "A" };
        let middle = value.len() / 2;
        let flipped = if &value[middle..=middle] == "x" { "y" } else { "x" };
        let tampered = [
            format!("{name}={}", &value[..value.len() - 4]),
            format!("{name}={first}{}", &value[1..]),
            format!("{name}={}{flipped}{}", &value[..middle], &value[middle + 1..]),
            format!("{name}={secret}"),
            format!("{name}=9999999999.{secret}"),
            format!("{name}="),
            format!("other={value}"),
        ];
        for cookie in &tampered {
            assert_eq!(refusal(&stand.whoami(cookie).await), is(401, "missing_credential"), "{cookie}");
        }
        assert_eq!(stand.whoami(&cookie).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_with_its_key_at_that_moment() {
    on_each_with(with_page, async |stand| {
        let issued = stand.issue("acme", &["*"]).await;
        let cookie = stand.cookie(&secret_of(&issued)).await;
        assert_eq!(stand.whoami(&cookie).await.status, 200);
        stand.keys.disable(&stand.host("acme"), issued.id()).await.unwrap();
        assert_eq!(refusal(&stand.whoami(&cookie).await), is(401, "invalid_token"));
        stand.keys.enable(&stand.host("acme"), issued.id()).await.unwrap();
        assert_eq!(stand.whoami(&cookie).await.status, 200);
        stand.keys.revoke(&stand.host("acme"), issued.id(), "leaked").await.unwrap();
        assert_eq!(refusal(&stand.whoami(&cookie).await), is(401, "invalid_token"));
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_whatever_the_browser_says() {
    on_each_with(with_page, async |stand| {
        let cookie = stand.cookie(&stand.admin().await).await;
        stand.clock.advance(Duration::from_secs(8 * 60 * 60 - 1));
        assert_eq!(stand.whoami(&cookie).await.status, 200);
        stand.clock.advance(Duration::from_secs(1));
        assert_eq!(refusal(&stand.whoami(&cookie).await), is(401, "missing_credential"));
    })
    .await;
}

#[tokio::test]
async fn signing_out_makes_the_browser_forget() {
    on_each_with(with_page, async |stand| {
        let cookie = stand.cookie(&stand.admin().await).await;
        let request = stand.delete(SESSION).header(OWN_PAGE.0, OWN_PAGE.1).header("cookie", &cookie);
        let answer = request.send().await;
        assert_eq!(answer.status, 204);
        let set_cookie = answer.header("set-cookie").unwrap();
        assert!(set_cookie.starts_with("apikey_session=; ") && set_cookie.contains("Max-Age=0"), "{set_cookie}");
    })
    .await;
}

#[tokio::test]
async fn the_cookie_opens_the_console_alone() {
    on_each_with(with_page, async |stand| {
        let cookie = stand.cookie(&stand.admin().await).await;
        let answer = stand.get("/files").header("cookie", &cookie).send().await;
        assert_eq!(answer.status, 401);
    })
    .await;
}

#[tokio::test]
async fn without_a_page_there_are_no_sessions() {
    on_each(async |stand| {
        let secret = stand.admin().await;
        assert_eq!(refusal(&stand.sign_in(&secret).await), is(404, "not_found"));
        let answer = stand.whoami("apikey_session=x").await;
        assert_eq!(refusal(&answer), is(401, "missing_credential"));
        let body: Value = stand.get("/keys/").expect(404).await;
        assert_eq!(body["code"], "not_found");
    })
    .await;
}

/// How many sign in at the same time; the others wait for their turn, and not for ever.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_attempts_are_bounded_and_nobody_is_locked_out() {
    let Some(postgres) = PrivatePostgres::shared() else { return };
    for server in [Server::Axum, Server::Actix] {
        let url = postgres.create_database();
        let store = SqlOptions::new().timeout(Duration::from_secs(60)).connect(&url).await.unwrap();
        let stand = Arc::new(Stand::start(server, store, &with_page).await);
        let good = stand.admin().await;
        let mut revoked = Vec::new();
        for _ in 0..AT_ONCE + 4 {
            let issued = stand.issue("acme", &["*"]).await;
            stand.keys.revoke(&stand.host("acme"), issued.id(), "").await.unwrap();
            revoked.push(secret_of(&issued));
        }
        // Whoever has a turn keeps it for as long as the store is held up.
        let mut holder = postgres.session(&url);
        holder.run("BEGIN; LOCK TABLE apikey_secret, apikey_key IN ACCESS EXCLUSIVE MODE");
        let mut attempts = JoinSet::new();
        for secret in revoked {
            let stand = Arc::clone(&stand);
            attempts.spawn(async move { stand.sign_in(&secret).await });
        }
        for _ in 0..4 {
            let answer = attempts.join_next().await.unwrap().unwrap();
            assert_eq!(refusal(&answer), is(503, "unavailable"));
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        holder.run("ROLLBACK");
        while let Some(answer) = attempts.join_next().await {
            assert_eq!(refusal(&answer.unwrap()), is(401, "invalid_token"));
        }
        assert_eq!(stand.sign_in(&good).await.status, 204);
    }
}
