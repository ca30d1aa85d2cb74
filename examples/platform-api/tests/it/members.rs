//! Members sign in, and manage their own customer's keys.

use std::{collections::VecDeque, io::Write, net::TcpStream};

use apikey_testkit::PrivatePostgres;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::{
    contract::{
        http::{Answer, Request, connect, json as parsed},
        service::Folder,
    },
    stand::{PASSWORD, Stand, command, command_in, run, sign_in},
};

/// The texts of a column of the product's tables.
pub(crate) fn column(folder: &Folder, query: &'static str) -> Vec<String> {
    let file = format!("sqlite:{}", folder.store().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&file).await.unwrap();
        sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
    })
}

#[test]
fn given_a_first_start_then_nobody_can_sign_in() {
    let folder = Folder::new();
    folder.start().stop();
    assert_eq!(column(&folder, "SELECT email FROM platform_member"), [""; 0]);
}

#[test]
fn given_a_member_when_added_then_the_password_is_stored_as_owasp_says_and_bad_ones_are_refused() {
    let stand = Stand::new();
    let hashes = column(&stand.folder, "SELECT password FROM platform_member");
    assert_eq!(hashes.len(), 3);
    assert!(hashes.iter().all(|hash| hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")), "{hashes:?}");
    assert_ne!(hashes[0], hashes[1], "each has a salt");
    let cases = [
        (["add-member", "acme", "gil@acme.example"], "too short", "a password has 12 to 200 bytes"),
        (["add-member", "acme", "gil@acme.example"], "", "a password has 12 to 200 bytes"),
        (["add-member", "acme", "gil"], PASSWORD, "no email address"),
        (["add-member", "acme", "key:gil@acme.example"], PASSWORD, "no email address"),
        (["add-member", "acme", "gil\u{200b}@acme.example"], PASSWORD, "no email address"),
        (["add-member", "nobody", "gil@acme.example"], PASSWORD, "there is no organization nobody"),
        (["add-member", "birch", "Dana@acme.example"], PASSWORD, "this address is a member's of another organization"),
    ];
    for (arguments, password, expected) in cases {
        let done = command(&stand.folder, &arguments, password);
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && told.contains(expected), "{arguments:?} {password:?}: {told}");
    }
}

#[test]
fn given_wrong_credentials_when_signing_in_then_the_answer_does_not_tell_which_is_wrong() {
    let stand = Stand::new();
    let answers = [
        ("dana@acme.example", "correct horse battery stable"),
        ("dana@acme.example", ""),
        ("nobody@acme.example", PASSWORD),
        ("nobody@acme.example", ""),
        ("", ""),
    ]
    .map(|(email, password)| stand.sign_in(email, password));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (401, &answers[0].body));
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert!(answers[0].body.contains("Wrong address or password."));
    assert_eq!(stand.sign_in(" DANA@acme.example", PASSWORD).status, 303, "addresses have no case");
}

#[test]
fn given_an_unknown_address_when_added_while_its_sign_in_waits_then_the_empty_password_lets_nobody_in() {
    let stand = Stand::new();
    // They keep the two that hash busy, so that the sign-in waits after it has looked for the address.
    let crowd: Vec<_> = (0..80).map(|_| sent("nobody@acme.example", PASSWORD, &stand)).collect();
    let mut early = sent("gil@acme.example", "", &stand);
    run(&stand.folder, &["add-member", "acme", "gil@acme.example"], PASSWORD);
    assert_eq!(Answer::read(&mut early).status, 401);
    drop(crowd);
    assert_eq!(["", PASSWORD].map(|password| stand.sign_in("gil@acme.example", password).status), [401, 303]);
}

