//! Instructions per request. They are counted, so that the result is free of noise.
//!
//! `cargo install gungraun-runner --version 0.20.0 --locked`, then `cargo bench -p apikey-benches --bench instructions`
//!
//! It needs valgrind, which has no SHA extensions: SHA-256 is counted as portable code, some thousand instructions for
//! each block. Subtract `floor` to see what the layer adds. The drop of a request is counted, and that of an answer is
//! not.

#![expect(missing_docs, reason = "the macros make public modules")]

use std::{hint::black_box, sync::Arc};

use apikey_benches::{
    contenders::{Bare, Floor, ours},
    keys,
    rounds::ready_now,
};
use gungraun::{library_benchmark, library_benchmark_group, main};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use tower::Service;
use tower_apikey::{Scope, ScopeSet};

/// Returns a service and a request, after the same request has been served once, which does the work that is done once
/// per process.
fn warm<S, B>(mut service: S, request: impl Fn() -> Request<String>, status: StatusCode) -> (S, Request<String>)
where
    S: Service<Request<String>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    assert_eq!(ready_now(service.call(request())).expect("no error").status(), status);
    (service, request())
}

fn a_key() -> String {
    keys::generate(1).remove(0)
}

fn bare() -> (Bare, Request<String>) {
    let key = a_key();
    warm(Bare, || keys::request(&key), StatusCode::OK)
}

fn floor() -> (Floor, Request<String>) {
    let key = a_key();
    warm(Floor(Arc::new(0)), || keys::request(&key), StatusCode::OK)
}

fn hit(keys: usize) -> (tower_apikey::ApiKeyService<Bare>, Request<String>) {
    let keys = keys::generate(keys);
    warm(ours(&keys), || keys::request(&keys[keys.len() / 2]), StatusCode::OK)
}

fn no_credential() -> (tower_apikey::ApiKeyService<Bare>, Request<String>) {
    let key = a_key();
    let request = || {
        let mut request = keys::request(&key);
        request.headers_mut().remove(AUTHORIZATION);
        request
    };
    warm(ours(&[]), request, StatusCode::UNAUTHORIZED)
}

fn wrong_checksum() -> (tower_apikey::ApiKeyService<Bare>, Request<String>) {
    let mut key = a_key();
    let last = if key.pop() == Some('0') { '1' } else { '0' };
    key.push(last);
    warm(ours(&[]), || keys::request(&key), StatusCode::UNAUTHORIZED)
}

#[library_benchmark]
#[bench::bare(bare())]
#[bench::floor(floor())]
#[bench::hit(hit(1))]
#[bench::hit_among_10_000_keys(hit(10_000))]
#[bench::no_credential(no_credential())]
#[bench::wrong_checksum(wrong_checksum())]
fn request<S, B>((mut service, request): (S, Request<String>)) -> (S, Response<B>)
where
    S: Service<Request<String>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    let response = ready_now(service.call(black_box(request))).expect("no error");
    (service, response)
}

fn granted(grants: &str) -> (ScopeSet, Scope) {
    (ScopeSet::parse(grants).expect("grants"), Scope::from_static("files:write"))
}

#[library_benchmark]
#[bench::two_grants(granted("files:read files:write"))]
#[bench::wildcard_of_four(granted("a:read b:read c:read files:*"))]
fn scope_check((granted, required): (ScopeSet, Scope)) -> (bool, ScopeSet) {
    let covered = black_box(&granted).covers(black_box(&required));
    (covered, granted)
}

library_benchmark_group!(name = calls; benchmarks = request, scope_check);
main!(library_benchmark_groups = calls);
