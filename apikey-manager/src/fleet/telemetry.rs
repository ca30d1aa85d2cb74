//! Optional counters and histograms of renewals and receipts.

use std::time::Duration;

/// What came of a renewal.
#[derive(Clone, Copy)]
pub(super) enum Renewal {
    Counted,
    /// The cache was emptied, because there was no lease before.
    Joined,
    /// The place among the changes was lost.
    Lost,
    Failed,
}

#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "emitted only with the feature"))]
pub(super) fn renewed(renewal: Renewal, took: Duration) {
    #[cfg(feature = "metrics")]
    {
        let result = match renewal {
            Renewal::Counted => "counted",
            Renewal::Joined => "joined",
            Renewal::Lost => "lost",
            Renewal::Failed => "failed",
        };
        metrics::counter!("apikey_renewals_total", "result" => result).increment(1);
        metrics::histogram!("apikey_renewal_seconds").record(took.as_secs_f64());
    }
}

/// `left` is how long the lease can be used from now on.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "emitted only with the feature"))]
pub(super) fn holds(left: Duration) {
    #[cfg(feature = "metrics")]
    {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("apikey_lease_end_timestamp_seconds").set((now + left).as_secs_f64());
    }
}

#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "emitted only with the feature"))]
pub(super) fn received(took: Duration, waited_out: usize) {
    #[cfg(feature = "metrics")]
    {
        metrics::histogram!("apikey_receipt_seconds").record(took.as_secs_f64());
        metrics::counter!("apikey_waited_out_total").increment(waited_out as u64);
    }
}
