//! The store: one SQLite file with routing data, CDRs and shipping cursors, opened and brought to the current schema.
//! One connection writes, a few read; write-ahead log, synced at every commit. Leaves out: PostgreSQL and MySQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::private;

/// How long a connection waits for another process that holds the file (`tandem load` beside a running proxy).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections for queries of the command line, and as many for lookups of calls.
const READERS: u32 = 4;

const SCHEME: &str = "sqlite://";

/// An open store. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    /// One connection: SQLite has one writer at a time, and waiting here is fairer than busy-waiting there.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    /// Opened read-only too, so that no query from configuration can change anything; apart from the others because
    /// these connections carry a deadline that interrupts.
    pub(crate) lookups: SqlitePool,
    path: PathBuf,
}

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names a kind of database that is not available. The URL itself is not repeated: it may hold a password.
    #[error(
        "store.url: {scheme} is not available; allowed: sqlite://PATH, such as sqlite://tandem-data/tandem.db"
    )]
    Url {
        /// The scheme of the URL, or what was found instead.
        scheme: String,
    },
    /// The file can't be opened as a store.
    #[error("store {}: {message}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Routing data in the store is not valid; `faults` name table, row and column.
    #[error("the store holds {} faults in its routing data, the first: {}", faults.len(),
            faults.first().map(ToString::to_string).unwrap_or_default())]
    Faults {
        /// What is wrong where.
        faults: Vec<routing::Fault>,
    },
    /// A row holds something that is not what its column says.
    #[error("table {table}: {message}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The database refused or failed.
    #[error("store: {0}")]
    Database(#[from] sqlx::Error),
}