/// A hash takes 19 MiB, so the most memory that the process has ever had tells how many there were at once, if memory is given
/// back to the system when it is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn given_many_sign_ins_when_their_clients_hang_up_then_no_more_passwords_are_hashed_at_once() {
    let mut stand = Stand::new();
    let settings = [("ADDR", "127.0.0.1:0"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];
    stand.service = stand.folder.launch_with(&[], &settings).ready();
    assert_eq!(stand.sign_in("dana@acme.example", PASSWORD).status, 303);
    let most = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stand.service.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = most();
    let mut open = VecDeque::new();
    for _ in 0..80 {
        open.push_back(sent("dana@acme.example", PASSWORD, &stand));
        // Those that came first have their turn by now.
        (0..3).for_each(|_| assert_eq!(stand.service.send(&Request::new("GET", "/healthz")).status, 200));
        if open.len() > 8 {
            open.pop_front();
        }
    }
    drop(open);
    assert_eq!(stand.sign_in("dana@acme.example", PASSWORD).status, 303);
    // Two at once, of which the first sign-in was one, and what the connections need.
    assert!(most() < before + 4 * 19, "{before} to {} MiB", most());
}

/// Sends a sign-in, and does not wait for its answer.
fn sent(email: &str, password: &str, to: &Stand) -> TcpStream {
    let (request, address) = (sign_in(email, password), &to.service.address);
    let mut stream = connect(address);
    stream.write_all(format!("{}{}", request.head(address), request.body).as_bytes()).unwrap();
    stream
}

#[test]
fn given_a_session_when_its_member_is_removed_and_added_again_then_it_stays_ended() {
    let stand = Stand::new();
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    assert_eq!(dana.submit("/members/eli%40acme.example", "").status, 200);
    run(&stand.folder, &["add-member", "birch", "eli@acme.example"], PASSWORD);
    assert_eq!(eli.call("GET", "whoami", &Value::Null).status, 401);
    assert_eq!(eli.open("/").header("location"), Some("/sign-in"));
    assert_eq!(stand.member("eli@acme.example").read("whoami")["organization"], "birch");
}

#[test]
fn given_another_password_when_set_then_the_old_one_and_its_sessions_end() {
    let stand = Stand::new();
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    run(&stand.folder, &["set-password", "acme", "ELI@acme.example"], "a password of his own");
    assert_eq!(eli.call("GET", "whoami", &Value::Null).status, 401);
    let status = |password: &str| stand.sign_in("eli@acme.example", password).status;
    assert_eq!([status(PASSWORD), status("a password of his own")], [401, 303]);
    assert_eq!(dana.call("GET", "whoami", &Value::Null).status, 200, "another member's");
    let done = command(&stand.folder, &["set-password", "birch", "eli@acme.example"], "a password of another");
    assert!(!done.status.success(), "another organization's");
    assert_eq!(status("a password of his own"), 303);
}

#[test]
fn given_a_sign_in_then_its_cookie_is_for_the_product_alone_and_the_database_can_t_sign_in() {
    let stand = Stand::new();
    let answer = stand.sign_in("dana@acme.example", PASSWORD);
    let cookie = answer.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(cookie.split("; ").any(|one| one == attribute), "{attribute}: {cookie}");
    }
    let id = cookie.strip_prefix("session=").unwrap().split(';').next().unwrap();
    let stored = column(&stand.folder, "SELECT digest || data FROM platform_session");
    assert!(stored.len() == 1 && !stored[0].contains(id), "{stored:?}");
}

#[test]
fn given_a_member_when_they_open_the_page_then_the_console_is_in_it_for_their_own_customer() {
    let stand = Stand::new();
    let (dana, fay) = (stand.dana(), stand.member("fay@birch.example"));
    let page = dana.open("/");
    assert!(page.status == 200 && page.body.contains("<apikey-console"), "{page:?}");
    assert!(page.body.contains("eli@acme.example") && !page.body.contains("birch"), "{page:?}");
    let who = dana.read("whoami");
    assert_eq!((&who["actor"], &who["organization"]), (&json!("dana@acme.example"), &json!("acme")));

    let (ours, theirs) = (dana.issue("production"), fay.issue("production"));
    let listed = dana.read("api-keys");
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| &key["id"]).collect();
    assert_eq!(ids, [&json!(ours.id)]);
    for (method, path, body) in [
        ("GET", format!("api-keys/{}", theirs.id), Value::Null),
        ("POST", format!("api-keys/{}/revoke", theirs.id), json!({ "reason": "a test" })),
    ] {
        assert_eq!(dana.call(method, &path, &body).status, 404, "{path}");
    }
    let removed = dana.submit("/members/fay%40birch.example", "");
    assert!(removed.status == 422 && removed.body.contains("There is no such member."), "{removed:?}");
    assert_eq!(fay.read("whoami")["organization"], "birch", "she is nobody of acme's to remove");
    assert_eq!(stand.status(&theirs.secret), 200);
}

