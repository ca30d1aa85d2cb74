//! A database, the program, and a service that has the database open.

use std::{path::Path, process::Command};

use apikey_core::{
    KeyFormat,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{ActivitySettings, Actor, KeyFilter, KeyManager, KeyRecord, OrganizationId, PageRequest};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Stand {
    folder: TempDir,
    url: String,
    pub(crate) service: KeyManager,
    pub(crate) host: Actor,
}

pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

struct Bearer(String);

impl RequestView for Bearer {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

impl Stand {
    /// One stand for each database that can be started here.
    pub(crate) async fn all() -> Vec<Stand> {
        let mut stands = vec![Stand::on_sqlite().await];
        if let Some(server) = PrivatePostgres::shared() {
            stands.push(Stand::open(tempfile::tempdir().unwrap(), server.create_database()).await);
        }
        stands
    }

    pub(crate) async fn on_sqlite() -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        Stand::open(folder, url).await
    }

    async fn open(folder: TempDir, url: String) -> Stand {
        let format = KeyFormat::builder("acme").environment("live").environment("test").build().unwrap();
        let keys = KeyManager::builder(SqlStore::connect(&url).await.unwrap()).format(format);
        let service = keys.activity(ActivitySettings::new()).build().unwrap();
        let host = Actor::host("service", OrganizationId::new("main").unwrap()).unwrap();
        Stand { folder, url, service, host }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apikey"));
        command
            .arg("keys")
            .args(arguments)
            .current_dir(self.path())
            .env_remove("KEY_OUTPUT")
            .env_remove("API_KEY_PEPPERS");
        command.env("DATABASE_URL", &self.url).env("API_KEY_PREFIX", "acme").env("API_KEY_ENVIRONMENTS", "live,test");
        command
    }

    /// Runs `apikey keys …` without a terminal.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Issues a key, and returns its id and its secret.
    pub(crate) fn issue(&self, arguments: &[&str]) -> (String, String) {
        let issued = self.run(&[&["issue"], arguments, &["--json", "--key-output", "stdout"]].concat()).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&issued["key"]["id"]), text(&issued["secret"]))
    }

    /// Returns `true` if the service lets in a key.
    pub(crate) async fn lets_in(&self, secret: &str) -> bool {
        let decision = match self.service.authenticator().authenticate(&Bearer(format!("Bearer {secret}"))) {
            Authentication::Done(decision) => decision,
            Authentication::Loading(loading) => loading.await,
        };
        decision.is_ok()
    }

    pub(crate) async fn keys(&self) -> Vec<KeyRecord> {
        self.service.list(&self.host, KeyFilter::default(), PageRequest::first().limit(200)).await.unwrap().items
    }
}
