//! How long to wait before the next attempt to connect: exponential, with full jitter, so that a thousand Defenders do not
//! come back at once after the Console was away.

const FIRST: u64 = 500;
const LONGEST: u64 = 60_000;
/// A link that held this long was a good one.
const GOOD: u64 = 10_000;

/// Counts failures in a row.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The link was made, held for `lasted` milliseconds, and broke. After a good one there is one attempt at once.
    /// `random` is uniform in `0..1`; the answer is in milliseconds.
    pub fn broken(&mut self, lasted: u64, random: f64) -> u64 {
        if lasted < GOOD {
            return self.failed(random, None);
        }
        self.failures = 0;
        0
    }

    /// An attempt failed. `retry_after` (seconds) is what the Console asked for: not sooner.
    pub fn failed(&mut self, random: f64, retry_after: Option<u64>) -> u64 {
        let most = FIRST.saturating_mul(1 << self.failures.min(20)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jittered = (random.clamp(0.0, 1.0) * f64::from(most as u32)) as u64;
        jittered + retry_after.unwrap_or(0).saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Waits grow from half a second to a minute, and start over after a good link.
    #[test]
    fn grows_and_starts_over() {
        let mut backoff = Backoff::default();

        let waits: Vec<u64> = (0..10).map(|_| backoff.failed(1.0, None)).collect();

        assert_eq!(waits[..4], [500, 1000, 2000, 4000]);
        assert_eq!(waits[9], 60_000);
        assert_eq!(backoff.broken(GOOD, 1.0), 0);
        assert_eq!(backoff.failed(1.0, None), 500);
    }

    /// A Console that takes every link and drops it at once is not stormed.
    #[test]
    fn links_that_do_not_hold_count_as_failures() {
        let mut backoff = Backoff::default();

        let waits: Vec<u64> = (0..4).map(|_| backoff.broken(50, 1.0)).collect();

        assert_eq!(waits, [500, 1000, 2000, 4000]);
    }

    proptest! {
        /// Whatever happened, the wait is within the bounds, and never shorter than the Console asked for.
        #[test]
        fn within_bounds(failures in 0u32..100, random in -1.0f64..2.0, after in prop::option::of(0u64..4000)) {
            let mut backoff = Backoff { failures };
            let wait = backoff.failed(random, after);
            let least = after.unwrap_or(0) * 1000;
            prop_assert!((least..=least + LONGEST).contains(&wait));
        }
    }
}
