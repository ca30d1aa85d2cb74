//! Only the first start shows a key.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use super::{
    http::{PATIENCE, Request},
    service::{Folder, Service},
};
use crate::API;

#[test]
fn given_an_empty_folder_when_started_then_a_key_is_shown_that_may_do_everything() {
    let folder = Folder::new();
    let service = folder.start();
    let key = service.key.clone().unwrap();
    assert!(key.starts_with(API.prefix), "{key}");
    let answer = service.send(&Request::new("GET", API.list.0).bearer(&key));
    assert_eq!((answer.status, answer.body.as_str()), (200, API.empty));
}

#[test]
fn given_a_first_start_when_started_again_then_no_key_is_shown_and_the_old_one_works() {
    let folder = Folder::new();
    let first = folder.start();
    let key = first.key.clone().unwrap();
    first.stop();

    let second = folder.start();
    assert_eq!(second.key, None);
    assert_eq!(second.send(&Request::new("GET", API.whoami).bearer(&key)).status, 200);
}

#[test]
fn given_an_empty_folder_when_several_start_at_once_then_one_shows_a_key_and_all_take_it() {
    let folder = Folder::new();
    let launches = [(); 8].map(|()| folder.launch("127.0.0.1:0"));
    let services = launches.map(|launch| launch.ready());
    let keys: Vec<_> = services.iter().filter_map(|service| service.key.clone()).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    for service in &services {
        assert_eq!(service.send(&Request::new("GET", API.whoami).bearer(&keys[0])).status, 200);
    }
    let addresses: HashSet<_> = services.iter().map(|service| &service.address).collect();
    assert_eq!(addresses.len(), services.len());
}

#[test]
fn given_a_page_when_started_then_its_address_is_shown() {
    let folder = Folder::new();
    let service = folder.start();
    let expected = API.has_page.then(|| format!("http://{}/keys/", service.address));
    assert_eq!(service.page, expected);
}

#[test]
fn given_an_address_in_use_when_started_then_it_ends_and_no_key_is_made_that_nobody_sees() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let (status, out, err) = folder.launch(&address).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.starts_with("Error: ADDR")), "{err:?}");
    assert!(!folder.store().exists());
}

#[test]
fn given_a_place_for_keys_that_is_none_when_started_then_the_error_names_the_variable() {
    let folder = Folder::new();
    let (status, out, err) = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("KEY_OUTPUT", "stderr")]).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.starts_with("Error: KEY_OUTPUT")), "{err:?}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn given_a_file_for_new_keys_when_started_first_then_its_owner_alone_reads_the_key_there() {
    let folder = Folder::new();
    let settings = [("ADDR", "127.0.0.1:0"), ("KEY_OUTPUT", "file:first-key")];
    let service = folder.launch_with(&[], &settings).ready();
    assert_eq!(service.key, None);
    let file = folder.path().join("first-key");
    let key = fs::read_to_string(&file).unwrap();
    assert_eq!(service.send(&Request::new("GET", API.list.0).bearer(key.trim_end())).status, 200);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    service.stop();
    folder.launch_with(&[], &settings).ready().stop();
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
}

#[cfg(target_os = "linux")]
#[test]
fn given_a_terminal_when_started_first_then_the_key_is_shown_there() {
    let folder = Folder::new();
    let service = at_terminal(&folder, &format!("exec {}", crate::BINARY));
    let request = Request::new("GET", API.list.0).bearer(service.key.as_deref().unwrap());
    assert_eq!(service.send(&request).status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn given_a_terminal_and_a_log_of_standard_output_when_started_first_then_the_key_is_not_in_the_log() {
    let folder = Folder::new();
    let service = at_terminal(&folder, &format!("{} | tee log", crate::BINARY));
    let key = service.key.as_deref().unwrap();
    assert_eq!(service.send(&Request::new("GET", API.list.0).bearer(key)).status, 200);
    // `tee` may print a line before it writes it.
    let begun = Instant::now();
    let log = loop {
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        if log.contains("listening") || begun.elapsed() > PATIENCE {
            break log;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(log.contains("listening") && !log.contains(key), "{log}");
}

/// Runs a shell command on a terminal that `script` provides, and copies the output.
#[cfg(target_os = "linux")]
fn at_terminal(folder: &Folder, command: &str) -> Service {
    let settings = [
        ("ADDR", "127.0.0.1:0"),
        ("KEY_OUTPUT", "terminal"),
        ("PATH", "/usr/bin:/bin"),
        ("SHELL", "/bin/sh"),
        ("LOG", "off"),
    ];
    folder.launch_program("script", &["-qefc", command, "/dev/null"], &settings).ready()
}
