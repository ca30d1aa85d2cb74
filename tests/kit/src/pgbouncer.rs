//! A PgBouncer in front of a server, in a temporary directory and on its own port. It ends with the process that
//! started it.

use std::{
    env, fs,
    io::Write,
    net::{TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::postgres::{PATIENCE, PrivatePostgres, command, unprivileged};

/// Runs until its standard input ends, and carries out orders from there. `$1`: the program, `$2`: the directory.
const SHELL: &str = r#"
start() { "$1" "$2/pgbouncer.ini" >>"$2/log" 2>&1 & pooler=$!; }
start "$@"
while read -r order; do
    case $order in
        start) start "$@" ;;
        kill) kill -KILL "$pooler" 2>/dev/null; wait "$pooler" ;;
    esac
done
kill -KILL "$pooler" 2>/dev/null
wait "$pooler"
rm -rf "$2"
"#;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A private pooler.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    shell: Child,
    input: Option<ChildStdin>,
}

impl PgBouncer {
    /// Starts a pooler in front of `server`, with settings such as `pool_mode = transaction`. If PgBouncer is not
    /// installed, reports that and returns `None`.
    ///
    /// # Panics
    ///
    /// Panics if the pooler doesn't start, or if PgBouncer is missing and `CI=true`.
    #[must_use]
    pub fn before(server: &PrivatePostgres, settings: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no PgBouncer");
            eprintln!("skipped: no PgBouncer");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("apikey-pgbouncer-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for the pooler");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\n{}\n",
            server.port(),
            settings.join("\n"),
        );
        fs::write(directory.join("pgbouncer.ini"), configuration).expect("the pooler's configuration");
        // It also refuses to be run by root.
        let user = unprivileged();
        if let Some(user) = user {
            chown(&directory, Some(user.id), Some(user.group)).expect("a directory of the pooler's user");
        }
        let mut shell = command(Path::new("/bin/sh"), user, &directory);
        shell.arg("-c").arg(SHELL).arg("sh").arg(program).arg(&directory);
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("a shell");
        let input = shell.stdin.take();
        let pooler = PgBouncer { port, shell, input };
        pooler.wait(true);
        Some(pooler)
    }

    /// Kills the pooler with SIGKILL.
    pub fn kill(&mut self) {
        self.order("kill");
        self.wait(false);
    }

    /// Starts the pooler after a [`kill`](PgBouncer::kill), and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// Panics if it doesn't within a minute.
    pub fn restart(&mut self) {
        self.order("start");
        self.wait(true);
    }

    fn order(&mut self, order: &str) {
        let input = self.input.as_mut().expect("the shell's input");
        writeln!(input, "{order}").expect("a shell that listens");
    }

    fn wait(&self, listens: bool) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() != listens {
            assert!(start.elapsed() < PATIENCE, "the pooler doesn't start or end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the port on 127.0.0.1 that the pooler listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the same database through the pooler.
    #[must_use]
    pub fn url_of(&self, server_url: &str) -> String {
        let database = server_url.rsplit('/').next().unwrap_or_default();
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

/// Returns its path: from `PATH`, or Debian's directory for root's programs.
fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
}
