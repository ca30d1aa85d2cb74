//! The thresholds of one organization, in whole days.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    events::{SpikeThreshold, Thresholds},
    query::DAY,
    validate::Fields,
};

/// When an organization is told about its keys. Organizations that have set nothing have the host's
/// [`Thresholds`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertSettings {
    /// How many days before its expiry a key counts as expiring: up to five numbers, each 1 to 365. Each causes one alert.
    pub expiring_days: Vec<u32>,
    /// After how many days without use a key counts as unused: 1 to 3,650, or never.
    pub unused_days: Option<u32>,
    /// From which age of the newest secret, in days, a rotation is due: 1 to 3,650, or never.
    pub rotation_days: Option<u32>,
    /// From which multiple of the usual use an hour is a spike: 2 to 1,000,000, or never.
    pub spike_factor: Option<u64>,
    /// The least number of requests of a spike: 1 to 1,000,000,000,000.
    pub spike_minimum: u64,
}

impl AlertSettings {
    /// Returns the thresholds.
    pub fn thresholds(&self) -> Thresholds {
        let days = |days: u32| DAY * days;
        let spike = self.spike_factor.map(|factor| SpikeThreshold::new().factor(factor).minimum(self.spike_minimum));
        Thresholds::new()
            .expiring(self.expiring_days.iter().copied().map(days))
            .unused(self.unused_days.map(days))
            .rotation(self.rotation_days.map(days))
            .spike(spike)
    }

    /// Checks the fields that differ from `before`: the host's own thresholds may be any.
    pub(crate) fn check(&self, before: &AlertSettings, fields: &mut Fields) {
        let days = &self.expiring_days;
        if *days != before.expiring_days && days.len() > 5 {
            fields.push("expiring_days", "too_many", "at most 5 numbers");
        }
        if *days != before.expiring_days && days.iter().any(|days| !(1..=365).contains(days)) {
            fields.push("expiring_days", "out_of_range", "each is 1 to 365 days");
        }
        let spans = [
            ("unused_days", self.unused_days, before.unused_days),
            ("rotation_days", self.rotation_days, before.rotation_days),
        ];
        for (field, days, before) in spans {
            if days != before && days.is_some_and(|days| !(1..=3_650).contains(&days)) {
                fields.push(field, "out_of_range", "1 to 3650 days, or null for never");
            }
        }
        let factor = self.spike_factor.filter(|_| self.spike_factor != before.spike_factor);
        if factor.is_some_and(|factor| !(2..=1_000_000).contains(&factor)) {
            fields.push("spike_factor", "out_of_range", "2 to 1000000, or null for never");
        }
        if self.spike_minimum != before.spike_minimum && !(1..=1_000_000_000_000).contains(&self.spike_minimum) {
            fields.push("spike_minimum", "out_of_range", "1 to 1000000000000 requests");
        }
    }

    /// Sorts the days, each once.
    pub(crate) fn normalize(&mut self) {
        self.expiring_days.sort_unstable();
        self.expiring_days.dedup();
    }
}

impl From<&Thresholds> for AlertSettings {
    /// Parts of days count as whole ones.
    fn from(thresholds: &Thresholds) -> Self {
        let days = |span: Duration| u32::try_from(span.as_secs().div_ceil(DAY.as_secs())).unwrap_or(u32::MAX);
        let spike = thresholds.spike.unwrap_or_default();
        let mut settings = AlertSettings {
            expiring_days: thresholds.expiring.iter().copied().map(days).collect(),
            unused_days: thresholds.unused.map(days),
            rotation_days: thresholds.rotation.map(days),
            spike_factor: thresholds.spike.map(|spike| spike.factor),
            spike_minimum: spike.minimum,
        };
        settings.normalize();
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_host_s_thresholds_when_shown_as_settings_and_read_again_then_they_are_the_same() {
        let thresholds = Thresholds::new();
        assert_eq!(AlertSettings::from(&thresholds).thresholds(), thresholds);
        let none = Thresholds::new().expiring([]).unused(None).rotation(None).spike(None);
        assert_eq!(AlertSettings::from(&none).thresholds(), none);
    }
}
