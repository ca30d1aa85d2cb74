//! People: what each role may do, sign-in and sessions, and the last owner.

use std::{collections::VecDeque, io::Write, net::TcpStream};

use serde_json::{Value, json};

use crate::{
    contract::http::{Answer, Request, connect},
    stand::{Stand, Visitor, added, expect, refused},
};

const ROLES: [&str; 3] = ["owner", "admin", "member"];

/// The routes of the management of keys, with a body where one is needed: those that read, and those that change.
fn key_routes(id: &str) -> Vec<(&'static str, String, Option<Value>, u16)> {
    let one = |below: &str| format!("/api-keys/{id}{below}");
    vec![
        ("GET", "/api-keys".into(), None, 200),
        ("GET", one(""), None, 200),
        ("GET", one("/usage"), None, 200),
        ("GET", one("/activity"), None, 200),
        ("GET", "/usage".into(), None, 200),
        ("GET", "/limits".into(), None, 200),
        ("GET", "/scopes".into(), None, 200),
        ("GET", "/audit-events".into(), None, 200),
        ("POST", "/api-keys".into(), Some(json!({"name": "another"})), 201),
        ("PATCH", one(""), Some(json!({"name": "renamed"})), 200),
        ("POST", one("/rotate"), Some(json!({"overlap_seconds": 0})), 200),
        ("POST", one("/disable"), None, 200),
        ("POST", one("/enable"), None, 200),
        ("POST", one("/revoke"), Some(json!({"reason": "over"})), 200),
        ("DELETE", one(""), None, 204),
    ]
}

#[test]
fn given_each_role_when_it_manages_keys_then_owners_and_admins_may_and_members_may_nothing() {
    let stand = Stand::new();
    for role in ROLES {
        let visitor = stand.visitor(role);
        let key = crate::keys::add(&stand.folder, "backend", &[]);
        let id = expect(200, &stand.call(&key, "GET", "/keys/v1/whoami", None))["key"]["id"].clone();
        for (method, path, body, status) in key_routes(id.as_str().unwrap()) {
            let answer = stand.visit(&visitor, method, &format!("/keys/v1{path}"), body);
            match role {
                "member" => {
                    assert_eq!(refused(&answer), (403, "insufficient_scope".to_owned()), "{method} {path}");
                    assert_eq!(stand.status(&key), 200, "{method} {path}");
                }
                _ => assert_eq!(answer.status, status, "{role}: {method} {path}: {answer:?}"),
            }
        }
    }
}

#[test]
fn given_each_role_when_it_makes_keys_then_none_can_be_given_rights_over_keys() {
    let stand = Stand::new();
    for role in ["owner", "admin"] {
        let visitor = stand.visitor(role);
        for scope in ["keys:read", "keys:write", "keys:admin", "*"] {
            let body = json!({"name": "more than others", "scopes": [scope]});
            assert_eq!(stand.visit(&visitor, "POST", "/keys/v1/api-keys", Some(body)).status, 403, "{role} {scope}");
        }
    }
}

#[test]
fn given_a_member_when_they_ask_who_is_there_then_they_learn_whom_to_ask_for_a_key() {
    let stand = Stand::new();
    let member = [stand.visitor("owner"), stand.visitor("admin"), stand.visitor("member")].into_iter().next_back();
    let session = expect(200, &stand.visit(&member.unwrap(), "GET", "/session", None));
    assert_eq!(session["person"], json!({"email": "member@example.com", "workspace": "main", "role": "member"}));
    let people = ["admin", "member", "owner"]
        .map(|role| json!({"email": format!("{role}@example.com"), "workspace": "main", "role": role}));
    assert_eq!(session["people"], json!(people));
}

/// Who may give whom which role: from, to (`-` for somebody new, or for removal), and for each role whether it may.
const CHANGES: [(&str, &str, [bool; 3]); 11] = [
    ("-", "member", [true, true, false]),
    ("-", "admin", [true, true, false]),
    ("-", "owner", [true, false, false]),
    ("member", "admin", [true, true, false]),
    ("member", "owner", [true, false, false]),
    ("admin", "member", [true, true, false]),
    ("owner", "admin", [true, false, false]),
    ("owner", "owner", [true, false, false]),
    ("member", "-", [true, true, false]),
    ("admin", "-", [true, true, false]),
    ("owner", "-", [true, false, false]),
];

