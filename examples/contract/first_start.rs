//! The key file: made once, never overwritten, and refused when it is wrong.

use std::{collections::HashSet, fs, net::TcpListener};

use super::{curl, http::Request, service::Folder};

#[test]
fn given_an_empty_folder_when_started_then_a_key_is_shown_with_a_command_that_works() {
    let folder = Folder::new();
    let service = folder.start();
    let key = service.key.clone().unwrap();
    assert!(key.starts_with("demo_live_"), "{key}");

    let command = service.command.clone().unwrap();
    assert_eq!(command, format!("curl -H \"Authorization: Bearer {key}\" http://{}/files", service.address));
    let answer = service.send(&curl::request(&command));
    assert_eq!((answer.status, answer.body.as_str()), (200, "[]"));
}

#[test]
fn given_a_first_start_then_the_file_holds_a_digest_and_is_its_owners_alone() {
    let folder = Folder::new();
    let key = folder.start().key.clone().unwrap();
    let text = fs::read_to_string(folder.key_file()).unwrap();
    assert!(text.contains("id = \"bootstrap\"") && text.contains("digest = \"sha256:"), "{text}");
    assert!(!text.contains(key.strip_prefix("demo_live_").unwrap()), "{text}");

    // Nothing else is left in the folder: no draft, no log.
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["api-keys.toml"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(folder.key_file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn given_a_key_file_when_started_again_then_no_key_is_shown_and_the_old_one_works() {
    let folder = Folder::new();
    let first = folder.start();
    let key = first.key.clone().unwrap();
    let text = fs::read(folder.key_file()).unwrap();
    first.stop();

    let second = folder.start();
    assert_eq!((&second.key, &second.command), (&None, &None));
    assert_eq!(second.send(&Request::new("GET", "/whoami").bearer(&key)).status, 200);
    assert_eq!(fs::read(folder.key_file()).unwrap(), text);
}

#[test]
fn given_an_empty_folder_when_several_start_at_once_then_one_shows_a_key_and_all_take_it() {
    let folder = Folder::new();
    let launches = [(); 4].map(|()| folder.launch("127.0.0.1:0"));
    let services = launches.map(|launch| launch.ready());
    let keys: Vec<_> = services.iter().filter_map(|service| service.key.clone()).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    for service in &services {
        assert_eq!(service.send(&Request::new("GET", "/whoami").bearer(&keys[0])).status, 200);
    }
    let addresses: HashSet<_> = services.iter().map(|service| &service.address).collect();
    assert_eq!(addresses.len(), services.len());
}

#[test]
fn given_a_malformed_key_file_when_started_then_it_ends_and_names_the_line() {
    let digest = "00".repeat(32);
    let cases = [
        ("[[key]]\nid = \"a\"\ndigest = \"sha256:zz\"\n".to_owned(), "api-keys.toml: line 3: digest: "),
        (format!("[[key]]\nid = \"a\"\ndigest = \"sha256:{digest}\"\nscope = []\n"), "api-keys.toml: line 4: "),
        ("# no key yet\n[[key]\n".to_owned(), "api-keys.toml: line 2: "),
        (String::new(), "api-keys.toml: no key is listed"),
    ];
    for (text, expected) in cases {
        let folder = Folder::new();
        fs::write(folder.key_file(), &text).unwrap();
        let (status, out, err) = folder.launch("127.0.0.1:0").end();
        assert_eq!(status.code(), Some(1), "{text:?}: {err:?}");
        assert_eq!(out, [""; 0], "{text:?}");
        assert!(err.iter().any(|line| line.starts_with("error: ") && line.contains(expected)), "{text:?}: {err:?}");
        assert_eq!(fs::read_to_string(folder.key_file()).unwrap(), text);
    }
}

#[test]
fn given_an_address_in_use_when_started_then_it_ends_and_no_key_is_made_that_nobody_sees() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let (status, out, err) = folder.launch(&address).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.contains(&address)), "{err:?}");
    assert!(!folder.key_file().exists());
}
