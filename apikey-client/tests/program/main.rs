//! The example's program against a service: signing in and out, rotation, and what happens to a request.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod interrupted;
mod keyring;
mod terminal;

use std::{
    env, fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use apikey_client::KeyFormat;
use apikey_console::Console;
use apikey_manager::{Actor, KeyManager, MemoryStore, NewKey, OrganizationId};
use axum::{Router, http::StatusCode, http::header::RETRY_AFTER, routing::get};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

/// A service with one key, and a home without a keyring for the program.
struct Stand {
    /// Runs the service.
    _runtime: Runtime,
    home: TempDir,
    host: String,
    key: String,
    /// The address of a D-Bus session, where a keyring may be.
    bus: String,
}

impl Stand {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (host, key) = runtime.block_on(async {
            let format = KeyFormat::builder("acme").environment("live").build().unwrap();
            let keys = KeyManager::builder(MemoryStore::new()).format(format).build().unwrap();
            let actor = Actor::host("setup", OrganizationId::new("acme").unwrap()).unwrap();
            let issued = keys.issue(&actor, NewKey::new("laptop").scopes(["files:read"])).await.unwrap();
            let key = issued.secret().expose_secret().to_owned();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let host = format!("http://{}", listener.local_addr().unwrap());
            let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let other = format!("http://{}/", elsewhere.local_addr().unwrap());
            let authorization =
                async |headers: axum::http::HeaderMap| format!("{:?}", headers.get("authorization").is_some());
            let app = Router::new()
                .route("/sent", get(authorization))
                .route("/moved", get(async move || (StatusCode::TEMPORARY_REDIRECT, [("location", other)])))
                .route("/busy", get(async || (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "7")])))
                .route("/down", get(async || (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "9")])))
                .nest_service("/keys", Console::new(&keys));
            tokio::spawn(async move { axum::serve(listener, app).await });
            tokio::spawn(async move { axum::serve(elsewhere, Router::new().route("/", get(authorization))).await });
            (host, key)
        });
        let bus = "unix:path=/nonexistent".to_owned();
        Stand { _runtime: runtime, home: tempfile::tempdir().unwrap(), host, key, bus }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["--host", &self.host]).args(arguments);
        command.env("HOME", self.home.path()).env("XDG_CONFIG_HOME", self.home.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus).env_remove("REGISTRY_API_KEY");
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The program may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(!text(&output).contains(&self.key), "{}", text(&output));
        output
    }

    fn sign_in(&self) {
        let output = self.run(&["login", "--with-token", "--insecure-storage"], &format!("{}\n", self.key));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }

    /// Runs the program under strace, which kills it at the `step`-th of the system calls `call`.
    fn run_killed_at(&self, arguments: &[&str], input: &str, call: &str, step: usize) -> Output {
        let plain = self.command(arguments);
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:signal=KILL:when={step}")]);
        traced.arg(plain.get_program()).args(plain.get_args());
        traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = traced.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn key_file(&self) -> PathBuf {
        let files = fs::read_dir(self.home.path().join("registry")).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "key")).unwrap()
    }

    fn note(&self) -> String {
        let files = fs::read_dir(self.home.path().join("registry")).unwrap().map(|entry| entry.unwrap().path());
        let note = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "rotation"));
        fs::read_to_string(note.unwrap()).unwrap()
    }
}

fn program() -> PathBuf {
    // target/debug/deps/program-… is this test, target/debug/examples/registry the program.
    env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/registry")
}

/// Returns `false`, and says so, if a program that a test needs is missing.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).exists());
    if !found {
        assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no {program}");
        eprintln!("skipped: no {program}");
    }
    found
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn given_no_keyring_when_signing_in_then_it_says_what_to_do_and_stores_nothing() {
    let stand = Stand::new();
    let output = stand.run(&["login", "--with-token"], &stand.key);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("--insecure-storage"), "{}", text(&output));
    assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
}

