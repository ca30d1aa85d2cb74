//! A table of answers that the READMEs don't show.

use crate::{
    contract::{
        Api,
        http::{Answer, Request},
        service::Folder,
    },
    keys,
};

pub(crate) const API: Api = Api {
    prefix: "demo_live_",
    list: ("/files", "files:read"),
    empty: "[]",
    whoami: "/whoami",
    add: ("POST", "/files", r#"{"name":"late.txt","content":"better than never"}"#, "files:write"),
    has_console: false,
    has_page: false,
};

const UNAUTHORIZED: &str = r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"missing_credential","detail":"An API key is required."}"#;
const INVALID: &str = r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"invalid_token","detail":"The API key is not valid."}"#;

#[test]
fn given_any_request_when_sent_then_it_is_answered_as_the_table_says() {
    let folder = Folder::new();
    let first = folder.start();
    let key = first.key.clone().unwrap();
    first.stop();
    let reader = keys::add(&folder, "reader", &["files:read"]);
    let writer = keys::add(&folder, "writer", &["files:write"]);
    let service = folder.start();

    let get = |path| Request::new("GET", path);
    let post = |body: &str| Request::new("POST", "/files").bearer(&writer).json(body);
    let file = r#"{"name":"a.txt","content":"a"}"#;
    let challenge = "WWW-Authenticate: Bearer realm=\"files\"";
    let invalid = format!("{challenge}, error=\"invalid_token\", error_description=\"The API key is not valid.\"");
    let lacks = |scope: &str| {
        let error = "error=\"insufficient_scope\", error_description=\"The API key lacks a required scope.\"";
        let body = problem("Forbidden", 403, "insufficient_scope", "The API key lacks a required scope.");
        format!("403\n{challenge}, {error}, scope=\"{scope}\"\nCache-Control: no-store\n\n{body}")
    };
    let problem = |title, status, code, detail| {
        let body = problem(title, status, code, detail);
        format!("{status}\nContent-Type: application/problem+json\n\n{body}")
    };
    // The detail is the framework's own text.
    let bad_body = |title, status| problem(title, status, "invalid_body", "…");
    let no_route = problem("Not Found", 404, "not_found", "There is no such route.");
    let too_large = format!("{{\"name\":\"a\",\"content\":\"{}\"}}", "a".repeat(2 << 20));
    let preflight = Request::new("OPTIONS", "/files")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type");

    let cases = [
        // Authentication.
        ("no key", get("/files"), format!("401\n{challenge}\nCache-Control: no-store\n\n{UNAUTHORIZED}")),
        ("no key, upload", Request::new("POST", "/files").json("{"), format!("401\n{challenge}\n\n{UNAUTHORIZED}")),
        (
            "another scheme",
            get("/whoami").header("Authorization", "Basic YTpi"),
            format!("401\n{challenge}\n\n{UNAUTHORIZED}"),
        ),
        ("an unknown key", get("/whoami").bearer("demo_live_0"), format!("401\n{invalid}\n\n{INVALID}")),
        (
            "two keys",
            get("/whoami").bearer(&key).bearer(&key),
            problem("Bad Request", 400, "invalid_request", "More than one credential was sent."),
        ),
        // Authorization.
        ("reader lists", get("/files").bearer(&reader), "200\nContent-Type: application/json\n\n[]".to_owned()),
        ("reader uploads", Request::new("POST", "/files").bearer(&reader).json("{"), lacks("files:write")),
        ("writer lists", get("/files").bearer(&writer), lacks("files:read")),
        (
            "reader asks who it is",
            get("/whoami").bearer(&reader),
            format!("200\n\n{}", keys::whoami("reader", "files:read")),
        ),
        // Media types.
        ("not JSON", post("{"), bad_body("Bad Request", 400)),
        ("no body", post(""), bad_body("Bad Request", 400)),
        ("no content", post(r#"{"name":"a.txt"}"#), bad_body("Unprocessable Entity", 422)),
        (
            "a form",
            Request { body: file.into(), ..Request::new("POST", "/files").bearer(&writer) },
            bad_body("Unsupported Media Type", 415),
        ),
        ("too large", post(&too_large), bad_body("Payload Too Large", 413)),
        // The files.
        ("upload", post(file), "201\n\n{\"name\":\"a.txt\",\"size\":1,\"uploaded_by\":\"writer\"}".to_owned()),
        ("again", post(file), problem("Conflict", 409, "file_exists", "There is a file of this name.")),
        (
            "list",
            get("/files").bearer(&reader),
            "200\n\n[{\"name\":\"a.txt\",\"size\":1,\"uploaded_by\":\"writer\"}]".to_owned(),
        ),
        // Other paths.
        ("no such route", get("/nowhere"), no_route.clone()),
        ("no such route, with a key", get("/nowhere").bearer(&key), no_route),
        ("another method", Request::new("PUT", "/files").bearer(&key), "405\n\n".to_owned()),
        // Browsers ask without a key, and can read refusals only with CORS headers.
        ("preflight", preflight, "200\nAccess-Control-Allow-Origin: *\n\n".to_owned()),
        (
            "refused in a browser",
            get("/files").header("Origin", "https://app.example"),
            format!("401\nAccess-Control-Allow-Origin: *\n{challenge}\n\n{UNAUTHORIZED}"),
        ),
    ];
    let remove = |key: &str| Request::new("DELETE", "/admin/files/a.txt").bearer(key);
    let admin_cases = [
        ("writer deletes", remove(&writer), lacks("admin")),
        ("delete without a key", Request::new("DELETE", "/admin/files/a.txt"), format!("401\n\n{UNAUTHORIZED}")),
        ("delete", remove(&key), "204\n\n".to_owned()),
        ("delete again", remove(&key), problem("Not Found", 404, "not_found", "There is no file of this name.")),
    ];
    let admin_cases = admin_cases.into_iter().filter(|_| crate::HAS_ADMIN);
    let refused = service.send(&get("/files").header("Origin", "https://app.example"));
    let exposed = refused.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    assert!(exposed == "*" || exposed.contains("www-authenticate"), "{exposed}");
    for (name, request, expected) in cases.into_iter().chain(admin_cases) {
        service.send(&request).assert_is(&Answer::parse(&format!("HTTP/1.1 {expected}")), name);
    }
}

#[test]
fn given_a_good_key_when_any_one_character_is_changed_then_it_is_refused() {
    let folder = Folder::new();
    let service = folder.start();
    let key = service.key.clone().unwrap();
    for at in 0..key.len() {
        let other = if key.as_bytes()[at] == b'a' { "b" } else { "a" };
        let mut altered = key.clone();
        altered.replace_range(at..=at, other);
        let answer = service.send(&Request::new("GET", "/files").bearer(&altered));
        assert_eq!(answer.status, 401, "{altered}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm=\"files\", error=\"invalid_token\""), "{altered}: {challenge}");
    }
    assert_eq!(service.send(&Request::new("GET", "/files").bearer(&key)).status, 200);
}

fn problem(title: &str, status: u16, code: &str, detail: &str) -> String {
    format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}","detail":"{detail}"}}"#)
}
