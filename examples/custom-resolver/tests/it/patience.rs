//! Both programs limit the time of a client.

use crate::{
    contract::{
        http::Request,
        patience::{Bounds, CLIENT_TIMEOUT, assert_bodies_are_bounded, assert_heads_are_bounded},
    },
    process::Process,
};

const BOUNDS: Bounds = Bounds { http1: true, http2: false };

#[test]
fn given_clients_that_do_not_finish_their_request_then_they_are_answered_or_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("ADDR", "127.0.0.1:0"), CLIENT_TIMEOUT];
    let verifier = Process::verifier_with(folder.path(), settings);
    let service = Process::service_with(&verifier, settings);
    assert_heads_are_bounded(verifier.address(), BOUNDS);
    assert_heads_are_bounded(service.address(), BOUNDS);
    let issue = Request::new("POST", "/keys").bearer(&verifier.keys[0]).header("Content-Type", "application/json");
    let late = ("HTTP/1.1 408 ", "");
    assert_bodies_are_bounded(verifier.address(), &issue, BOUNDS, late);
}
