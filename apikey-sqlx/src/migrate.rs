//! The migrations. One process applies each step once and records its checksum.

use sha2::{Digest, Sha256};

use crate::{
    database::{Change, Database},
    dialect::Dialect,
    error::{ConnectError, Failure},
    query::Names,
};

struct Migration {
    version: i64,
    name: &'static str,
    /// The part for both databases.
    tables: &'static str,
    #[cfg(feature = "sqlite")]
    sqlite: &'static str,
    #[cfg(feature = "postgres")]
    postgres: &'static str,
}

/// Never change a released step: databases contain its checksum. Add the next one.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "tables",
    tables: include_str!("../migrations/0001_tables.sql"),
    #[cfg(feature = "sqlite")]
    sqlite: include_str!("../migrations/0001_audit_guard.sqlite.sql"),
    #[cfg(feature = "postgres")]
    postgres: include_str!("../migrations/0001_audit_guard.postgres.sql"),
}];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS @migration (
    version {int} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    checksum {text} NOT NULL
){table};\n";

impl Migration {
    /// Returns the step in one database's dialect.
    fn sql(&self, names: &Names) -> String {
        let own = match names.dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => self.sqlite,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.postgres,
        };
        fill(&format!("{}{own}", self.tables), names)
    }

    /// The checksum of the text, apart from the names, which the service chooses.
    fn checksum(&self, names: &Names) -> String {
        let sql = self.sql(&Names::new(names.dialect, None, ""));
        Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The statement that records the step.
    fn record(&self, names: &Names) -> String {
        let Migration { version, name, .. } = self;
        let checksum = self.checksum(names);
        names.fill(&format!(
            "INSERT INTO @migration (version, name, checksum) VALUES ({version}, '{name}', '{checksum}');\n"
        ))
    }
}

/// The types and other differences between the databases.
fn fill(sql: &str, names: &Names) -> String {
    let words = match names.dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => [
            ("{text}", "TEXT"),
            ("{int}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{counter}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("{table}", " STRICT"),
            ("{keyed_table}", " STRICT, WITHOUT ROWID"),
            ("{random}", "lower(hex(randomblob(16)))"),
        ],
        // Text sorts by bytes and has ASCII case in any database's language, as in SQLite and in Rust.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => [
            ("{text}", "TEXT COLLATE \"C\""),
            ("{int}", "BIGINT"),
            ("{bytes}", "BYTEA"),
            ("{counter}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("{table}", ""),
            ("{keyed_table}", ""),
            ("{random}", "replace(gen_random_uuid()::text, '-', '')"),
        ],
    };
    words.iter().fold(names.fill(sql), |sql, (word, own)| sql.replace(word, own))
}

/// Returns all steps, to be applied by hand.
pub(crate) fn printed(names: &Names, schema: Option<&str>) -> String {
    let mut sql = "BEGIN;\n".to_owned();
    if let Some(schema) = schema {
        sql += &format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";\n");
    }
    sql += &fill(TABLE, names);
    for migration in MIGRATIONS {
        sql += &format!("\n-- {}: {}\n\n{}", migration.version, migration.name, migration.sql(names));
        sql += &migration.record(names);
    }
    sql + "COMMIT;\n"
}

/// Applies the missing steps, in one process at a time.
pub(crate) async fn apply(database: &Database, schema: Option<&str>) -> Result<(), ConnectError> {
    let names = &database.names;
    let mut change = database.begin().await?;
    // A change on SQLite has locked the whole file already.
    #[cfg(feature = "postgres")]
    if names.dialect == Dialect::Postgres {
        let digest = Sha256::digest(names.fill("apikey-sqlx migrates @"));
        let (words, _) = digest.as_chunks::<8>();
        crate::postgres::lock(&mut change, names, words.first().copied().map_or(0, i64::from_be_bytes)).await?;
    }
    if let Some(schema) = schema {
        make_schema(&mut change, names, schema).await?;
    }
    change.run(fill(TABLE, names)).await?;
    let known = taken(&mut change, names).await?;
    check(&known, names)?;
    for migration in &MIGRATIONS[known.len()..] {
        change.run(migration.sql(names)).await?;
        change.run(migration.record(names)).await?;
        tracing::info!(version = migration.version, name = migration.name, "tables migrated");
    }
    Ok(change.commit().await?)
}

/// Checks that exactly these steps have been applied.
pub(crate) async fn verify(database: &Database) -> Result<(), ConnectError> {
    let names = &database.names;
    let mut change = database.begin().await?;
    let known = taken(&mut change, names).await;
    change.rollback().await;
    let known = known.map_err(|error| match error {
        Failure::Database(sqlx::Error::Database(_)) => {
            ConnectError::Tables("there are none; run the migrations".to_owned())
        }
        error => error.into(),
    })?;
    check(&known, names)?;
    match known.len() == MIGRATIONS.len() {
        true => Ok(()),
        false => Err(ConnectError::Tables(format!("{} of {} migrations have been run", known.len(), MIGRATIONS.len()))),
    }
}

async fn taken(change: &mut Change, names: &Names) -> Result<Vec<(i64, String)>, Failure> {
    let rows = change.fetch(names.query("SELECT version, checksum FROM @migration ORDER BY version")).await?;
    let read = |row: &crate::row::Row| Ok((row.get("version")?, row.get("checksum")?));
    let rows: Result<_, apikey_manager::StoreError> = rows.iter().map(read).collect();
    rows.map_err(|error| sqlx::Error::Decode(error.into()).into())
}

fn check(known: &[(i64, String)], names: &Names) -> Result<(), ConnectError> {
    for (at, (version, checksum)) in known.iter().enumerate() {
        let Some(migration) = MIGRATIONS.get(at).filter(|migration| migration.version == *version) else {
            let message = format!("migration {version} was made by a newer version of apikey-sqlx");
            return Err(ConnectError::Tables(message));
        };
        if migration.checksum(names) != *checksum {
            let message = format!("migration {version} is not the one this version of apikey-sqlx would have made");
            return Err(ConnectError::Tables(message));
        }
    }
    Ok(())
}

/// `IF NOT EXISTS` alone requires the right to create schemas even if the schema exists.
async fn make_schema(change: &mut Change, names: &Names, schema: &str) -> Result<(), Failure> {
    let known = names.query("SELECT nspname FROM pg_namespace WHERE nspname = $1").bind(schema);
    match change.fetch(known).await?.is_empty() {
        false => Ok(()),
        true => change.run(format!("CREATE SCHEMA \"{schema}\"")).await,
    }
}
