//! What the core wants an operator to hear, as lines of the log.
//! Everything here is counted as well (`tandem_events_total`), so that an alert needs no log.
//! Leaves out what threads and files have to say: they log where it happens.

use proxy_core::Notice;

/// Writes one notice to the log.
pub(crate) fn log(notice: &Notice) {
    match notice {
        Notice::FurtherAnswer {
            cdr_id,
            call_id,
            vendor,
            late: false,
        } => {
            tracing::warn!(%cdr_id, call_id, vendor, "the call was answered again: this vendor bills it too");
        }
        Notice::FurtherAnswer {
            cdr_id,
            call_id,
            vendor,
            late: true,
        } => {
            tracing::warn!(%cdr_id, call_id, vendor, "a vendor answered after the caller was refused: it bills the call");
        }
    }
}