#[test]
fn given_each_role_when_it_changes_people_then_it_may_what_the_table_says() {
    let stand = Stand::new();
    let visitors = ROLES.map(|role| stand.visitor(role));
    for (n, (from, to, may)) in CHANGES.iter().enumerate() {
        for ((visitor, role), may) in visitors.iter().zip(ROLES).zip(may) {
            let email = format!("{role}{n}@example.org");
            if *from != "-" {
                expect(200, &change(&stand, &visitors[0], &email, from));
            }
            let answer = change(&stand, visitor, &email, to);
            let case = format!("{role}: {from} to {to}: {answer:?}");
            match may {
                true => assert!(matches!(answer.status, 200 | 204), "{case}"),
                false => assert_eq!(refused(&answer), (403, "not_allowed".to_owned()), "{case}"),
            }
            let now = role_of(&stand, &visitors[0], &email);
            let expected = if *may { to } else { from };
            assert_eq!(now.as_deref().unwrap_or("-"), *expected, "{case}");
        }
    }
}

/// Gives somebody a role, or removes them (`-`).
fn change(stand: &Stand, by: &Visitor, email: &str, to: &str) -> crate::contract::http::Answer {
    let path = format!("/people/{email}");
    match to {
        "-" => stand.visit(by, "DELETE", &path, None),
        role => stand.visit(by, "PUT", &path, Some(json!({"role": role}))),
    }
}

fn role_of(stand: &Stand, by: &Visitor, email: &str) -> Option<String> {
    let session = expect(200, &stand.visit(by, "GET", "/session", None));
    let people = session["people"].as_array().unwrap();
    people.iter().find(|person| person["email"] == email).map(|person| person["role"].as_str().unwrap().to_owned())
}

#[test]
fn given_the_last_owner_when_they_would_leave_or_get_another_role_then_it_is_refused_until_there_is_another() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let last = (409, "last_owner".to_owned());
    for to in ["admin", "member", "-"] {
        assert_eq!(refused(&change(&stand, &owner, "owner@example.com", to)), last, "{to}");
    }
    let demote = stand.folder.launch_with(&["add-person", "owner@example.com", "member"], &[]);
    let (status, _, err) = demote.end();
    assert!(!status.success() && err.concat().contains("last owner"), "{err:?}");
    let password = stand.person("second@example.com", "owner", "main");
    let second = stand.sign_in("second@example.com", &password);
    assert_eq!(change(&stand, &owner, "owner@example.com", "-").status, 204);
    assert_eq!(refused(&change(&stand, &second, "second@example.com", "-")), last);
}

#[test]
fn given_two_owners_when_each_removes_the_other_at_once_then_one_of_them_stays() {
    let stand = Stand::new();
    for round in 0..4 {
        let emails = ["a", "b"].map(|name| format!("{name}{round}@example.org"));
        let workspace = format!("pair{round}");
        let owners = emails.clone().map(|email| {
            let password = stand.person(&email, "owner", &workspace);
            stand.sign_in(&email, &password)
        });
        let remove = |by: usize, whom: usize| owners[by].request("DELETE", &format!("/people/{}", emails[whom]));
        let (requests, address) = ([remove(0, 1), remove(1, 0)], &stand.service.address);
        let statuses = std::thread::scope(|scope| {
            let sent = requests.each_ref().map(|request| scope.spawn(|| request.send(address).status));
            sent.map(|sent| sent.join().unwrap())
        });
        // The one who is removed first can't remove the other any more.
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
        let here = owners.iter().filter(|owner| stand.visit(owner, "GET", "/session", None).status == 200).count();
        assert_eq!(here, 1, "{statuses:?}");
    }
}

#[test]
fn given_a_changed_role_when_the_next_request_comes_then_it_has_the_new_role() {
    let stand = Stand::new();
    let (owner, admin) = (stand.visitor("owner"), stand.visitor("admin"));
    let list = || stand.visit(&admin, "GET", "/keys/v1/api-keys", None).status;
    for _ in 0..5 {
        assert_eq!(list(), 200);
        assert_eq!(change(&stand, &owner, "admin@example.com", "member").status, 200);
        assert_eq!(list(), 403);
        assert_eq!(refused(&change(&stand, &admin, "new@example.com", "member")).1, "not_allowed");
        assert_eq!(change(&stand, &owner, "admin@example.com", "admin").status, 200);
    }
    assert_eq!(change(&stand, &owner, "admin@example.com", "-").status, 204);
    assert_eq!(list(), 401);
    assert_eq!(refused(&stand.visit(&admin, "GET", "/session", None)), (401, "not_signed_in".to_owned()));
    // Whoever comes back begins anew.
    stand.person("admin@example.com", "admin", "main");
    assert_eq!(list(), 401);
}

