//! A PostgreSQL server in a temporary directory, on its own port. It ends with the process that started it.
//!
//! A shell in between starts the server and kills it on request. When its standard input ends, as it does however a
//! test ends, it stops the server and removes the directory.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Executes lines: `start`, `kill`, `freeze`, `thaw`, `standby`, and prints each when it is done. `$1`: the server's
/// program, `$2`: the directory, `$3`: the port, `$4`: further settings.
///
/// A server that is only slow to answer is not started twice: the second would fail, and its id would replace the
/// first's. A process that has ended has no program.
const SHELL: &str = r#"
# Whoever gave an order may have been killed, and the server must be stopped nevertheless.
trap : PIPE
server=
while read -r order; do
    case "$order" in
    start)
        [ -e "/proc/$server/exe" ] || {
            "$1" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=300 \
                -c shared_buffers=64MB -c fsync=off $4 >>"$2/log" 2>&1 &
            server=$!
        }
        ;;
    kill)
        kill -KILL "$server"
        wait "$server"
        server=
        ;;
    freeze)
        kill -STOP "$server"
        kill -STOP $(cat "/proc/$server/task/$server/children")
        ;;
    thaw)
        kill -CONT $(cat "/proc/$server/task/$server/children") "$server"
        ;;
    standby)
        : >"$2/data/standby.signal"
        ;;
    esac
    echo "$order"
done
kill -CONT "$server" $(cat "/proc/$server/task/$server/children" 2>/dev/null) 2>/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$2"
"#;

/// Longer than anything takes on a busy machine, so that a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A private server.
///
/// It is stopped and removed on drop, and when the process ends in any way.
#[derive(Debug)]
pub struct PrivatePostgres {
    programs: PathBuf,
    port: u16,
    shell: Child,
    orders: Option<ChildStdin>,
    done: Mutex<Receiver<String>>,
}

/// The user that runs the server, which refuses to be run by root.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory for a server, and its user.
struct Place {
    directory: PathBuf,
    user: Option<User>,
}

impl Place {
    fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("apikey-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for the server");
        let user = unprivileged();
        if let Some(user) = user {
            chown(&directory, Some(user.id), Some(user.group)).expect("a directory of the server's user");
        }
        Place { directory, user }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self, program: &Path) -> Command {
        command(program, self.user, &self.directory)
    }
}

impl PrivatePostgres {
    /// Starts a server. If PostgreSQL is not installed, reports that and returns `None`.
    ///
    /// # Panics
    ///
    /// Panics if the server doesn't start, or if PostgreSQL is missing and `CI=true`.
    #[must_use]
    pub fn start() -> Option<Self> {
        PrivatePostgres::start_with(&[])
    }

