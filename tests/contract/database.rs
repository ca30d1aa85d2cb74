//! Keys in a database: issued while the service runs, and kept through crashes.

use std::fs;

use apikey_testkit::PrivatePostgres;

use crate::{
    API,
    contract::{
        http::Request,
        service::{Folder, Launch, Service},
    },
};

pub(crate) const FILE: &str = crate::DATABASE;

/// Adds a key, as an operator would. A running service accepts it immediately.
pub(crate) fn add(folder: &Folder, name: &str, scopes: &[&str]) -> String {
    add_in(folder, &[], name, scopes)
}

pub(crate) fn add_in(folder: &Folder, settings: &[(&str, &str)], name: &str, scopes: &[&str]) -> String {
    let scopes = scopes.iter().copied().filter(|scope| !scope.is_empty());
    let arguments: Vec<_> = ["keys", "issue", name].into_iter().chain(scopes).collect();
    let (status, out, err) = folder.launch_with(&arguments, settings).end();
    assert!(status.success(), "{status}: {err:?}");
    assert_eq!(out.len(), 1, "{out:?}");
    assert!(err.iter().any(|line| line.contains(name)), "{err:?}");
    out[0].clone()
}

/// Returns the answer to the holder of a key.
pub(crate) fn whoami(name: &str, scope: &str) -> String {
    format!(r#"{{"key_id":"key_…","name":"{name}","organization":"main","environment":"live","scopes":["{scope}"]}}"#)
}

pub(crate) fn status_of(service: &Service, path: &str, key: &str) -> u16 {
    service.send(&Request::new("GET", path).bearer(key)).status
}

#[test]
fn given_a_service_that_runs_when_a_key_is_issued_then_it_is_let_in_at_once() {
    let folder = Folder::new();
    let service = folder.start();
    let (list, scope) = API.list;
    let reader = add(&folder, "reader", &[scope]);
    assert_eq!(status_of(&service, list, &reader), 200);
    let without = if scope.is_empty() { 200 } else { 403 };
    let writer = add(&folder, "writer", &[API.add.3]);
    assert_eq!([status_of(&service, API.whoami, &writer), status_of(&service, list, &writer)], [200, without]);
    let bare = add(&folder, "bare", &[]);
    assert_eq!([status_of(&service, API.whoami, &bare), status_of(&service, list, &bare)], [200, without]);
    service.stop();
}

#[test]
fn given_a_service_that_is_killed_when_started_again_then_its_keys_are_let_in_and_none_is_shown() {
    let folder = Folder::new();
    let service = folder.start();
    let first = service.key.clone().unwrap();
    let reader = add(&folder, "reader", &[API.list.1]);
    drop(service); // kill -9

    let service = folder.start();
    assert_eq!(service.key, None);
    assert_eq!([status_of(&service, API.list.0, &first), status_of(&service, API.list.0, &reader)], [200, 200]);
}

#[test]
fn given_a_key_issued_before_the_first_start_then_the_first_start_still_shows_one() {
    let folder = Folder::new();
    let reader = add(&folder, "reader", &[API.list.1]);
    let service = folder.start();
    let first = service.key.clone().unwrap();
    assert_eq!([status_of(&service, API.list.0, &first), status_of(&service, API.list.0, &reader)], [200, 200]);
}

#[test]
fn given_a_first_start_then_the_database_holds_no_key_and_is_its_owners_alone() {
    let folder = Folder::new();
    let service = folder.start();
    let keys = [service.key.clone().unwrap(), add(&folder, "reader", &[API.list.1])];
    for key in &keys {
        assert_eq!(status_of(&service, API.list.0, key), 200);
    }
    // While the service runs, with SQLite's log, and after it has ended.
    let look = || {
        assert!(folder.store().exists());
        for name in folder.names() {
            assert!(name.starts_with(FILE), "{name}");
            let file = folder.path().join(&name);
            let bytes = fs::read(&file).unwrap();
            for key in &keys {
                let secret = key.strip_prefix(API.prefix).unwrap();
                // Even half of it would be too much.
                for part in [&secret[..secret.len() / 2], &secret[secret.len() / 2..]] {
                    assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()), "{name}");
                }
            }
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            }
        }
    };
    look();
    service.stop();
    look();
}

