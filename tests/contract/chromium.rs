//! Runs the browser's tests: a program of `tests/page`, in Node, with Chromium.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// Where browsers are looked for: `CHROMIUM`, and then these.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// Runs `program` with a browser and these arguments, and fails if it does. Without a browser, or without what `npm ci`
/// installs, it says that it was skipped, and fails where `CI=true`.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("tests/page"));
    let tests =
        tests.into_iter().find(|folder| folder.join(program).exists()).expect("a folder above with the program");
    let browser =
        env::var("CHROMIUM").ok().or(BROWSERS.into_iter().map(str::to_owned).find(|path| Path::new(path).exists()));
    let (Some(browser), true) = (browser, tests.join("node_modules/playwright-core").exists()) else {
        let missing = "no Chromium (CHROMIUM may say where it is), or `npm ci` was not run in tests/page";
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "CI=true, and {missing}");
        println!("skipped: {missing}");
        return;
    };
    let node = env::var("NODE").unwrap_or_else(|_| "node".to_owned());
    let mut command = Command::new(node);
    command.current_dir(&tests).args([program, &browser]).args(arguments).stdin(Stdio::null());
    let output = command.output().expect("Node runs");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the page fails in a browser");
    assert!(text.contains(" passed"), "nothing was tested");
}