    /// Starts a server with settings such as `fsync=on`, which is off by default, because tests don't survive their
    /// machine.
    ///
    /// # Panics
    ///
    /// Panics as [`start`](PrivatePostgres::start) does.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, and there is no PostgreSQL");
            eprintln!("skipped: no PostgreSQL");
            return None;
        };
        let place = Place::new();
        let mut initdb = place.command(&programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "-D"]);
        let made = initdb.arg(place.data()).stdin(Stdio::null()).output().expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Some(PrivatePostgres::run(programs, &place, settings))
    }

    /// Starts a standby that follows this server. Commits of this server wait for it from now on.
    ///
    /// # Panics
    ///
    /// Panics if this server doesn't run, or the standby doesn't start.
    #[must_use]
    pub fn synchronous_standby(&self) -> Self {
        let place = Place::new();
        let mut backup = place.command(&self.programs.join("pg_basebackup"));
        backup.args([
            "-R",
            "-X",
            "stream",
            "--checkpoint=fast",
            "--no-sync",
            "-U",
            "postgres",
            "-h",
            "127.0.0.1",
            "-p",
        ]);
        backup.arg(self.port.to_string()).arg("-D").arg(place.data());
        let made = backup.stdin(Stdio::null()).output().expect("pg_basebackup");
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
        let standby = PrivatePostgres::run(self.programs.clone(), &place, &[]);
        self.psql(&self.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql(&self.url(), "SELECT pg_reload_conf()");
        let start = Instant::now();
        while self.psql(&self.url(), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            assert!(start.elapsed() < PATIENCE, "the standby doesn't follow");
            thread::sleep(Duration::from_millis(20));
        }
        standby
    }

    /// Makes a standby a primary that waits for no standby. The primary that it followed isn't told, and goes on.
    ///
    /// # Panics
    ///
    /// Panics if this is no standby that runs.
    pub fn promote(&self) {
        self.psql(&self.url(), "SELECT pg_promote()");
        self.psql(&self.url(), "ALTER SYSTEM RESET synchronous_standby_names");
        self.psql(&self.url(), "SELECT pg_reload_conf()");
    }

    fn run(programs: PathBuf, place: &Place, settings: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut shell = place.command(Path::new("/bin/sh"));
        shell.arg("-c").arg(SHELL).arg("sh").arg(programs.join("postgres")).arg(&place.directory).arg(port.to_string());
        shell.arg(settings.iter().map(|setting| format!("-c {setting} ")).collect::<String>());
        // In its own process group: an interrupt on the terminal ends the test, and the closed pipe ends the server.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("a shell");
        let orders = shell.stdin.take();
        let done = Mutex::new(lines_of(shell.stdout.take().expect("what the shell prints")));
        let mut server = PrivatePostgres { programs, port, shell, orders, done };
        server.restart();
        server
    }

    /// Returns one server for all tests of this process, started by the first that calls this.
    ///
    /// # Panics
    ///
    /// Panics as [`start`](PrivatePostgres::start) does.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<PrivatePostgres>> = OnceLock::new();
        SHARED.get_or_init(PrivatePostgres::start).as_ref()
    }

    /// Returns the URL of a database that always exists.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the port on 127.0.0.1 that the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an unused database, and returns its URL.
    ///
    /// # Panics
    ///
    /// Panics if the server is not running.
    #[must_use]
    pub fn create_database(&self) -> String {
        self.create_database_with("")
    }

    /// Creates a database with options of `CREATE DATABASE`, such as `ENCODING 'LATIN1'`, and returns its URL.
    ///
    /// # Panics
    ///
    /// Panics if the server is not running, or rejects the options.
    #[must_use]
    pub fn create_database_with(&self, options: &str) -> String {
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql(&self.url(), &format!("CREATE DATABASE {name} {options}"));
        self.url_of(&name)
    }

    /// Runs statements, and returns their output: a line for each row, with columns separated by `|`.
    ///
    /// # Panics
    ///
    /// Panics if one of them fails.
    pub fn psql(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).env_clear();
        let output = psql.stdin(Stdio::null()).output().expect("psql");
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Writes a backup of a database into a file.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn dump(&self, url: &str, to: &Path) {
        self.tool("pg_dump", &["--format=custom", "--file"], to, url);
    }

    /// Loads a backup into an empty database.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn load(&self, url: &str, from: &Path) {
        self.tool("pg_restore", &["--exit-on-error"], from, &format!("--dbname={url}"));
    }

    fn tool(&self, program: &str, options: &[&str], file: &Path, database: &str) {
        let mut tool = Command::new(self.programs.join(program));
        let output = tool.args(options).arg(file).arg(database).stdin(Stdio::null()).output().expect(program);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Opens a session that stays open, with its locks, until it is dropped.
    ///
    /// # Panics
    ///
    /// Panics if the server is not running.
    #[must_use]
    pub fn session(&self, url: &str) -> Session {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", url]).env_clear();
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql");
        let output = Mutex::new(lines_of(psql.stdout.take().expect("what psql prints")));
        Session { input: psql.stdin.take(), output, psql }
    }

    /// Kills the server with SIGKILL, like a failure of the machine.
    ///
    /// # Panics
    ///
    /// Panics if it still answers after two minutes.
    pub fn kill(&mut self) {
        self.order("kill");
        self.wait_until(false);
    }

    /// Starts the server after a [`kill`](PrivatePostgres::kill), and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics if it doesn't answer within two minutes.
    pub fn restart(&mut self) {
        let start = Instant::now();
        let mut ordered: Option<Instant> = None;
        while !self.is_ready() {
            assert!(start.elapsed() < PATIENCE, "the server doesn't start");
            // After a kill, starting fails while a process of the old server is alive.
            if ordered.is_none_or(|ordered| ordered.elapsed() > Duration::from_secs(2)) {
                self.order("start");
                ordered = Some(Instant::now());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops all of the server's processes: it neither answers nor closes connections. Linux only.
    ///
    /// # Panics
    ///
    /// Panics if it still answers after two minutes.
    pub fn freeze(&mut self) {
        self.order("freeze");
        self.wait_until(false);
    }

    /// Continues the server after a [`freeze`](PrivatePostgres::freeze), and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics if it doesn't answer within two minutes.
    pub fn thaw(&mut self) {
        self.order("thaw");
        self.wait_until(true);
    }

    /// Kills the server, and starts it as a standby that follows no primary: it recovers forever, and is read-only.
    ///
    /// # Panics
    ///
    /// Panics as [`restart`](PrivatePostgres::restart) does.
    pub fn restart_as_standby(&mut self) {
        self.kill();
        self.order("standby");
        self.restart();
    }

    /// Gives the shell an order, and waits until it is carried out.
    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("the shell's input");
        writeln!(orders, "{order}").expect("a shell that listens");
        let done = self.done.get_mut().expect("the shell's output").recv_timeout(PATIENCE);
        assert_eq!(done.as_deref(), Ok(order), "the shell's answer");
    }

    fn wait_until(&self, is_ready: bool) {
        let start = Instant::now();
        while self.is_ready() != is_ready {
            assert!(start.elapsed() < PATIENCE, "the server {}", if is_ready { "doesn't answer" } else { "answers" });
            thread::sleep(Duration::from_millis(5));
        }
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
    output: Mutex<Receiver<String>>,
    psql: Child,
}

impl Session {
    /// Runs statements, and returns once they are done.
    ///
    /// # Panics
    ///
    /// Panics if one of them fails, or if they take two minutes.
    pub fn run(&mut self, sql: &str) {
        let input = self.input.as_mut().expect("psql's input");
        writeln!(input, "{sql};\n\\echo :done").expect("a psql that listens");
        let output = self.output.get_mut().expect("psql's output");
        while output.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{sql}: {error}")) != ":done" {}
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        if thread::panicking() {
            // It may wait for a lock that is never released.
            let _ = self.psql.kill();
        }
        let _ = self.psql.wait();
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}

/// Returns the lines as they come, so that a reader can give up.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output).lines().map_while(Result::ok);
        output.all(|line| sender.send(line).is_ok())
    });
    lines
}

pub(crate) fn command(program: &Path, user: Option<User>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env("LC_ALL", "C");
    if let Some(user) = user {
        command.uid(user.id).gid(user.group);
    }
    command
}

/// Another user, if root runs the tests.
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

/// Returns the path of the server's programs: beside the `postgres` of `PATH`, or Debian's directory.
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