#[test]
fn given_nobody_signed_in_when_a_page_is_opened_then_it_leads_to_the_sign_in() {
    let stand = Stand::new();
    for path in ["/", "/members/dana%40acme.example"] {
        let answer = stand.service.send(&Request::new("GET", path));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/sign-in")), "{path}");
    }
    let made_up = Request::new("GET", "/keys/v1/whoami").header("Cookie", "session=AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(stand.service.send(&made_up).status, 401);
}

#[test]
fn given_a_member_when_signed_out_or_restarted_then_the_session_ends_or_stays() {
    let stand = Stand::new();
    let (left, stays) = (stand.dana(), stand.dana());
    assert_ne!(left.cookie, stays.cookie);
    assert_eq!(left.submit("/sign-out", "").status, 303);
    let status = |cookie: &str, service: &crate::contract::service::Service| {
        service.send(&Request::new("GET", "/keys/v1/whoami").header("Cookie", cookie)).status
    };
    let (left, stays) = (left.cookie.clone(), stays.cookie.clone());
    assert_eq!([status(&left, &stand.service), status(&stays, &stand.service)], [401, 200]);
    stand.service.stop();
    let service = stand.folder.start();
    assert_eq!([status(&left, &service), status(&stays, &service)], [401, 200]);
}

#[test]
fn given_a_page_of_another_origin_when_it_sends_a_member_s_cookie_then_nothing_is_changed() {
    let stand = Stand::new();
    let dana = stand.dana();
    for path in ["/", "/sign-in", "/sign-out", "/members/eli%40acme.example"] {
        for site in ["cross-site", "same-site"] {
            let foreign = Request::new("POST", path).header("Sec-Fetch-Site", site);
            let foreign = Request { body: "plan=team&on_leak=revoke&email=a&password=b".into(), ..foreign };
            let answer = dana.send(foreign.header("Content-Type", "application/x-www-form-urlencoded"));
            assert_eq!(answer.status, 403, "{path} {site}");
        }
    }
    let foreign = Request::new("POST", "/keys/v1/api-keys").json(r#"{"name":"a"}"#);
    let answer = dana.send(foreign.header("Sec-Fetch-Site", "cross-site"));
    assert_eq!((answer.status, &parsed(&answer.body)["code"]), (403, &json!("cross_origin")));
    assert!(dana.open("/").body.contains("acme · free"));
    assert_eq!(dana.read("api-keys")["items"], json!([]));
}

#[test]
fn given_postgres_when_a_member_signs_in_then_keys_plans_and_leaving_are_as_on_sqlite() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let (folder, settings) = (Folder::new(), [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())]);
    let commands = [
        ["set-plan", "acme", "free"],
        ["add-member", "acme", "dana@acme.example"],
        ["add-member", "acme", "eli@acme.example"],
    ];
    for arguments in commands {
        let done = command_in(&folder, &settings, &arguments, PASSWORD);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let service = folder.launch_with(&[], &settings).ready();
    let stand = Stand { folder, service };
    let (dana, eli) = (stand.dana(), stand.member("eli@acme.example"));
    let key = eli.issue("of Eli");
    for (name, expected) in [("website", 201), ("website", 409)] {
        let add = Request::new("POST", "/v1/projects").bearer(&key.secret).json(json!({ "name": name }).to_string());
        assert_eq!(stand.service.send(&add).status, expected);
    }
    assert_eq!(dana.submit("/", "plan=team&on_leak=quarantine").status, 303);
    assert_eq!(dana.read("limits")["keys"], json!({"used": 1, "allowed": 25}));
    assert!(dana.submit("/members/eli%40acme.example", "").body.contains("1 key was ended."));
    assert_eq!(stand.status(&key.secret), 401);
    assert_eq!(dana.submit("/sign-out", "").status, 303);
    assert_eq!(dana.open("/").header("location"), Some("/sign-in"));
}
