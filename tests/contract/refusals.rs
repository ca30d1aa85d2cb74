//! Requests that fail on the client's or the service's side: each is answered in limited time.

use super::{
    http::Request,
    patience::{CLIENT_TIMEOUT, assert_bodies_are_bounded, assert_heads_are_bounded},
    service::Folder,
    uploads::assert_answered,
};
use crate::{API, BOUNDS, keys::add};

#[test]
fn given_clients_that_do_not_finish_their_request_then_they_are_answered_or_cut_off() {
    let folder = Folder::new();
    let (method, path, _, scope) = API.add;
    folder.start().stop();
    let key = add(&folder, "writer", &[scope]);
    let service = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), CLIENT_TIMEOUT]).ready();
    assert_heads_are_bounded(&service.address, BOUNDS);
    let request = Request::new(method, path).bearer(&key).header("Content-Type", "application/json");
    let late = ("HTTP/1.1 408 ", "");
    assert_bodies_are_bounded(&service.address, &request, BOUNDS, late);
}

#[test]
fn given_no_time_for_clients_when_started_then_the_error_names_the_variable() {
    for value in ["0", "-1", "soon", "", "1e30"] {
        let folder = Folder::new();
        let launch = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("CLIENT_TIMEOUT", value)]);
        let (status, out, err) = launch.end();
        assert_eq!((status.code(), out.len()), (Some(1), 0), "{value}: {err:?}");
        assert!(err.iter().any(|line| line.starts_with("Error: CLIENT_TIMEOUT")), "{value}: {err:?}");
        assert_eq!(folder.names(), [""; 0], "{value}");
    }
}

#[test]
fn given_large_uploads_when_refused_then_every_client_has_every_answer() {
    let folder = Folder::new();
    let (method, path, _, scope) = API.add;
    folder.start().stop();
    let (reader, writer) = (add(&folder, "reader", &[API.list.1]), add(&folder, "writer", &[scope]));
    let admin = if API.has_console { add(&folder, "admin", &["keys:write"]) } else { String::new() };
    let service = folder.start();
    let console = "/keys/v1/api-keys";
    let mut refusals = vec![
        ("no key", method, path, None, 401),
        ("too much", method, path, Some(&*writer), 413),
        ("no such route", "POST", "/nowhere", None, 404),
    ];
    if !scope.is_empty() {
        refusals.push(("no right", method, path, Some(&*reader), 403));
    }
    if API.has_console {
        refusals.extend([
            ("the console, no key", "POST", console, None, 401),
            ("the console, no right", "POST", console, Some(&*reader), 403),
            ("the console, too much", "POST", console, Some(&*admin), 413),
        ]);
    }
    assert_answered(&service, &refusals);
}
