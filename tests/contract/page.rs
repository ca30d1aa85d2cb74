//! The console's page in a real browser, against the built service. `tests/page` contains the tests.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use crate::contract::service::Folder;

/// Where browsers are found: `CHROMIUM`, and then these.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

#[test]
fn people_manage_keys_in_a_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/page");
    let browser =
        env::var("CHROMIUM").ok().or(BROWSERS.into_iter().map(str::to_owned).find(|path| Path::new(path).exists()));
    let (Some(browser), true) = (browser, tests.join("node_modules/playwright-core").exists()) else {
        let missing = "no Chromium (CHROMIUM may say where it is), or `npm ci` was not run in tests/page";
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "CI=true, and {missing}");
        println!("skipped: {missing}");
        return;
    };
    let folder = Folder::new();
    let service = folder.start();
    let node = env::var("NODE").unwrap_or_else(|_| "node".to_owned());
    let mut command = Command::new(node);
    command.current_dir(&tests).args(["run.mjs", &browser, &format!("http://{}/keys/", service.address)]);
    command.arg(service.key.as_deref().unwrap()).arg(crate::PAGE_TESTS).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the page fails in a browser");
    assert!(text.contains(" passed"), "nothing was tested");
    service.stop();
}
