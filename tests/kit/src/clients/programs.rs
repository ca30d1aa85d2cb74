//! The paths of the clients' programs, from the environment or from `PATH`.

use std::{
    env,
    process::{Command, Stdio},
};

use super::is_ci;

/// Python 3 with `requests`: `PYTHON`, or `python3`.
pub(super) fn python() -> Option<String> {
    find("Python with requests", "PYTHON", "python3", &["-c", "import requests"])
}

/// Node with `fetch`: `NODE`, or `node`.
pub(super) fn node() -> Option<String> {
    find("Node with fetch", "NODE", "node", &["--eval", "fetch"])
}

/// curl with HTTP/2: `CURL`, or `curl`.
pub(super) fn curl() -> Option<String> {
    find("curl with HTTP/2", "CURL", "curl", &["--http2-prior-knowledge", "--version"])
}

fn find(what: &str, variable: &str, default: &str, check: &[&str]) -> Option<String> {
    let program = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let tried = Command::new(&program).args(check).stdin(Stdio::null()).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return Some(program);
    }
    assert!(!is_ci(), "CI=true, and there is no {what}: {variable} may say where it is");
    eprintln!("skipped: no {what}");
    None
}
