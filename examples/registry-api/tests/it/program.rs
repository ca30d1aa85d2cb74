//! The command line: signing in, publishing and pulling; and a pipeline with nothing but its environment.

use std::{
    fs,
    net::TcpListener,
    sync::{Mutex, mpsc::sync_channel},
    thread,
};

use apikey_testkit::{KeyringSession, Terminal};
use serde_json::json;

use crate::{
    contract::http::{Request, json as parsed},
    stand::{Person, Stand, is_like},
};

const README: &str = include_str!("../../../registry-cli/README.md");

/// Follows the README of the command line, at a terminal and with a keyring, and then in a pipeline.
#[test]
fn given_each_command_of_its_readme_when_run_then_it_prints_what_stands_there() {
    let stand = Stand::new();
    let mut person = Person::new(&stand);
    let Some(keyring) = KeyringSession::start(person.home()) else { return };
    person.set("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let pipeline = Person::pipeline(&stand, &stand.issue("main", "ci").secret);
    let page = README.replace("127.0.0.1:3000", &stand.service.address);
    let mut run = 0;
    for section in page.split("\n## ") {
        let person = if section.starts_with("In CI") { &pipeline } else { &person };
        fs::write(person.home().join("tools.tar"), [0; 20_480]).unwrap();
        let blocks = section.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
        for step in blocks.flat_map(|block| block.split("$ ").skip(1)) {
            // `$(` doesn't begin a step.
            let (command, expected) = step.split_once('\n').unwrap();
            let printed = match command {
                "registry auth login" => {
                    let name = expected.split('"').nth(1).unwrap();
                    let mut terminal = Terminal::start(&person.command(&["auth", "login"]));
                    terminal.wait_for("API key for ");
                    terminal.wait_until_hidden();
                    terminal.type_line(&stand.issue("main", name).secret);
                    terminal.end().1.replace("\r\n", "\n").replace(": \n", ":\n")
                }
                _ => person.shell(command),
            };
            assert!(is_like(printed.trim_end(), expected.trim_end()), "{command}: {printed}");
            run += 1;
        }
    }
    assert!(run > 8, "{run}");
}

#[test]
fn given_a_pipeline_when_its_environment_has_a_key_then_it_publishes_pulls_and_lists() {
    let stand = Stand::new();
    let key = stand.issue("acme", "release-robot").secret;
    let pipeline = Person::pipeline(&stand, &key);
    fs::write(pipeline.home().join("tools.tar"), b"\0the bundle\xff").unwrap();
    assert_eq!(pipeline.done(&["list"]), "");
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        let done = pipeline.done(&["publish", "tools", version, "tools.tar"]);
        assert_eq!(done, format!("published tools {version} (12 bytes)\n"));
    }
    let again = pipeline.run(&["publish", "tools", "1.0.0", "tools.tar"]);
    assert_eq!((again.code, again.out.as_str()), (1, ""), "{again:?}");
    assert!(again.err.contains("can't be replaced"), "{again:?}");

    assert_eq!(pipeline.done(&["list"]), "tools\t1.1.0\n");
    let versions = pipeline.done(&["list", "tools"]);
    let versions: Vec<_> = versions.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(versions, ["2.0.0-rc.1", "1.1.0", "1.0.0"]);

    // Another member of the organization, on another machine.
    let laptop = Person::pipeline(&stand, &stand.issue("acme", "adas-laptop").secret);
    assert_eq!(laptop.done(&["pull", "tools"]), "pulled tools 1.1.0 to tools\n");
    assert_eq!(fs::read(laptop.home().join("tools")).unwrap(), b"\0the bundle\xff");
    let again = laptop.run(&["pull", "tools", "1.0.0"]);
    assert_eq!(again.code, 1, "a file is never overwritten: {again:?}");
    assert_eq!(laptop.done(&["pull", "tools", "1.0.0", "-o", "old"]), "pulled tools 1.0.0 to old\n");
    // A container may have no home.
    let bare = pipeline.command(&["list"]).env_remove("HOME").output().unwrap();
    assert!(bare.status.success(), "{bare:?}");
    // Nothing was stored anywhere.
    for person in [&pipeline, &laptop] {
        assert!(!person.home().join(".config").exists());
    }
}

#[test]
fn given_nobody_signed_in_when_run_then_it_says_so_and_a_key_for_another_host_is_not_sent() {
    let stand = Stand::new();
    let mut person = Person::new(&stand);
    for arguments in [&["list"][..], &["auth", "status"], &["auth", "token"], &["pull", "tools"]] {
        let ended = person.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("not signed in"), "{ended:?}");
    }
    // The variable without a host is for the program's own.
    let key = stand.issue("acme", "ci").secret;
    person.set("REGISTRY_API_KEY", &key);
    assert_eq!(person.run(&["list"]).code, 4);
    let own = person.command(&["auth", "token"]).env_remove("REGISTRY_HOST").output().unwrap();
    assert_eq!(String::from_utf8(own.stdout).unwrap(), format!("{key}\n"));
}

