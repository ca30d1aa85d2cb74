//! The quickstarts' CORS: what pages of another origin may send and read.

use crate::contract::{
    http::{Answer, Request, json},
    service::Folder,
};

const PAGE: &str = "https://app.example";

fn preflight(path: &str, method: &str, headers: &str) -> Request {
    Request::new("OPTIONS", path)
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", headers)
}

/// Returns a list-valued header in lower case.
fn listed(answer: &Answer, header: &str) -> Vec<String> {
    let value = answer.header(header).unwrap_or_else(|| panic!("no {header}: {answer:?}"));
    value.split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

fn assert_readable(answer: &Answer, headers: &[&str]) {
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
    let exposed = listed(answer, "access-control-expose-headers");
    for header in headers {
        assert!(
            answer.header(header).is_some() && exposed.iter().any(|exposed| ["*", header].contains(&exposed.as_str())),
            "{header}: {answer:?}"
        );
    }
}

#[test]
fn given_what_the_management_takes_when_a_browser_asks_then_a_page_may_send_it() {
    let folder = Folder::new();
    let service = folder.start();
    let key = "/keys/v1/api-keys/key_1";
    for (path, method, headers) in [
        ("/files", "GET", "authorization"),
        ("/files", "POST", "authorization,content-type"),
        ("/admin/files/a.txt", "DELETE", "authorization"),
        ("/keys/v1/api-keys", "POST", "authorization,content-type"),
        (key, "GET", "authorization,if-none-match"),
        (key, "PATCH", "authorization,content-type,if-match"),
        (key, "DELETE", "authorization,if-match"),
    ] {
        let answer = service.send(&preflight(path, method, headers));
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")), "{method} {path}");
        let (methods, allowed) =
            (listed(&answer, "access-control-allow-methods"), listed(&answer, "access-control-allow-headers"));
        assert!(
            [method.to_ascii_lowercase(), "*".to_owned()].iter().any(|allowed| methods.contains(allowed)),
            "{method} {path}: {methods:?}"
        );
        assert!(headers.split(',').all(|header| allowed.iter().any(|allowed| allowed == header)), "{allowed:?}");
    }
}

#[test]
fn given_a_page_that_manages_keys_when_answered_then_it_may_read_where_things_are_and_which_version() {
    let folder = Folder::new();
    let service = folder.start();
    let admin = service.key.clone().unwrap();
    let from_page = |method: &str, path: &str| Request::new(method, path).header("Origin", PAGE);
    let create = from_page("POST", "/keys/v1/api-keys").bearer(&admin).json(r#"{"name":"a","scopes":["files:read"]}"#);
    let created = service.send(&create);
    assert_eq!(created.status, 201, "{created:?}");
    assert_readable(&created, &["location"]);
    let location = created.header("location").unwrap().to_owned();
    let found = service.send(&from_page("GET", &location).bearer(&admin));
    assert_eq!(found.status, 200, "{location}: {found:?}");
    assert_readable(&found, &["etag"]);
    let version = found.header("etag").unwrap().to_owned();
    let rename = |version: &str| {
        let request = from_page("PATCH", &location).bearer(&admin).header("If-Match", version);
        service.send(&request.json(r#"{"name":"b"}"#))
    };
    let renamed = rename(&version);
    assert_eq!((renamed.status, json(&renamed.body)["name"].as_str()), (200, Some("b")), "{renamed:?}");
    assert_eq!(rename(&version).status, 412);
    assert_readable(&service.send(&from_page("GET", "/files")), &["www-authenticate"]);
    assert_readable(&service.send(&from_page("GET", "/keys/v1/api-keys")), &["www-authenticate"]);
}