impl Store {
    /// Opens the store, creating the file and its directories when they are missing, and applies migrations.
    /// `sqlite://a/b.db` is relative to the working directory, `sqlite:///a/b.db` is absolute.
    ///
    /// # Errors
    /// [`StoreError::Url`] for anything but `sqlite://`, [`StoreError::Open`] when the file can't be created or read, is
    /// not a database, or was written by a newer version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let path = file_of(url)?;
        let open = |message: String| StoreError::Open {
            path: path.clone(),
            message,
        };
        if let Some(directory) = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
        {
            private::create_directories(directory).map_err(|error| open(error.to_string()))?;
        }
        // Before SQLite does, which would let others read it; the files beside it get the same mode.
        match private::options().write(true).create_new(true).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(open(error.to_string())),
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A journal segment is deleted when its records are committed here: the commit must be on the disk.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
        };
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| open(error.to_string()))?;
        migrate(&writer)
            .await
            .map_err(|error| open(migration_message(&error)))?;
        let options = options.read_only(true).create_if_missing(false);
        let readers = pool(READERS)
            .connect_with(options.clone())
            .await
            .map_err(|error| open(error.to_string()))?;
        let lookups = pool(READERS).connect_lazy_with(options);
        Ok(Self {
            writer,
            readers,
            lookups,
            path,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes what runs and closes all connections.
    pub async fn close(&self) {
        self.lookups.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The file that a `store.url` names.
///
/// # Errors
/// [`StoreError::Url`] when it is not `sqlite://PATH`.
fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    match url.strip_prefix(SCHEME) {
        Some(path) if !path.is_empty() && !path.contains('?') => Ok(PathBuf::from(path)),
        Some(path) if path.contains('?') => Err(StoreError::Url {
            scheme: "a sqlite:// URL with parameters".into(),
        }),
        Some(_) => Err(StoreError::Url {
            scheme: "sqlite:// without a path".into(),
        }),
        None => {
            let scheme = url
                .split_once("://")
                .map_or_else(|| "a URL without scheme".into(), |(s, _)| format!("{s}://"));
            Err(StoreError::Url { scheme })
        }
    }
}

async fn migrate(pool: &SqlitePool) -> Result<(), MigrateError> {
    let migrations = [
        (
            1,
            "init",
            include_str!("../migrations/sqlite/0001_init.sql"),
        ),
        (
            2,
            "forking",
            include_str!("../migrations/sqlite/0002_forking.sql"),
        ),
    ];
    let migrations = migrations.map(|(version, name, sql)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.into());
    match migrator.run(pool).await {
        // Another process may have applied the same migration between our look and our try.
        Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) => {
            migrator.run(pool).await
        }
        result => result,
    }
}

fn migration_message(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => {
            format!(
                "its schema has version {version}, which is newer than this program knows; use a newer tandem"
            )
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_of_the_first_schema_keeps_its_rows_and_gets_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db", directory.path().display());
        let store = Store::open(&url).await.unwrap();
        // As the first version left it.
        for undo in [
            "ALTER TABLE routing_plans DROP COLUMN forking",
            "ALTER TABLE vendors DROP COLUMN redirect",
            "ALTER TABLE vendors DROP COLUMN on_6xx",
            "DELETE FROM _sqlx_migrations WHERE version = 2",
            "INSERT INTO vendors (name) VALUES ('old')",
            "INSERT INTO routing_plans (name, mode) VALUES ('plan', 'lcr')",
        ] {
            sqlx::query(undo).execute(&store.writer).await.unwrap();
        }
        store.close().await;
        let store = Store::open(&url).await.unwrap();
        let (tables, _) = store.load_tables().await.unwrap();
        let vendor = &tables.vendors[0];
        assert_eq!(
            (
                vendor.redirect,
                vendor.on_6xx,
                tables.routing_plans[0].forking
            ),
            (false, routing::On6xx::Next, routing::Forking::Serial)
        );
    }

    #[tokio::test]
    async fn opening_creates_directories_and_schema_and_opening_again_finds_them() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a/b/tandem.db", directory.path().display());
        for _ in 0..2 {
            let store = Store::open(&url).await.unwrap();
            assert!(store.path().exists());
            assert_eq!(store.load_tables().await.unwrap().1, 0);
            store.close().await;
        }
    }

    #[tokio::test]
    async fn what_opening_creates_is_for_its_owner_alone_and_what_was_there_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/tandem.db");
        let url = format!("sqlite://{}", path.display());
        let store = Store::open(&url).await.unwrap();
        store.load_tables().await.unwrap();
        assert_eq!(private::mode(path.parent().unwrap()), 0o700);
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = entry.unwrap().path();
            assert_eq!(private::mode(&file), 0o600, "{}", file.display());
        }
        store.close().await;
        // An operator may let a group read it.
        let shared = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(&path, shared).unwrap();
        Store::open(&url).await.unwrap().close().await;
        assert_eq!(private::mode(&path), 0o640);
    }

    #[tokio::test]
    async fn another_kind_of_url_is_refused_without_repeating_its_password() {
        for (url, named) in [
            ("postgres://user:secret@db/tandem", "postgres://"),
            ("tandem.db?secret", "without scheme"),
            ("sqlite://", "without a path"),
            ("sqlite://a.db?mode=secret", "parameters"),
        ] {
            let message = Store::open(url).await.unwrap_err().to_string();
            assert!(
                message.contains(named) && message.contains("sqlite://PATH"),
                "{message}"
            );
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_and_a_newer_schema_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let url = format!("sqlite://{}", path.display());
        std::fs::write(
            &path,
            "this is no database, whatever its name says".repeat(100),
        )
        .unwrap();
        let message = Store::open(&url).await.unwrap_err().to_string();
        assert!(
            message.contains("x.db") && message.contains("not a database"),
            "{message}"
        );

        std::fs::remove_file(&path).unwrap();
        let store = Store::open(&url).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'later', 1, x'00', 0)";
        sqlx::query(newer).execute(&store.writer).await.unwrap();
        store.close().await;
        let message = Store::open(&url).await.unwrap_err().to_string();
        assert!(message.contains("version 9999"), "{message}");
    }
}