/// The program's own registry is at a fixed address, so the service is started there, if it is free.
#[test]
fn given_a_pipeline_with_the_one_variable_when_it_publishes_then_nothing_else_is_set_up() {
    let stand = Stand::new();
    let key = stand.issue("acme", "robot").secret;
    stand.service.stop();
    let Ok(free) = TcpListener::bind("127.0.0.1:3000") else {
        println!("skipped: another program is at 127.0.0.1:3000");
        return;
    };
    drop(free);
    let stand = Stand { service: stand.folder.launch("127.0.0.1:3000").ready(), ..stand };
    let mut pipeline = Person::new(&stand);
    pipeline.set("REGISTRY_API_KEY", &key);
    fs::write(pipeline.home().join("tools.tar"), b"the bundle").unwrap();
    let done = |arguments: &[&str]| {
        let output = pipeline.command(arguments).env_remove("REGISTRY_HOST").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(done(&["publish", "tools", "1.0.0", "tools.tar"]), "published tools 1.0.0 (10 bytes)\n");
    assert_eq!(done(&["list"]), "tools\t1.0.0\n");
}

#[test]
fn given_a_terminal_when_signing_in_then_the_key_is_not_shown_and_serves_every_command() {
    let stand = Stand::new();
    let key = stand.issue("acme", "adas-laptop").secret;
    let person = Person::new(&stand);
    assert_eq!(person.run(&["auth", "login", &key]).code, 2, "never as an argument");
    let mut terminal = Terminal::start(&person.command(&["auth", "login", "--insecure-storage"]));
    terminal.wait_for("API key for ");
    terminal.wait_until_hidden();
    terminal.type_line(&key);
    let (status, screen) = terminal.end();
    assert!(status.success() && !screen.contains(&key), "{screen}");
    assert!(screen.contains("signed in with \"adas-laptop\" of acme"), "{screen}");

    let hint = format!("reg_live_{}…{}", &key[9..13], &key[key.len() - 4..]);
    let told = person.done(&["auth", "status"]);
    assert!(told.contains("signed in with \"adas-laptop\" of acme") && told.contains(&hint), "{told}");
    assert!(!told.contains("scopes"), "it has none: {told}");
    assert_eq!(person.done(&["auth", "token"]), format!("{key}\n"));
    assert_eq!(person.done(&["list"]), "");
    assert_eq!(person.done(&["auth", "logout"]), "signed out\n");
    assert_eq!(person.run(&["list"]).code, 4);
    assert_eq!(stand.send(&key, "GET", "/v1/me", "").status, 200, "the key itself lives on");
}

#[test]
fn given_a_new_key_when_signed_in_again_then_it_takes_the_place_of_the_old_one() {
    let stand = Stand::new();
    let person = Person::new(&stand);
    for name in ["adas-laptop", "adas-laptop-2"] {
        let key = stand.issue("acme", name).secret;
        let ended = person.run_with(&["auth", "login", "--with-token", "--insecure-storage"], &key);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(person.done(&["auth", "token"]), format!("{key}\n"));
        assert!(person.done(&["auth", "status"]).contains(&format!("signed in with {name:?} of acme")));
    }
}

#[test]
fn given_a_second_key_when_the_first_is_revoked_then_me_told_them_apart_and_no_request_was_refused() {
    let stand = Stand::new();
    let [old, new] = ["ci-2025", "ci-2026"].map(|name| stand.issue("acme", name));
    let hint = |secret: &str| format!("{}…{}", &secret[..13], &secret[secret.len() - 4..]);
    for key in [&old, &new] {
        let me = stand.get(&key.secret, "/v1/me");
        assert_eq!(me["key"]["hint"], hint(&key.secret));
        assert_eq!((&me["organization"], &me["key"]["id"]), (&json!("acme"), &json!(key.id)));
        assert_eq!(me["expires_at"], json!(null));
    }
    let arguments = ["--organization", "acme", "--json", "issue", "for an audit", "--expires", "2999-12-31T00:00:00Z"];
    let ends = stand.operate(&[&arguments[..], &["--key-output", "stdout"]].concat());
    let secret = parsed(&ends.out)["secret"].as_str().unwrap_or_else(|| panic!("{ends:?}")).to_owned();
    assert_eq!(stand.get(&secret, "/v1/me")["expires_at"], "2999-12-31T00:00:00.000Z");
    assert_eq!(stand.get(&new.secret, "/v1/me")["key"]["name"], "ci-2026");

    let (address, used) = (&stand.service.address, Mutex::new(&old.secret));
    let (sent, requests) = sync_channel(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let sent = sent;
            loop {
                let request = Request::new("GET", "/v1/bundles").bearer(&used.lock().unwrap());
                if sent.send(request.send(address).status).is_err() {
                    break;
                }
            }
        });
        let wait_for = |count| requests.iter().take(count).for_each(|status| assert_eq!(status, 200));
        wait_for(20);
        *used.lock().unwrap() = &new.secret;
        // The first of them may still have the old key.
        wait_for(3);
        assert_eq!(stand.operate(&["--organization", "acme", "revoke", &old.id, "--yes"]).code, 0);
        wait_for(20);
        drop(requests);
    });
    let status = |secret: &str| stand.send(secret, "GET", "/v1/me", "").status;
    assert_eq!([status(&old.secret), status(&new.secret)], [401, 200]);
}

#[test]
fn given_a_key_when_revoked_then_it_is_asked_for_confirmation_first() {
    let stand = Stand::new();
    let key = stand.issue("acme", "ci");
    let revoke = ["--organization", "acme", "revoke", &key.id];
    assert_eq!(stand.operate(&revoke).code, 2, "nobody can be asked");
    for (answer, status) in [("no", 200), ("yes", 401)] {
        let mut terminal = Terminal::start(&stand.operator(&revoke));
        terminal.wait_for("Type yes to go on: ");
        terminal.type_line(answer);
        let (ended, screen) = terminal.end();
        assert_eq!(ended.success(), answer == "yes", "{screen}");
        assert_eq!(stand.send(&key.secret, "GET", "/v1/me", "").status, status, "{answer}");
    }
}
