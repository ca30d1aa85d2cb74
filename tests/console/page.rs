//! The page's files: how they are served, and what must never be in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use apikey_console::{Console, Page};
use apikey_core::{KeyFormat, ManualClock};
use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::ServiceExt;

use crate::stand::{Server, on_each_with};

/// What the first screen loads, as it is checked in and as it is sent with brotli.
const MOST_FIRST_BYTES: usize = 90_000;
const MOST_FIRST_BROTLI_BYTES: usize = 24_000;

/// All files together, as they are checked in.
const MOST_BYTES: usize = 192_000;

fn keys() -> KeyManager {
    let format = KeyFormat::builder("acme").environment("live").build().unwrap();
    KeyManager::builder(MemoryStore::new()).format(format).clock(ManualClock::new()).build().unwrap()
}

fn console(page: Page) -> Console {
    Console::new(&keys()).page(page)
}

async fn send(console: &Console, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let (parts, body) = console.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(console: &Console, path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    send(console, "GET", path, headers, "").await
}

fn header<'r, B>(response: &'r Response<B>, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The references in the shell, such as `assets/0123…/app.js`.
fn references(shell: &[u8]) -> Vec<String> {
    let shell = String::from_utf8(shell.to_vec()).unwrap();
    let parts = shell.split('"').filter(|part| part.contains("assets/"));
    parts.map(ToOwned::to_owned).collect()
}

/// The files of the page as they are checked in, by name.
fn checked_in() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apikey-console/page");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

/// The modules that a module imports: those that are loaded with it, and those that are loaded later.
fn imports<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

const WITH_IT: &str = "from \"./";
const LATER: &str = "import(\"./";

/// What a browser loads to show the first screen: what the shell names, and the modules that the script imports.
fn first(files: &BTreeMap<String, String>) -> BTreeSet<&str> {
    let mut names = BTreeSet::from(["index.html", "icon.svg", "console.css"]);
    let mut found = vec!["app.js"];
    while let Some(name) = found.pop() {
        if names.insert(name) {
            found.extend(imports(&files[name], WITH_IT));
        }
    }
    names
}

/// The lines of a file without comments, found by the way the formatter writes them: on lines of their own, or as the
/// type of an expression. Anything else that looks like a comment would be left out of a text.
fn code(name: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        let mut kept = String::new();
        for (n, part) in line.split("/*").enumerate() {
            is_comment |= n > 0;
            assert!(n == 0 || line.starts_with("/*") || part.starts_with("* @"), "{name} has a comment in {line}");
            match part.rsplit_once("*/").filter(|_| is_comment) {
                Some((_, code)) => (kept, is_comment) = (kept + code, false),
                None if !is_comment => kept += part,
                None => {}
            }
        }
        if !kept.trim().is_empty() && !kept.starts_with("//") {
            lines.push(kept.trim().to_owned());
        }
    }
    lines
}

