//! Runs the browser's tests: a program of `tests/page`, in Node, with Chromium.

use std::{
    env,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Where browsers are looked for: `CHROMIUM`, and then these.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// Longer than all tests take, so that they fail instead of hanging.
const LIMIT: Duration = Duration::from_secs(15 * 60);

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
    let (output, is_late) = output_within(LIMIT, &mut command);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!is_late, "the tests in a browser exceed {LIMIT:?}");
    assert!(output.status.success(), "the page fails in a browser");
    assert!(text.contains(" passed"), "nothing was tested");
}

/// Returns what a command prints, and `true` if it was killed because it didn't end. Its browser ends with it.
fn output_within(limit: Duration, command: &mut Command) -> (Output, bool) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Node runs");
    let id = child.id().to_string();
    let (ends, ended) = mpsc::channel::<()>();
    let watched = thread::spawn(move || {
        let is_late = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = Command::new("/bin/kill").args(["-KILL", &id]).status();
        }
        is_late
    });
    let output = child.wait_with_output().expect("what Node prints");
    drop(ends);
    (output, watched.join().expect("a thread that watches"))
}
