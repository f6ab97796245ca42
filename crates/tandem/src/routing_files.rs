//! A directory of CSV files into the store, and back: what `tandem load`, `tandem export` and the demo share.
//! All or nothing: every file is read and the result compiled before one row is written, and that in one transaction.
//! Leaves out what a column means (`routing`) and SQL (`storage`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use routing::{Fault, SlotRegistry, Snapshot, TableKind, Tables};
use storage::{LookupError, Store, StoreError};

/// Why nothing was loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or directory can't be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The data are faulty, each fault with `file:line: column: reason`.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for FilesError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Faults { faults } => Self::Faults(faults),
            other => Self::Store(other),
        }
    }
}

/// How a directory is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    /// Whether what the files don't name is removed from the store.
    pub replace: bool,
    /// Whether everything is checked and nothing written.
    pub dry_run: bool,
}

/// What was read: rows by table, in the order of [`TableKind::ALL`].
pub type RowCounts = Vec<(TableKind, usize)>;

/// One fault a line.
#[must_use]
pub fn lines(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(Fault::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Bytes of all CSV files in `directory` that will be read, for a progress bar.
#[must_use]
pub fn total_bytes(directory: &Path) -> u64 {
    TableKind::ALL
        .iter()
        .filter_map(|kind| fs::metadata(directory.join(kind.file_name())).ok())
        .map(|file| file.len())
        .sum()
}

/// Reads the CSV files of `directory`; a file that is not there leaves its table empty. `progress` is told the bytes
/// read so far.
///
/// # Errors
/// [`FilesError::Io`] for what can't be read, [`FilesError::Faults`] for faulty content, an unknown `.csv` file, or a
/// directory without any.
pub fn read_directory(
    directory: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Tables, FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FilesError::Io { path, error }
    };
    let mut faults = unknown_files(directory).map_err(failed(directory))?;
    let mut tables = Tables::default();
    let (mut done, mut found) = (0, false);
    for kind in TableKind::ALL {
        let path = directory.join(kind.file_name());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
        };
        found = true;
        let len = file.metadata().map_err(failed(&path))?.len();
        let name = path.display().to_string();
        let reader = BufReader::with_capacity(1 << 18, file);
        routing::read_csv(
            kind,
            &name,
            reader,
            &mut tables,
            &mut faults,
            &mut |bytes| progress(done + bytes),
        );
        done += len;
    }
    if !found && faults.is_empty() {
        faults.push(Fault {
            place: directory.display().to_string(),
            line: 0,
            column: String::new(),
            message: format!("has none of the files: {}", known_files().join(", ")),
        });
    }
    faults.extend(lookup_queries(&tables).filter_map(|(kind, row, query)| {
        let message = storage::check_lookup(query).err()?.to_string();
        let place = directory.join(kind.file_name()).display().to_string();
        Some(lookup_fault(&tables, place, kind, row, message))
    }));
    if faults.is_empty() {
        Ok(tables)
    } else {
        Err(FilesError::Faults(faults))
    }
}

/// Lookup queries that `store` would refuse at the first call: better told before, with their place.
///
/// # Errors
/// The store can't be asked.
pub(crate) async fn lookup_faults(
    store: &Store,
    tables: &Tables,
    place: impl Fn(TableKind) -> String,
) -> Result<Vec<Fault>, StoreError> {
    let mut faults = Vec::new();
    // Thousands of customers may share one query.
    let mut known: HashMap<&str, Option<String>> = HashMap::new();
    for (kind, row, query) in lookup_queries(tables) {
        let message = match known.get(query) {
            Some(message) => message.clone(),
            None => {
                let message = match store.try_lookup(query).await {
                    Ok(()) => None,
                    Err(LookupError::Store(error)) => return Err(error),
                    Err(error) => Some(error.to_string()),
                };
                known.insert(query, message.clone());
                message
            }
        };
        if let Some(message) = message {
            faults.push(lookup_fault(tables, place(kind), kind, row, message));
        }
    }
    Ok(faults)
}

/// Every lookup query, with its table and row.
fn lookup_queries(tables: &Tables) -> impl Iterator<Item = (TableKind, usize, &str)> {
    let customers = tables
        .customers
        .iter()
        .map(|row| &row.lookup_query)
        .enumerate();
    let plans = tables
        .routing_plans
        .iter()
        .map(|row| &row.lookup_query)
        .enumerate();
    customers
        .map(|(row, query)| (TableKind::Customers, row, query))
        .chain(plans.map(|(row, query)| (TableKind::RoutingPlans, row, query)))
        .filter_map(|(kind, row, query)| Some((kind, row, query.as_deref()?)))
}

fn lookup_fault(
    tables: &Tables,
    place: String,
    kind: TableKind,
    row: usize,
    message: String,
) -> Fault {
    Fault {
        place,
        line: tables.line(kind, row),
        column: "lookup_query".to_owned(),
        message,
    }
}