#[test]
fn given_people_when_they_sign_in_then_only_their_own_password_is_taken() {
    let stand = Stand::new();
    let password = stand.person("ada@example.com", "owner", "main");
    assert!(password.starts_with("password_") && password.len() > 30, "{password}");
    let wrong = (403, "wrong_password".to_owned());
    let try_with = |email: &str, password: &str| stand.try_sign_in(&json!({"email": email, "password": password}));
    for (email, password) in [
        ("ada@example.com", ""),
        ("ada@example.com", "password"),
        ("nobody@example.com", &*password),
        ("", ""),
        ("ada@example.com' OR '1'='1", &password),
    ] {
        assert_eq!(refused(&try_with(email, password)), wrong, "{email} {password}");
    }
    let answer = try_with("ada@example.com", &password);
    let cookie = answer.header("set-cookie").unwrap();
    // What the client says about the host changes nothing: the test addresses 127.0.0.1.
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(cookie.split("; ").any(|one| one == part), "{part}: {cookie}");
    }
}

#[test]
fn given_an_address_in_another_case_when_used_then_it_is_the_same_person() {
    let stand = Stand::new();
    let password = stand.person("Ada@Example.com", "owner", "main");
    let ada = stand.sign_in("ADA@example.com", &password);
    assert_eq!(role_of(&stand, &ada, "ada@example.com").as_deref(), Some("owner"));
    let added = expect(200, &change(&stand, &ada, "MAX@example.com", "member"));
    assert_eq!(added["person"]["email"], "max@example.com");
    assert_eq!(expect(200, &change(&stand, &ada, "max@example.com", "admin"))["password"], Value::Null);
    assert_eq!(refused(&change(&stand, &ada, "ADA@EXAMPLE.COM", "-")), (409, "last_owner".to_owned()));
    assert_eq!(change(&stand, &ada, "Max@example.com", "-").status, 204);
    assert_eq!(role_of(&stand, &ada, "max@example.com"), None);
}

/// Sends a request, and does not wait for its answer.
fn sent(request: &Request, stand: &Stand) -> TcpStream {
    let address = &stand.service.address;
    let mut stream = connect(address);
    stream.write_all(format!("{}{}", request.head(address), request.body).as_bytes()).unwrap();
    stream
}

