//! The first start shows a key, and no other does.

use std::{collections::HashSet, net::TcpListener};

use super::{curl, http::Request, service::Folder};
use crate::API;

#[test]
fn given_an_empty_folder_when_started_then_a_key_is_shown_with_a_command_that_works() {
    let folder = Folder::new();
    let service = folder.start();
    let key = service.key.clone().unwrap();
    assert!(key.starts_with(API.prefix), "{key}");

    let command = service.command.clone().unwrap();
    assert_eq!(command, format!("curl -H \"Authorization: Bearer {key}\" http://{}{}", service.address, API.list.0));
    let answer = service.send(&curl::request(&command));
    assert_eq!((answer.status, answer.body.as_str()), (200, API.empty));
}

#[test]
fn given_a_first_start_when_started_again_then_no_key_is_shown_and_the_old_one_works() {
    let folder = Folder::new();
    let first = folder.start();
    let key = first.key.clone().unwrap();
    first.stop();

    let second = folder.start();
    assert_eq!((&second.key, &second.command), (&None, &None));
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
fn given_an_address_in_use_when_started_then_it_ends_and_no_key_is_made_that_nobody_sees() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let (status, out, err) = folder.launch(&address).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.contains(&address)), "{err:?}");
    assert!(!folder.store().exists());
}
