//! A real keyring: gnome-keyring on a D-Bus daemon of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PROGRAMS: [&str; 3] = ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"];

/// A session with an unlocked keyring. It ends when this is dropped.
#[derive(Debug)]
pub struct KeyringSession {
    daemons: Vec<Child>,
    address: String,
}

impl KeyringSession {
    /// Starts both daemons, with files below `home`. If they are not installed, reports that and returns `None`.
    ///
    /// # Panics
    ///
    /// Panics if the keyring doesn't come, or if a daemon is missing and `CI=true`.
    #[must_use]
    pub fn start(home: &Path) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let has = |program: &&str| env::split_paths(&path).any(|folder| folder.join(program).exists());
        if let Some(missing) = PROGRAMS.iter().find(|program| !has(program)) {
            assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no {missing}");
            eprintln!("skipped: no {missing}");
            return None;
        }
        let mut bus = Command::new("dbus-daemon");
        let address = format!("unix:path={}", home.join("bus").display());
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address", "--address", &address]);
        let mut bus = bus.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a bus");
        let mut line = String::new();
        BufReader::new(bus.stdout.take().expect("its output")).read_line(&mut line).expect("its address");
        let mut session = KeyringSession { daemons: vec![bus], address: line.trim_end().to_owned() };
        let mut keyring = Command::new("gnome-keyring-daemon");
        keyring.args(["--foreground", "--unlock", "--components=secrets"]);
        keyring.env("DBUS_SESSION_BUS_ADDRESS", &session.address).env("HOME", home);
        for folder in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
            keyring.env(folder, home.join("session"));
        }
        fs::create_dir_all(home.join("session")).expect("a folder");
        keyring.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = keyring.spawn().expect("a keyring");
        let mut input = keyring.stdin.take().expect("its input");
        session.daemons.push(keyring);
        input.write_all(b"the password of the keyring").expect("a keyring that reads");
        drop(input);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_on(&session.address) {
            assert!(Instant::now() < deadline, "the keyring does not come");
            thread::sleep(Duration::from_millis(20));
        }
        Some(session)
    }

    /// Returns the address of the bus, for `DBUS_SESSION_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for KeyringSession {
    fn drop(&mut self) {
        // The keyring before its bus. They may have ended.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Returns `true` if the bus has a Secret Service.
fn is_on(bus: &str) -> bool {
    let mut ask = Command::new("dbus-send");
    ask.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
    ask.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
    let output = ask.env("DBUS_SESSION_BUS_ADDRESS", bus).output().expect("dbus-send");
    String::from_utf8_lossy(&output.stdout).contains("boolean true")
}