#[test]
fn given_a_file_when_signed_in_then_its_mode_is_0600_and_each_use_says_so() {
    let stand = Stand::new();
    stand.sign_in();
    assert_eq!(fs::metadata(stand.key_file()).unwrap().permissions().mode() & 0o777, 0o600);
    for arguments in [&["status"][..], &["get", "/sent"], &["rotate"]] {
        let output = stand.run(arguments, "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains("not encrypted"), "{arguments:?}: {}", text(&output));
    }
    let status = text(&stand.run(&["status"], ""));
    assert!(status.contains("laptop") && status.contains("acme_live_") && status.contains("files:read"), "{status}");
}

#[test]
fn given_what_is_no_good_key_when_signing_in_then_nothing_is_stored() {
    let stand = Stand::new();
    let unknown = KeyFormat::builder("acme").environment("live").build().unwrap().generate().unwrap();
    let mut mistyped = stand.key.clone();
    mistyped.pop();
    for input in [unknown.expose_secret(), &mistyped, "npm_1", "two words", ""] {
        let output = stand.run(&["login", "--with-token", "--insecure-storage"], input);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(input.is_empty() || !text(&output).contains(input), "{}", text(&output));
        assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
    }
}

#[test]
fn given_wrong_usage_when_run_then_the_exit_code_is_2() {
    let stand = Stand::new();
    assert_eq!(stand.run(&["login"], &stand.key).status.code(), Some(2), "no terminal");
    assert_eq!(stand.run(&["login", "a-key-as-an-argument"], "").status.code(), Some(2));
    assert_eq!(stand.run(&["rotate", "--overlap-seconds", "1"], "").status.code(), Some(2));
    assert_eq!(stand.run(&["--host", "http://registry.example", "status"], "").status.code(), Some(2));
}

#[test]
fn given_the_environment_when_set_then_it_wins_for_its_own_host_alone() {
    let stand = Stand::new();
    let variable =
        format!("REGISTRY_API_KEY_AT_{}", stand.host[7..].replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let status = |name: &str| stand.command(&["status"]).env(name, &stand.key).output().unwrap();
    assert!(text(&status(&variable)).contains("environment variable"), "{}", text(&status(&variable)));
    assert_eq!(status("REGISTRY_API_KEY").status.code(), Some(4));
    let rotate = stand.command(&["rotate"]).env(&variable, &stand.key).output().unwrap();
    assert_eq!(rotate.status.code(), Some(2), "{}", text(&rotate));
}

#[test]
fn given_a_key_in_force_when_its_token_is_asked_for_then_standard_output_is_the_key_alone() {
    let stand = Stand::new();
    let token = || stand.command(&["token"]).output().unwrap();
    assert_eq!(token().status.code(), Some(4));
    stand.sign_in();
    let output = token();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", stand.key));
    let notices = String::from_utf8(output.stderr).unwrap();
    assert!(notices.contains("not encrypted") && !notices.contains(&stand.key), "{notices}");
}

#[test]
fn given_profiles_when_one_is_signed_in_then_the_other_is_not() {
    let stand = Stand::new();
    stand.sign_in();
    assert_eq!(stand.run(&["--profile", "work", "status"], "").status.code(), Some(4));
}

#[test]
fn given_requests_when_sent_then_the_key_goes_to_its_own_host_alone() {
    let stand = Stand::new();
    stand.sign_in();
    let body = |path: &str| String::from_utf8(stand.run(&["get", path], "").stdout).unwrap();
    assert_eq!(body("/sent"), "true\n");
    assert_eq!(body("/moved"), "false\n");
    assert_eq!(stand.run(&["get", "http://127.0.0.1:1/"], "").status.code(), Some(2));
}

#[test]
fn given_refusals_when_answered_then_they_are_told_apart() {
    let stand = Stand::new();
    stand.sign_in();
    for (path, seconds) in [("/busy", "7 seconds"), ("/down", "9 seconds")] {
        let output = stand.run(&["get", path], "");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(seconds), "{}", text(&output));
    }
}

#[test]
fn given_a_signed_in_program_when_it_signs_out_then_the_key_is_forgotten_and_revoked_on_demand() {
    let stand = Stand::new();
    stand.sign_in();
    assert_eq!(stand.run(&["logout"], "").status.code(), Some(0));
    assert_eq!(stand.run(&["status"], "").status.code(), Some(4));
    stand.sign_in();
    assert_eq!(stand.run(&["logout", "--revoke"], "").status.code(), Some(2), "nobody can be asked");
    assert_eq!(stand.run(&["status"], "").status.code(), Some(0));
    assert_eq!(stand.run(&["logout", "--revoke", "--yes"], "").status.code(), Some(0));
    let again = stand.run(&["login", "--with-token", "--insecure-storage"], &stand.key);
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
}
