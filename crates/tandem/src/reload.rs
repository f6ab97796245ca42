//! Routing data from the store into the snapshot that the workers read: loaded and compiled off the workers, then
//! swapped whole, or refused whole with table, row and column.
//! Leaves out how a worker notices (each compares the shared pointer with its own) and what a row means (`routing`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use routing::{Fault, SlotRegistry, Snapshot, TableKind, Tables};
use storage::{Store, StoreError};

use crate::routing_files;

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
    parts: Arc<ReloadParts>,
}

struct ReloadParts {
    store: Store,
    current: Arc<ArcSwap<Snapshot>>,
    /// Slots of trunks outlive every snapshot, and whatever becomes of the task that compiles one.
    slots: Arc<Mutex<SlotRegistry>>,
    /// Keeps two reloads apart, so that the older data never replace the newer.
    turn: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl Reloader {
    /// Loads the routing data for the first time. A lookup query that the store refuses is told in the log only: its
    /// calls go by `lookup` of their plan, and all others need a proxy that runs.
    ///
    /// # Errors
    /// As [`Reloader::reload`].
    pub async fn start(store: Store) -> Result<Self, ReloadError> {
        let slots = Arc::default();
        let built = build(&store, &slots).await?;
        for fault in &built.lookup_faults {
            tracing::warn!(%fault, "a lookup query is refused by the store");
        }
        Ok(Self {
            parts: Arc::new(ReloadParts {
                store,
                current: Arc::new(ArcSwap::from_pointee(built.snapshot)),
                slots,
                turn: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// The snapshot in use, shared with the workers.
    #[must_use]
    pub fn current(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.parts.current)
    }

    /// Loads the routing data anew and swaps them in; the log says how it went, and `asked_by` by whom it was asked.
    /// Goes on to its end when the caller no longer waits.
    ///
    /// # Errors
    /// The store can't be read, or the data are faulty: then nothing changes.
    pub async fn reload(&self, asked_by: &'static str) -> Result<Reloaded, ReloadError> {
        let parts = Arc::clone(&self.parts);
        tokio::spawn(async move {
            let done = parts.reload().await;
            match &done {
                Ok(done) => tracing::info!(
                    asked_by,
                    version = done.version,
                    routes = done.routes,
                    rates = done.rates,
                    "routing data reloaded"
                ),
                Err(error) => {
                    tracing::error!(asked_by, %error, "routing data not reloaded, the old ones stay");
                }
            }
            done
        })
        .await
        .map_err(|error| ReloadError::Crashed(error.to_string()))?
    }

    /// [`Reloader::reload`] for who has no use for the outcome: the log has it.
    pub async fn reload_and_log(&self, asked_by: &'static str) {
        let _ = self.reload(asked_by).await;
    }
}

impl ReloadParts {
    async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let built = build(&self.store, &self.slots).await?;
        if !built.lookup_faults.is_empty() {
            return Err(ReloadError::Faults(built.lookup_faults));
        }
        // The lanes hold the old one until their next turn and hand it to the pool to be freed.
        self.current.store(Arc::new(built.snapshot));
        Ok(built.reloaded)
    }
}

struct Built {
    snapshot: Snapshot,
    reloaded: Reloaded,
    lookup_faults: Vec<Fault>,
}

async fn build(store: &Store, slots: &Arc<Mutex<SlotRegistry>>) -> Result<Built, ReloadError> {
    let started = Instant::now();
    let (tables, version) = store.load_tables().await.map_err(|error| match error {
        StoreError::Faults { faults } => ReloadError::Faults(faults),
        other => ReloadError::Store(other),
    })?;
    let place = |kind: TableKind| format!("table {}", kind.table_name());
    let lookup_faults = routing_files::lookup_faults(store, &tables, place)
        .await
        .map_err(ReloadError::Store)?;
    let slots = Arc::clone(slots);
    let (compiled, counts) = tokio::task::spawn_blocking(move || {
        // A compiler that panicked has at most given out slots that nobody uses.
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = rows(&tables);
        (routing::compile(&tables, version, &mut slots), counts)
    })
    .await
    .map_err(|error| ReloadError::Crashed(error.to_string()))?;
    let snapshot = compiled.map_err(ReloadError::Faults)?;
    let (customers, vendors, routes, rates) = counts;
    let took_ms = started.elapsed().as_millis();
    Ok(Built {
        snapshot,
        reloaded: Reloaded {
            version,
            customers,
            vendors,
            routes,
            rates,
            took_ms,
        },
        lookup_faults,
    })
}

fn rows(tables: &Tables) -> (usize, usize, usize, usize) {
    (
        tables.customers.len(),
        tables.vendors.len(),
        tables.routes.len(),
        tables.rates.len(),
    )
}

#[cfg(test)]
mod tests;
