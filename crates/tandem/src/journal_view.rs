//! The journal and its shipping as numbers for status and metrics.
//! Reads what the flusher and the shipper publish; asks nobody to wait.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use storage::{JournalSync, ShipProgress};

use crate::admin::{JournalLaneView, JournalView};

/// Where the numbers come from.
pub struct JournalHandles {
    /// The flusher, which knows every lane's file.
    pub sync: Arc<JournalSync>,
    /// The shipper's progress.
    pub shipping: Arc<ShipProgress>,
}

impl JournalHandles {
    /// Whether a lane's last write failed: such a lane takes no new calls.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.sync.lanes().iter().any(|lane| lane.is_failing())
    }

    /// The numbers now.
    #[must_use]
    pub fn view(&self) -> JournalView {
        let shipping = self.shipping.status();
        let lanes = self.sync.lanes();
        let now_us = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let waiting_since = u128::try_from(shipping.oldest_us).unwrap_or_default();
        let oldest_s = if waiting_since == 0 {
            0
        } else {
            now_us.saturating_sub(waiting_since) / 1_000_000
        };
        JournalView {
            backlog_records: shipping.backlog_records,
            backlog_bytes: shipping.backlog_bytes,
            oldest_unshipped_s: u64::try_from(oldest_s).unwrap_or(u64::MAX),
            ship_errors: shipping.errors,
            ship_failing: shipping.failing,
            ship_last_error: shipping.last_error,
            open_calls: shipping.open_calls,
            segments: shipping.segments,
            segments_damaged: shipping.damaged,
            segments_undecodable: shipping.undecodable,
            failing: self.is_failing(),
            errors: lanes
                .iter()
                .map(|lane| lane.write_errors() + lane.sync_errors())
                .sum(),
            lost: lanes.iter().map(|lane| lane.lost()).sum(),
            lanes: lanes
                .iter()
                .map(|lane| JournalLaneView {
                    lane: lane.lane(),
                    failing: lane.is_failing(),
                })
                .collect(),
        }
    }
}
