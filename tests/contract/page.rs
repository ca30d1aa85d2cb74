//! The console's page in a real browser, against the built service. `tests/page` contains the tests.

#[path = "chromium.rs"]
mod chromium;

use crate::contract::service::Folder;

#[test]
fn people_manage_keys_in_a_browser() {
    let folder = Folder::new();
    let service = folder.start();
    let address = format!("http://{}/keys/", service.address);
    chromium::run("run.mjs", &[&address, service.key.as_deref().unwrap(), crate::PAGE_TESTS]);
    service.stop();
}
