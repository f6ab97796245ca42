//! Routing data from the store into the snapshot that the workers read: loaded and compiled off the workers, then
//! swapped whole, or refused whole with table, row and column.
//! Leaves out how a worker notices (each compares the shared pointer with its own) and what a row means (`routing`).

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use routing::{Fault, SlotRegistry, Snapshot, Tables};
use storage::{Store, StoreError};
use tokio::sync::Mutex;

/// Why routing data was not taken over; the one in use stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The store can't be read.
    #[error("the routing data can't be read: {0}")]
    Store(StoreError),
    /// The data are faulty; each fault names table, row and column.
    #[error("the routing data are faulty: {} fault(s), the first: {}", .0.len(), .0.first().map_or_else(String::new, Fault::to_string))]
    Faults(Vec<Fault>),
    /// The compiling task died; a bug of ours.
    #[error("compiling the routing data failed: {0}")]
    Crashed(String),
}

/// What was taken over.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Reloaded {
    /// The version of the routing data.
    pub version: u64,
    /// Rows of customers.
    pub customers: usize,
    /// Rows of vendors.
    pub vendors: usize,
    /// Rows of routes.
    pub routes: usize,
    /// Rows of rates.
    pub rates: usize,
    /// How long loading and compiling took, milliseconds.
    pub took_ms: u128,
}

/// Loads, compiles and swaps.
pub struct Reloader {
    store: Store,
    current: Arc<ArcSwap<Snapshot>>,
    /// Slots of trunks outlive every snapshot; the lock also keeps two reloads apart.
    slots: Mutex<SlotRegistry>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl Reloader {
    /// Loads the routing data for the first time.
    ///
    /// # Errors
    /// As [`Reloader::reload`].
    pub async fn start(store: Store) -> Result<Self, ReloadError> {
        let mut slots = SlotRegistry::default();
        let (snapshot, _) = build(&store, &mut slots).await?;
        Ok(Self {
            store,
            current: Arc::new(ArcSwap::from_pointee(snapshot)),
            slots: Mutex::new(slots),
        })
    }

    /// The snapshot in use, shared with the workers.
    #[must_use]
    pub fn current(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.current)
    }

    /// Loads the routing data anew and swaps them in.
    ///
    /// # Errors
    /// The store can't be read, or the data are faulty: then nothing changes.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut slots = self.slots.lock().await;
        let (snapshot, reloaded) = build(&self.store, &mut slots).await?;
        // The lanes hold the old one until their next turn and hand it to the pool to be freed.
        self.current.store(Arc::new(snapshot));
        Ok(reloaded)
    }

    /// [`Reloader::reload`], with the outcome in the log; `asked_by` says by whom.
    pub async fn reload_and_log(&self, asked_by: &'static str) {
        match self.reload().await {
            Ok(done) => tracing::info!(
                asked_by,
                version = done.version,
                routes = done.routes,
                rates = done.rates,
                "routing data reloaded"
            ),
            Err(error) => {
                tracing::error!(asked_by, %error, "routing data not reloaded, the old ones stay")
            }
        }
    }
}

async fn build(
    store: &Store,
    slots: &mut SlotRegistry,
) -> Result<(Snapshot, Reloaded), ReloadError> {
    let started = Instant::now();
    let (tables, version) = store.load_tables().await.map_err(|error| match error {
        StoreError::Faults { faults } => ReloadError::Faults(faults),
        other => ReloadError::Store(other),
    })?;
    let mut own_slots = std::mem::take(slots);
    let (compiled, counts, returned) = tokio::task::spawn_blocking(move || {
        let counts = rows(&tables);
        let compiled = routing::compile(&tables, version, &mut own_slots);
        (compiled, counts, own_slots)
    })
    .await
    .map_err(|error| ReloadError::Crashed(error.to_string()))?;
    *slots = returned;
    let snapshot = compiled.map_err(ReloadError::Faults)?;
    let (customers, vendors, routes, rates) = counts;
    let took_ms = started.elapsed().as_millis();
    Ok((
        snapshot,
        Reloaded {
            version,
            customers,
            vendors,
            routes,
            rates,
            took_ms,
        },
    ))
}

fn rows(tables: &Tables) -> (usize, usize, usize, usize) {
    (
        tables.customers.len(),
        tables.vendors.len(),
        tables.routes.len(),
        tables.rates.len(),
    )
}