#[test]
fn given_arguments_that_can_t_be_when_run_then_it_ends_and_says_how_to() {
    let long = "a".repeat(101);
    let cases: [(&[&str], &str); 8] = [
        (&["serve"], "error: unrecognized subcommand 'serve'"),
        (&["keys", "issue"], "error: the following required arguments were not provided:"),
        (&["keys", "issue", "--name", "reader"], "error: unexpected argument '--name' found"),
        (&["keys", "isue", "reader"], "error: unrecognized subcommand 'isue'"),
        (&["keys", "issue", ""], "error: name: "),
        (&["keys", "issue", &long], "error: name: "),
        (&["keys", "issue", "reader", "files:raed"], "error: scopes[0]: there is no scope files:raed"),
        (&["keys", "issue", "reader", "keys:read", "a b"], "error: scopes[1]: "),
    ];
    for (arguments, expected) in cases {
        let folder = Folder::new();
        let (status, out, err) = folder.launch_with(arguments, &[]).end();
        assert_eq!((status.code(), out.len()), (Some(2), 0), "{arguments:?}: {err:?}");
        assert!(err.iter().any(|line| line.starts_with(expected)), "{arguments:?}: {err:?}");
        if !expected.ends_with(": ") && !expected.contains("scopes") {
            assert_eq!(folder.names(), [""; 0], "{arguments:?}");
        }
    }
}

#[test]
fn given_a_database_that_can_t_be_used_when_started_then_the_error_names_the_variable_and_shows_no_password() {
    let urls = [
        "",
        "api-keys.db",
        "mysql://service:hunter2@localhost/keys",
        "sqlite:no/such/folder/hunter2.db",
        "postgres://service:hunter2@[::1",
        "postgres://service:hunter2@localhost/keys?sslmode=hunter2",
        "postgres://service:hunter2@127.0.0.1:1/keys",
    ];
    let folder = Folder::new();
    // All at once, because an unreachable address is retried for a while.
    let launches = urls.map(|url| {
        let settings = [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url)];
        (url, [folder.launch_with(&[], &settings), folder.launch_with(&["keys", "issue", "reader"], &settings)])
    });
    for (url, launches) in launches {
        for launch in launches {
            let (status, out, err) = launch.end();
            assert_eq!((status.code(), out.len()), (Some(1), 0), "{url}: {err:?}");
            assert!(err.iter().any(|line| line.starts_with("Error: DATABASE_URL")), "{url}: {err:?}");
            assert!(!err.concat().contains("hunter2"), "{url}: {err:?}");
        }
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn given_no_terminal_when_started_then_no_key_is_made_until_somebody_says_where_to_show_it() {
    let folder = Folder::new();
    let to_terminal = [("ADDR", "127.0.0.1:0"), ("KEY_OUTPUT", "terminal")];
    let service = folder.launch_with(&[], &to_terminal).ready();
    assert_eq!(service.key, None);
    service.wait_for_log("no terminal to show the key on");
    // No key is created and lost, either.
    let (status, out, err) = folder.launch_with(&["keys", "issue", "reader"], &to_terminal).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.contains("no terminal")), "{err:?}");

    let reader = add(&folder, "reader", &[API.list.1]);
    assert_eq!(status_of(&service, API.list.0, &reader), 200);
    service.stop();
    assert!(folder.start().key.is_some());
}

#[test]
fn given_postgres_when_8_start_at_once_then_one_key_is_shown_and_every_one_takes_all() {
    let Some(server) = PrivatePostgres::shared() else { return };
    let url = server.create_database();
    let settings = [("ADDR", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())];
    let folder = Folder::new();
    let services = [(); 8].map(|()| folder.launch_with(&[], &settings)).map(Launch::ready);
    let shown: Vec<_> = services.iter().filter_map(|service| service.key.clone()).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");

    let reader = add_in(&folder, &settings, "reader", &[API.list.1]);
    for service in &services {
        assert_eq!([status_of(service, API.list.0, &shown[0]), status_of(service, API.list.0, &reader)], [200, 200]);
    }
    services.into_iter().for_each(Service::stop);
    assert_eq!(folder.launch_with(&[], &settings).ready().key, None);
    assert_eq!(folder.names(), [""; 0]);
}