#[tokio::test]
async fn the_shell_is_asked_for_anew_and_its_files_are_kept_for_ever() {
    let console = console(Page::new().title("Acme"));
    let shell = get(&console, "/", &[]).await;
    assert_eq!(shell.status(), StatusCode::OK);
    assert_eq!(header(&shell, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(header(&shell, "cache-control"), Some("no-cache"));
    let etag = header(&shell, "etag").unwrap();
    let again = get(&console, "/", &[("if-none-match", etag)]).await;
    assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
    let other = get(&console, "/", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    let references = references(shell.body());
    assert_eq!(references.len(), 4, "{references:?}");
    for reference in references {
        let file = get(&console, &format!("/{reference}"), &[]).await;
        assert_eq!(file.status(), StatusCode::OK, "{reference}");
        assert_eq!(header(&file, "cache-control"), Some("public, max-age=31536000, immutable"));
    }
}

#[tokio::test]
async fn every_module_that_is_imported_is_served() {
    let console = console(Page::new());
    let shell = get(&console, "/", &[]).await;
    let folder = references(shell.body())[0].rsplit_once('/').unwrap().0.to_owned();
    let files = checked_in();
    for (name, text) in files.iter().filter(|(name, _)| *name != "index.html") {
        let served = get(&console, &format!("/{folder}/{name}"), &[]).await;
        let kept = code(name, text);
        assert!(!kept.is_empty());
        let body = String::from_utf8(served.body().clone()).unwrap();
        assert!(body.lines().eq(kept), "{name} is not served as it is but for comments: {}", served.status());
        for import in imports(text, WITH_IT).into_iter().chain(imports(text, LATER)) {
            assert!(files.contains_key(import), "{name} imports {import}");
        }
    }
}

/// Where the host signs people in, the page leads there, and a key begins no session.
#[tokio::test]
async fn the_host_s_sign_in_takes_the_place_of_the_key() {
    let shell = |answer: &Response<Vec<u8>>| String::from_utf8(answer.body().clone()).unwrap();
    let own = console(Page::new());
    assert!(!shell(&get(&own, "/", &[]).await).contains("sign-in"));
    let host = console(Page::new().sign_in("/login?to=\"keys\""));
    let text = shell(&get(&host, "/", &[]).await);
    assert!(text.contains("titled sign-in=\"/login?to=&quot;keys&quot;\">"), "{text}");
    for (console, status) in [(own, StatusCode::UNPROCESSABLE_ENTITY), (host, StatusCode::NOT_FOUND)] {
        let headers = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
        assert_eq!(send(&console, "POST", "/v1/session", &headers, "{}").await.status(), status);
    }
}

/// For pages of the host, which don't know the folder's name.
#[tokio::test]
async fn the_element_s_script_has_an_address_that_stays() {
    for (console, start) in
        [(console(Page::new()), "assets/"), (console(Page::new()).public_path("/a/keys"), "/a/keys/assets/")]
    {
        let answer = get(&console, "/apikey-console.js", &[]).await;
        assert_eq!(
            (answer.status(), header(&answer, "cache-control")),
            (StatusCode::TEMPORARY_REDIRECT, Some("no-cache"))
        );
        let location = header(&answer, "location").unwrap();
        assert!(location.starts_with(start) && location.ends_with("/app.js"), "{location}");
        let script = get(&console, &format!("/{}", &location[location.find("assets").unwrap()..]), &[]).await;
        assert_eq!(script.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn files_are_compressed_for_browsers_that_take_it() {
    let console = console(Page::new());
    let shell = get(&console, "/", &[]).await;
    let script = references(shell.body()).into_iter().find(|reference| reference.ends_with("app.js")).unwrap();
    let path = format!("/{script}");
    let plain = get(&console, &path, &[]).await;
    for (accepted, encoding) in [
        ("", None),
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip;q=1.0", Some("gzip")),
        ("br;q=0, gzip", Some("gzip")),
        ("identity", None),
        ("BR", Some("br")),
    ] {
        let answer = get(&console, &path, &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&answer, "content-encoding"), encoding, "{accepted}");
        assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
        assert_eq!(encoding.is_some(), answer.body().len() < plain.body().len(), "{accepted}");
    }
}

#[tokio::test]
async fn the_folder_s_name_changes_with_the_theme_and_not_with_the_title() {
    let folder = async |page: Page| references(get(&console(page), "/", &[]).await.body())[0].clone();
    let plain = folder(Page::new()).await;
    assert_eq!(plain, folder(Page::new().title("Other")).await);
    assert_ne!(plain, folder(Page::new().theme("apikey-console { --apikey-accent: red }")).await);
    let stale = get(&console(Page::new()), "/assets/0123456789abcdef01234567/app.js", &[]).await;
    assert_eq!(stale.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&stale, "cache-control"), None);
}

#[tokio::test]
async fn titles_and_themes_are_text() {
    let title = r#"A "<script>alert(1)</script>" & B"#;
    let shell = get(&console(Page::new().title(title)), "/", &[]).await;
    let text = String::from_utf8(shell.body().clone()).unwrap();
    assert!(!text.contains("<script>alert"), "{text}");
    assert!(text.contains("<title>A &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot; &amp; B</title>"), "{text}");
}

#[tokio::test]
async fn whatever_the_page_answers_has_the_security_headers() {
    let console = console(Page::new());
    let shell = get(&console, "/", &[]).await;
    let script = format!("/{}", references(shell.body())[0]);
    for (method, path, status) in
        [("GET", "/", 200), ("HEAD", "/", 200), ("GET", &script, 200), ("POST", "/", 405), ("GET", "/assets/x/y", 404)]
    {
        let answer = send(&console, method, path, &[], "").await;
        assert_eq!(answer.status(), status, "{method} {path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{method} {path}");
        }
        let policy = header(&answer, "content-security-policy").unwrap();
        let mut rules: Vec<_> = policy.split("; ").collect();
        rules.sort_unstable();
        let expected = [
            "base-uri 'none'",
            "connect-src 'self'",
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "img-src 'self'",
            "require-trusted-types-for 'script'",
            "script-src 'self'",
            "style-src 'self'",
            "trusted-types 'none'",
        ];
        assert_eq!(rules, expected);
    }
    let framed = get(&crate::page::console(Page::new().framed_by_self()), "/", &[]).await;
    assert!(header(&framed, "content-security-policy").unwrap().ends_with("frame-ancestors 'self'"));
}

#[test]
fn the_files_stay_small_and_make_markup_by_dom_calls_alone() {
    let files = checked_in();
    let size: usize = files.values().map(String::len).sum();
    assert!(size <= MOST_BYTES, "{size} bytes");
    let first: usize = first(&files).into_iter().map(|name| files[name].len()).sum();
    assert!(first <= MOST_FIRST_BYTES, "{first} bytes");
    for (name, text) in &files {
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
        for stored in ["localStorage", "sessionStorage", "indexedDB", "document.cookie"] {
            assert!(!text.contains(stored), "{name} has {stored}");
        }
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        for address in ["http://", "https://", "//cdn", "url("] {
            assert!(!foreign.contains(address), "{name} has {address}");
        }
        if name.ends_with(".html") {
            for inline in [" style=", " onclick=", " onload=", "<style", "javascript:"] {
                assert!(!text.contains(inline), "{name} has {inline}");
            }
        }
    }
}

#[tokio::test]
async fn the_first_screen_stays_small_with_brotli() {
    let console = console(Page::new());
    let shell = get(&console, "/", &[]).await;
    let folder = references(shell.body())[0].rsplit_once('/').unwrap().0.to_owned();
    let mut size = shell.body().len();
    for name in first(&checked_in()).into_iter().filter(|name| *name != "index.html") {
        size += get(&console, &format!("/{folder}/{name}"), &[("accept-encoding", "br")]).await.body().len();
    }
    assert!(size <= MOST_FIRST_BROTLI_BYTES, "{size} bytes");
}

/// Who signs in over TLS, seen by the host that the request names.
#[tokio::test]
async fn the_cookie_is_for_tls_unless_the_host_is_this_machine() {
    let keys = keys();
    let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
    let issued = keys.issue(&host, NewKey::new("x").scopes(["*"])).await.unwrap();
    let body = json!({"key": issued.secret().expose_secret()}).to_string();
    let is_secure = async |page: Page, host: &str| {
        let console = Console::new(&keys).page(page);
        let headers = [("host", host), ("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        let answer = send(&console, "POST", "/v1/session", &headers, &body).await;
        assert_eq!(answer.status(), 204, "{host}");
        header(&answer, "set-cookie").unwrap().split("; ").any(|attribute| attribute == "Secure")
    };
    for (host, secure) in [
        ("localhost", false),
        ("localhost:3000", false),
        ("127.0.0.1:3000", false),
        ("[::1]:3000", false),
        ("acme.example", true),
        ("localhost.evil.example", true),
        ("127.0.0.1.evil.example", true),
        ("192.168.0.7:3000", true),
        ("::1", true),
    ] {
        assert_eq!(is_secure(Page::new(), host).await, secure, "{host}");
    }
    assert!(is_secure(Page::new().cookie_secure(true), "localhost").await);
    assert!(!is_secure(Page::new().cookie_secure(false), "acme.example").await);
}

#[tokio::test]
async fn sessions_are_opened_by_every_process_that_has_their_key() {
    let keys = keys();
    let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
    let issued = keys.issue(&host, NewKey::new("x").scopes(["*"])).await.unwrap();
    let body = json!({"key": issued.secret().expose_secret()}).to_string();
    let (old, new) = ([1; 32], [2; 32]);
    let sealed_by = async |page: Page| {
        let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        let answer = send(&Console::new(&keys).page(page), "POST", "/v1/session", &headers, &body).await;
        header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
    };
    let opens = async |page: Page, cookie: &str| {
        get(&Console::new(&keys).page(page), "/v1/whoami", &[("cookie", cookie)]).await.status() == 200
    };
    let by_old = sealed_by(Page::new().session_key(old)).await;
    let by_rotated = sealed_by(Page::new().session_key(new).session_key(old)).await;
    assert!(opens(Page::new().session_key(old), &by_old).await);
    assert!(opens(Page::new().session_key(new).session_key(old), &by_old).await);
    assert!(!opens(Page::new().session_key(new), &by_old).await);
    assert!(opens(Page::new().session_key(new), &by_rotated).await);
    // Each process makes a key of its own where none is set.
    assert!(!opens(Page::new(), &by_old).await);
    let by_random = sealed_by(Page::new()).await;
    assert!(!opens(Page::new(), &by_random).await);
}

#[tokio::test]
async fn without_a_public_path_the_shell_stands_below_a_slash() {
    on_each_with(
        |console| console.page(Page::new()),
        async |stand| {
            let answer = stand.get("/keys/").send().await;
            assert_eq!(answer.status, 200);
            for reference in references(answer.body.as_bytes()) {
                assert_eq!(stand.get(&format!("/keys/{reference}")).send().await.status, 200, "{reference}");
            }
            if stand.server == Server::Axum {
                let answer = stand.get("/keys").send().await;
                assert_eq!((answer.status, answer.header("location")), (308, Some("keys/")));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_page_is_found_on_both_servers() {
    let configure = |console: Console| console.page(Page::new()).public_path("/keys");
    on_each_with(configure, async |stand| {
        for path in ["/keys", "/keys/"] {
            let answer = stand.get(path).send().await;
            assert_eq!(answer.status, 200, "{path}");
            for reference in references(answer.body.as_bytes()) {
                assert!(reference.starts_with("/keys/assets/"), "{reference}");
                let file = stand.get(&reference).send().await;
                assert_eq!(file.status, 200, "{reference}");
            }
        }
    })
    .await;
}
