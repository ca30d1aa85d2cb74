//! Outages of the verifier.

use std::time::Duration;

use custom_resolver::key_format;
use serde_json::json;
use tempfile::TempDir;

use super::{
    process::Process,
    service::{Service, issue},
    told::Told,
};

/// Short enough for a test to wait for.
const SHORT: Duration = Duration::from_secs(1);
/// So long that a test that waits for it fails.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn given_a_verifier_that_is_down_then_cached_keys_are_served_others_get_503_and_all_is_well_once_it_is_back() {
    let folder = TempDir::new().unwrap();
    let verifier = Process::verifier(folder.path(), "127.0.0.1:0");
    let address = verifier.address().to_owned();
    let service = Service::start(&verifier.url, &verifier.keys[1]).await;
    let cached = issue(&verifier, "cached", &["reports:read"]).await;
    let other = issue(&verifier, "other", &["reports:read"]).await;
    assert_eq!(service.reports(&cached).await, 200);

    verifier.kill();
    assert_eq!(service.reports(&cached).await, 200);
    service.get("/reports", &other).await.assert_unavailable("down");
    service.clock.advance(Duration::from_secs(61));
    service.get("/reports", &cached).await.assert_unavailable("down, and not fresh any more");

    let verifier = Process::verifier(folder.path(), &address);
    assert_eq!(verifier.keys, [""; 0], "its keys are those of before");
    assert_eq!(service.reports(&cached).await, 200);
    assert_eq!(service.reports(&other).await, 200);
    let unknown = key_format().unwrap().generate().unwrap();
    assert_eq!(service.reports(unknown.expose_secret()).await, 401);
    service.stop().await;
}

#[tokio::test]
async fn given_a_verifier_that_hangs_then_503_by_the_shorter_of_the_time_limits() {
    let verifier = Told::start().await;
    let key = key_format().unwrap().generate().unwrap();
    let key = key.expose_secret();
    for (name, lookup, resolver) in [("the look-up's", SHORT, LONG), ("the authenticator's", LONG, SHORT)] {
        let service = Service::with(
            &verifier.url,
            key,
            |keys| keys.timeout(lookup),
            |authenticator| authenticator.resolver_timeout(resolver),
        );
        let service = service.await;
        verifier.hang();
        service.get("/reports", key).await.assert_unavailable(name);
        verifier.answer(404, &json!({ "code": "unknown_key" }).to_string());
        assert_eq!(service.reports(key).await, 401, "{name}");
        service.stop().await;
    }
}

/// Stopped rather than killed: its connections stay open, and the system even accepts new ones for it.
#[cfg(unix)]
#[tokio::test]
async fn given_a_verifier_that_stands_still_then_cached_keys_are_served_others_get_503_until_it_goes_on() {
    let folder = TempDir::new().unwrap();
    let verifier = Process::verifier(folder.path(), "127.0.0.1:0");
    let cached = issue(&verifier, "cached", &["reports:read"]).await;
    let other = issue(&verifier, "other", &["reports:read"]).await;
    let service = Service::start(&verifier.url, &verifier.keys[1]).await;
    assert_eq!(service.reports(&cached).await, 200);

    verifier.signal("STOP");
    assert_eq!(service.reports(&cached).await, 200);
    service.get("/reports", &other).await.assert_unavailable("stopped");
    verifier.signal("CONT");
    assert_eq!(service.reports(&other).await, 200);
    service.stop().await;
}