fn guess() -> Request {
    Request::new("POST", "/session").json(r#"{"email":"nobody@example.com","password":"guessed"}"#)
}

#[test]
fn given_a_password_that_waits_to_be_hashed_when_others_change_something_then_they_do_not_wait_for_it() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let crowd: Vec<_> = (0..80).map(|_| sent(&guess(), &stand)).collect();
    let mut added = sent(&owner.request("PUT", "/people/new@example.com").json(r#"{"role":"member"}"#), &stand);
    for n in 0..5 {
        let record = json!({"title": format!("{n}"), "content": ""});
        assert_eq!(stand.call(&stand.key, "PUT", &format!("/v1/records/{n}"), Some(record)).status, 201);
    }
    added.set_nonblocking(true).unwrap();
    assert!(added.peek(&mut [0]).is_err(), "the person is there already");
    drop(crowd);
    added.set_nonblocking(false).unwrap();
    assert_eq!(Answer::read(&mut added).status, 200);
}

/// A hash takes 19 MiB, so the most memory that the process has ever had tells how many there were at once, if memory is given
/// back to the system when it is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn given_many_sign_ins_when_their_clients_hang_up_then_no_more_passwords_are_hashed_at_once() {
    let mut stand = Stand::new();
    let settings = [("ADDR", "127.0.0.1:0"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];
    stand.service = stand.folder.launch_with(&[], &settings).ready();
    assert_eq!(stand.service.send(&guess()).status, 403);
    let most = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stand.service.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = most();
    let mut open = VecDeque::new();
    for _ in 0..80 {
        open.push_back(sent(&guess(), &stand));
        // Those that came first have their turn by now.
        (0..3).for_each(|_| assert_eq!(stand.service.send(&Request::new("GET", "/healthz")).status, 200));
        if open.len() > 8 {
            open.pop_front();
        }
    }
    drop(open);
    assert_eq!(stand.service.send(&guess()).status, 403);
    // Two at once, of which the first sign-in was one, and what the connections need.
    assert!(most() < before + 4 * 19, "{before} to {} MiB", most());
}

#[test]
fn given_a_new_password_when_it_is_chosen_or_given_then_the_old_one_and_all_sessions_end() {
    let stand = Stand::new();
    let first = stand.person("ada@example.com", "member", "main");
    let session = stand.sign_in("ada@example.com", &first);
    let is_in = |visitor: &Visitor| stand.visit(visitor, "GET", "/session", None).status == 200;
    let choose = |old: &str, new: &str| {
        stand.try_sign_in(&json!({"email": "ada@example.com", "password": old, "new_password": new}))
    };
    assert_eq!(refused(&choose(&first, "too short")), (422, "invalid".to_owned()));
    assert_eq!(refused(&choose("wrong", "correct horse battery")), (403, "wrong_password".to_owned()));
    assert!(is_in(&session));
    assert_eq!(choose(&first, "correct horse battery").status, 204);
    assert!(!is_in(&session));
    assert_eq!(refused(&choose(&first, "correct horse battery")).1, "wrong_password");

    let session = stand.sign_in("ada@example.com", "correct horse battery");
    let given = stand.person("ada@example.com", "member", "main");
    assert!(!is_in(&session));
    stand.sign_in("ada@example.com", &given);
    assert_eq!(refused(&choose("correct horse battery", "another good password")).1, "wrong_password");
}

#[test]
fn given_a_session_when_signed_out_then_its_cookie_is_worth_nothing() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    let stranger = Visitor::none();
    assert_eq!(stand.visit(&stranger, "DELETE", "/session", None).status, 204);
    assert_eq!(stand.visit(&owner, "GET", "/session", None).status, 200);
    let answer = stand.visit(&owner, "DELETE", "/session", None);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"), "{answer:?}");
    for path in ["/session", "/keys/v1/api-keys"] {
        assert_eq!(stand.visit(&owner, "GET", path, None).status, 401, "{path}");
    }
}

#[test]
fn given_a_page_of_another_site_when_it_sends_a_request_then_browsers_ask_first_and_are_not_told_yes() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    for (method, path) in [("DELETE", "/session"), ("PUT", "/people/eve@example.org"), ("POST", "/session")] {
        let ask = Request::new("OPTIONS", path)
            .header("Origin", "https://evil.example")
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", "content-type");
        let answer = stand.service.send(&ask);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}: {answer:?}");
    }
    // A form is sent without asking, and is no JSON.
    let body = json!({"email": "owner@example.com", "password": "guessed"}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let form = Request::new("POST", "/session").header("Content-Type", content_type);
        let answer = stand.service.send(&Request { body: body.clone(), ..form });
        assert_eq!(refused(&answer), (415, "invalid_body".to_owned()), "{content_type}");
    }
    let request = owner.request("POST", "/keys/v1/api-keys").header("Sec-Fetch-Site", "cross-site");
    let answer = stand.service.send(&request.json(r#"{"name":"theirs"}"#));
    assert_eq!(refused(&answer), (403, "cross_origin".to_owned()));
}

#[test]
fn given_an_address_of_another_workspace_when_added_then_it_stays_where_it_is() {
    let stand = Stand::new();
    let owner = stand.visitor("owner");
    stand.person("olga@example.org", "member", "other");
    let answer = change(&stand, &owner, "olga@example.org", "owner");
    assert_eq!(refused(&answer), (409, "not_here".to_owned()));
    assert_eq!(refused(&change(&stand, &owner, "olga@example.org", "-")), (409, "not_here".to_owned()));
    assert_eq!(refused(&change(&stand, &owner, "no-address", "member")), (422, "invalid".to_owned()));
}

#[test]
fn given_the_database_when_it_is_read_then_it_has_no_password_and_no_session() {
    let stand = Stand::new();
    let password = added(stand.folder.launch_with(&["add-person", "ada@example.com", "owner"], &[]));
    let visitor = stand.sign_in("ada@example.com", &password);
    let token = visitor.token().to_owned();
    assert_eq!(stand.visit(&visitor, "GET", "/session", None).status, 200);
    let mut has_hash = false;
    for name in stand.folder.names() {
        let bytes = std::fs::read(stand.folder.path().join(&name)).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(&password) && !has(&token), "{name}");
        has_hash |= has("$argon2id$v=19$m=19456,t=2,p=1$");
    }
    assert!(has_hash);
}
