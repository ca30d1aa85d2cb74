//! The console's page in a real browser, against the built service. `tests/page` contains the tests.

#[path = "chromium.rs"]
mod chromium;

use crate::contract::service::Folder;

#[test]
fn people_manage_keys_in_a_browser() {
    let folder = Folder::new();
    let service = folder.start();
    let other_folder = Folder::new();
    let proxied = other_folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("PUBLIC_PATH", "/acme/keys")]).ready();
    let [address, key, proxied_address, proxied_key] =
        [&service.page, &service.key, &proxied.page, &proxied.key].map(|text| text.as_deref().unwrap());
    chromium::run("run.mjs", &[address, key, crate::PAGE_TESTS, proxied_address, proxied_key]);
    service.stop();
    proxied.stop();
}
