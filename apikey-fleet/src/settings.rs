//! How long a lease lasts, and what follows from it.

use std::{fmt, time::Duration};

/// The settings of one node.
///
/// Nodes of one database may differ in them: each row says how long its node's lease lasts.
///
/// ```
/// use std::time::Duration;
/// use apikey_fleet::Settings;
///
/// let settings = Settings::new().lease(Duration::from_secs(30))?;
/// assert_eq!(settings.margin(), Duration::from_millis(1_500));
/// assert!(Settings::new().lease(Duration::from_secs(1)).is_err());
/// # Ok::<(), apikey_fleet::InvalidLease>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    lease: Duration,
    longer: Duration,
}

impl Settings {
    /// The shortest lease. A renewal every 400 ms is as often as a database should be asked for it.
    pub const SHORTEST: Duration = Duration::from_secs(2);
    /// The longest lease, and the longest that a revocation waits for a node that was killed, apart from
    /// [`drift`](Settings::drift).
    pub const LONGEST: Duration = Duration::from_secs(300);

    /// The longest time by which a lease may outlast the store's answers, in [`outlast`](Settings::outlast).
    pub const LONGEST_OUTLAST: Duration = Duration::from_secs(24 * 3_600);

    /// A lease of 10 seconds.
    #[must_use]
    pub const fn new() -> Self {
        Settings { lease: Duration::from_secs(10), longer: Duration::ZERO }
    }

    /// Sets how long a lease lasts: 2 to 300 seconds, in whole milliseconds.
    ///
    /// A longer one survives a longer outage of the database. A shorter one lets receipts come sooner when a node was killed.
    ///
    /// # Errors
    ///
    /// The lease is too short, too long or not in whole milliseconds.
    pub fn lease(mut self, lease: Duration) -> Result<Self, InvalidLease> {
        let is_whole = lease.subsec_nanos().is_multiple_of(1_000_000);
        if lease < Self::SHORTEST || lease > Self::LONGEST || !is_whole {
            return Err(InvalidLease::Lease(lease));
        }
        self.lease = lease;
        Ok(self)
    }

    /// Makes each lease that much longer, but not the time between renewals, so that a node outlasts a store that does not
    /// answer. Receipts wait for a node that was killed for as long: up to a day, in whole milliseconds.
    ///
    /// # Errors
    ///
    /// The time is too long or not in whole milliseconds.
    pub fn outlast(mut self, longer: Duration) -> Result<Self, InvalidLease> {
        if longer > Self::LONGEST_OUTLAST || !longer.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(InvalidLease::Outlast(longer));
        }
        self.longer = longer;
        Ok(self)
    }

    /// Returns the lease as others see it.
    #[must_use]
    pub fn leased(&self) -> Duration {
        self.lease + self.longer
    }

    /// Returns how much sooner a node itself takes its lease for ended: a twentieth, but at least 500 ms.
    #[must_use]
    pub fn margin(&self) -> Duration {
        (self.leased() / 20).max(Duration::from_millis(500))
    }

    /// Returns how long a lease can be used, counted from the beginning of its renewal.
    #[must_use]
    pub fn usable(&self) -> Duration {
        self.leased() - self.margin()
    }

    /// Returns how long a renewal may take. One that takes longer has failed.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.lease.min(self.usable())
    }

    /// Returns the longest time between the beginnings of two renewals: a fifth of the lease.
    #[must_use]
    pub fn renewed_every(&self) -> Duration {
        self.lease / 5
    }

    /// Returns how long others wait for a lease of this length: a quarter more, since clocks differ in rate.
    #[must_use]
    pub fn drift(lease: Duration) -> Duration {
        lease.saturating_add(lease / 4)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::new()
    }
}

/// A setting is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidLease {
    /// The lease is shorter than [`Settings::SHORTEST`], longer than [`Settings::LONGEST`], or not in whole milliseconds.
    Lease(Duration),
    /// What [`Settings::outlast`] was given.
    Outlast(Duration),
}

impl fmt::Display for InvalidLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidLease::Lease(lease) => {
                write!(f, "a lease lasts 2 to 300 seconds, in whole milliseconds, not {lease:?}")
            }
            InvalidLease::Outlast(longer) => {
                write!(f, "a lost store is outlasted for a day at most, in whole milliseconds, not {longer:?}")
            }
        }
    }
}

impl std::error::Error for InvalidLease {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_leases_when_set_then_the_bounds_are_inclusive() {
        for (millis, is_valid) in [(0, false), (1_999, false), (2_000, true), (300_000, true), (300_001, false)] {
            assert_eq!(Settings::new().lease(Duration::from_millis(millis)).is_ok(), is_valid, "{millis}");
        }
        let error = Settings::new().lease(Duration::from_micros(2_000_500)).unwrap_err();
        assert_eq!(error.to_string(), "a lease lasts 2 to 300 seconds, in whole milliseconds, not 2.0005s");
    }

    #[test]
    fn given_any_lease_when_its_parts_are_derived_then_three_renewals_fit_before_its_end() {
        for seconds in [2, 3, 10, 60, 300] {
            let settings = Settings::new().lease(Duration::from_secs(seconds)).unwrap();
            assert!(settings.renewed_every() * 3 < settings.usable(), "{seconds}");
            assert!(settings.usable() < settings.leased());
            let longer = settings.outlast(Duration::from_secs(3_600)).unwrap();
            assert!(longer.usable() > Duration::from_secs(3_400) && longer.renewed_every() == settings.renewed_every());
            assert!(longer.patience() <= settings.leased());
        }
        assert!(Settings::new().outlast(Settings::LONGEST_OUTLAST + Duration::from_millis(1)).is_err());
    }
}