fn known_files() -> Vec<&'static str> {
    TableKind::ALL.iter().map(|kind| kind.file_name()).collect()
}

/// A misspelt file would silently leave its table as it was: every `.csv` must be a known one.
fn unknown_files(directory: &Path) -> io::Result<Vec<Fault>> {
    let mut names: Vec<String> = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".csv") && !known_files().contains(&name.as_str()))
        .collect();
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| Fault {
            place: directory.join(&name).display().to_string(),
            line: 0,
            column: String::new(),
            message: format!("unknown file; allowed: {}", known_files().join(", ")),
        })
        .collect())
}

/// Loads `directory` into `store`. `reading` is told bytes read, `writing` rows written.
///
/// # Errors
/// As [`read_directory`]; faults that show only together with what the store holds; the store's own. Nothing is
/// written in any of these cases.
pub async fn load(
    store: &Store,
    directory: &Path,
    options: LoadOptions,
    reading: &mut dyn FnMut(u64),
    writing: &mut (dyn FnMut(u64) + Send),
) -> Result<RowCounts, FilesError> {
    let tables = read_directory(directory, reading)?;
    let faults = lookup_faults(store, &tables, |kind| {
        directory.join(kind.file_name()).display().to_string()
    })
    .await?;
    if !faults.is_empty() {
        return Err(FilesError::Faults(faults));
    }
    let (mut whole, version) = store.load_tables().await?;
    if options.replace {
        whole = tables.clone();
    } else {
        whole.merge(&tables);
    }
    routing::compile(&whole, version, &mut SlotRegistry::new()).map_err(FilesError::Faults)?;
    drop(whole);
    if !options.dry_run {
        store
            .replace_tables(&tables, options.replace, writing)
            .await?;
    }
    Ok(TableKind::ALL
        .iter()
        .map(|kind| (*kind, tables.len(*kind)))
        .collect())
}

/// The routing data of `store`, compiled as the proxy would.
///
/// # Errors
/// The store can't be read, or its routing data are faulty.
pub async fn compiled(store: &Store) -> Result<Snapshot, FilesError> {
    let (tables, version) = store.load_tables().await?;
    let faults = lookup_faults(store, &tables, |kind| {
        format!("table {}", kind.table_name())
    })
    .await?;
    if !faults.is_empty() {
        return Err(FilesError::Faults(faults));
    }
    routing::compile(&tables, version, &mut SlotRegistry::new()).map_err(FilesError::Faults)
}

/// Writes all tables of `store` into `directory`, which is made when missing.
///
/// # Errors
/// The store can't be read or a file not written; each file is written beside and then renamed, so none is left half.
pub async fn export(store: &Store, directory: &Path) -> Result<RowCounts, FilesError> {
    let (tables, _) = store.load_tables().await?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FilesError::Io { path, error }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for kind in TableKind::ALL {
        let path = directory.join(kind.file_name());
        let beside = directory.join(format!(".{}.new", kind.file_name()));
        let mut file = BufWriter::new(File::create(&beside).map_err(failed(&beside))?);
        routing::write_csv(kind, &tables, &mut file)
            .and_then(|()| file.flush())
            .map_err(failed(&beside))?;
        fs::rename(&beside, &path).map_err(failed(&path))?;
    }
    Ok(TableKind::ALL
        .iter()
        .map(|kind| (*kind, tables.len(*kind)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(files: &[(&str, &str)]) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let error = read_directory(directory.path(), &mut |_| {})
            .unwrap_err()
            .to_string();
        (directory, error)
    }

    #[test]
    fn a_directory_without_csv_files_says_which_are_expected() {
        let (directory, error) = faults_of(&[]);
        let expected = format!(
            "{}: has none of the files: customers.csv, ",
            directory.path().display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_misspelt_file_is_a_fault_and_not_an_empty_table() {
        let (directory, error) = faults_of(&[("route.csv", "plan,prefix,vendor\n")]);
        let expected = format!(
            "{}: unknown file; allowed: ",
            directory.path().join("route.csv").display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_faulty_cell_is_named_by_file_line_and_column() {
        let (directory, error) = faults_of(&[("routing_plans.csv", "name,mode\nmain,cheapest\n")]);
        let expected = format!(
            "{}:2: mode: ",
            directory.path().join("routing_plans.csv").display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_lookup_query_that_the_store_would_refuse_is_a_fault_of_its_cell() {
        let query = "name,mode,lookup,lookup_query\nmain,lcr,sql,SELECT number FROM t WHERE n = '{number}'\n";
        let (directory, error) = faults_of(&[("routing_plans.csv", query)]);
        let expected = format!(
            "{}:2: lookup_query: ",
            directory.path().join("routing_plans.csv").display()
        );
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.ends_with("write {number} without quotes"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = read_directory(Path::new("/nonexistent/plan"), &mut |_| {})
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("/nonexistent/plan: "), "{error}");
    }
}
