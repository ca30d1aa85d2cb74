//! A PostgreSQL server in a temporary directory, on a port of its own, that ends with the process that started it.
//!
//! A shell stands between: it starts the server, kills it on demand, and when its standard input ends, as it does however
//! a test ends, stops the server and removes the directory.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Obeys lines: `start`, `kill`, `freeze`, `thaw`, `standby`. `$1`: the server's program, `$2`: the directory, `$3`: the port, `$4`: further
/// settings.
const SHELL: &str = r#"
server=
while read -r order; do
    case "$order" in
    start)
        "$1" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=300 \
            -c shared_buffers=64MB -c fsync=off $4 >>"$2/log" 2>&1 &
        server=$!
        ;;
    kill)
        kill -KILL "$server"
        wait "$server"
        ;;
    freeze)
        kill -STOP "$server" $(cat "/proc/$server/task/$server/children")
        ;;
    thaw)
        kill -CONT $(cat "/proc/$server/task/$server/children") "$server"
        ;;
    standby)
        : >"$2/data/standby.signal"
        ;;
    esac
done
kill -CONT "$server" $(cat "/proc/$server/task/$server/children" 2>/dev/null) 2>/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$2"
"#;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server of one's own.
///
/// Stopped and removed when dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct PrivatePostgres {
    programs: PathBuf,
    port: u16,
    shell: Child,
    orders: Option<ChildStdin>,
}

/// Who runs the server: it refuses to be run by root.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl PrivatePostgres {
    /// Starts a server. Without PostgreSQL on this machine, says so and returns `None`.
    ///
    /// # Panics
    ///
    /// When the server doesn't start; and without PostgreSQL, where `CI=true` says that there must be one.
    #[must_use]
    pub fn start() -> Option<Self> {
        PrivatePostgres::start_with(&[])
    }

    /// Starts a server with settings such as `fsync=on`, which is off without a word: tests don't fail with their machine.
    ///
    /// # Panics
    ///
    /// As [`start`](PrivatePostgres::start).
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no PostgreSQL");
            eprintln!("skipped: no PostgreSQL");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("apikey-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for the server");
        let user = unprivileged();
        if let Some(user) = user {
            chown(&directory, Some(user.id), Some(user.group)).expect("a directory of the server's user");
        }
        let data = directory.join("data");
        let mut initdb = command(&programs.join("initdb"), user, &directory);
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "-D"]);
        let made = initdb.arg(&data).stdin(Stdio::null()).output().expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut shell = command(Path::new("/bin/sh"), user, &directory);
        shell.arg("-c").arg(SHELL).arg("sh").arg(programs.join("postgres")).arg(&directory).arg(port.to_string());
        shell.arg(settings.iter().map(|setting| format!("-c {setting} ")).collect::<String>());
        // A group of its own: an interrupt at the terminal ends the test, and the pipe's end the server.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("a shell");
        let orders = shell.stdin.take();
        let mut server = PrivatePostgres { programs, port, shell, orders };
        server.restart();
        Some(server)
    }

    /// One server for all tests of this process, started by the first that asks.
    ///
    /// # Panics
    ///
    /// As [`start`](PrivatePostgres::start).
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<PrivatePostgres>> = OnceLock::new();
        SHARED.get_or_init(PrivatePostgres::start).as_ref()
    }

    /// The URL of a database that is there from the start.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The port the server listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a database that nobody has used, and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    #[must_use]
    pub fn create_database(&self) -> String {
        self.create_database_with("")
    }

    /// Makes a database with options of `CREATE DATABASE`, such as `ENCODING 'LATIN1'`, and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server is not running, or refuses the options.
    #[must_use]
    pub fn create_database_with(&self, options: &str) -> String {
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql(&self.url(), &format!("CREATE DATABASE {name} {options}"));
        self.url_of(&name)
    }

    /// Runs statements, and returns what they print: a line for each row, its columns separated by `|`.
    ///
    /// # Panics
    ///
    /// When one of them fails.
    pub fn psql(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).env_clear();
        let output = psql.stdin(Stdio::null()).output().expect("psql");
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Opens a session that stays open, with what it locks, until it is dropped.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    #[must_use]
    pub fn session(&self, url: &str) -> Session {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", url]).env_clear();
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql");
        let output = BufReader::new(psql.stdout.take().expect("what psql prints"));
        Session { input: psql.stdin.take(), output, psql }
    }

    /// Kills the server with SIGKILL, as if the machine had failed.
    pub fn kill(&mut self) {
        self.order("kill");
        while self.is_ready() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the server after a [`kill`](PrivatePostgres::kill), and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it doesn't, for a minute.
    pub fn restart(&mut self) {
        let start = Instant::now();
        let mut ordered: Option<Instant> = None;
        while !self.is_ready() {
            assert!(start.elapsed() < PATIENCE, "the server doesn't start");
            // After a kill a start fails as long as a process of the old server lives.
            if ordered.is_none_or(|ordered| ordered.elapsed() > Duration::from_secs(2)) {
                self.order("start");
                ordered = Some(Instant::now());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops all of the server's processes where they are: it doesn't answer and doesn't hang up. On Linux only.
    pub fn freeze(&mut self) {
        self.order("freeze");
        while self.is_ready() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has the server go on after a [`freeze`](PrivatePostgres::freeze), and waits until it answers.
    pub fn thaw(&mut self) {
        self.order("thaw");
        while !self.is_ready() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the server, and starts it as a standby that follows nobody: it recovers for ever, and only reads.
    ///
    /// # Panics
    ///
    /// As [`restart`](PrivatePostgres::restart).
    pub fn restart_as_standby(&mut self) {
        self.kill();
        self.order("standby");
        self.restart();
    }

    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("the shell's input");
        writeln!(orders, "{order}").expect("a shell that listens");
    }

    fn is_ready(&self) -> bool {
        let mut asked = Command::new(self.programs.join("pg_isready"));
        asked.args(["-q", "-t", "1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        asked.status().is_ok_and(|status| status.success())
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// A session with a server.
#[derive(Debug)]
pub struct Session {
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    psql: Child,
}

impl Session {
    /// Runs statements, and returns once they are done.
    ///
    /// # Panics
    ///
    /// When one of them fails.
    pub fn run(&mut self, sql: &str) {
        let input = self.input.as_mut().expect("psql's input");
        writeln!(input, "{sql};\n\\echo :done").expect("a psql that listens");
        let done = self.output.by_ref().lines().any(|line| line.is_ok_and(|line| line == ":done"));
        assert!(done, "{sql}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.psql.wait();
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}

pub(crate) fn command(program: &Path, user: Option<User>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env("LC_ALL", "C");
    if let Some(user) = user {
        command.uid(user.id).gid(user.group);
    }
    command
}

/// Somebody else, where root runs the tests.
pub(crate) fn unprivileged() -> Option<User> {
    let number = |arguments: &[&str]| {
        let id = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(id.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if number(&["-u"]) != Some(0) {
        return None;
    }
    let user = |name| Some(User { id: number(&["-u", name])?, group: number(&["-g", name])? });
    user("postgres").or_else(|| user("nobody"))
}

/// Where the server's programs are: beside the `postgres` of `PATH`, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok());
    let on_path = on_path.filter_map(|program| program.parent().map(Path::to_owned));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    on_path.chain(versions).find(|folder| folder.join("initdb").exists() && folder.join("psql").exists())
}
