//! How long to wait before the next attempt to connect: exponential, with full jitter, so that a thousand Defenders do not
//! come back at once after the Console was away.
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
/// A link that held this long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Counts failures in a row.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The link was made, held for `lasted`, and broke: how long to wait now. After a good one there is one attempt at once;
    /// a Console that takes every link and drops it is not stormed. `random` is uniform in `0..=1`.
    pub fn broken(&mut self, lasted: Duration, random: f64) -> Duration {
        if lasted < GOOD {
            return self.failed(random);
        }
        self.failures = 0;
        Duration::ZERO
    }

    /// An attempt failed: how long to wait now.
    pub fn failed(&mut self, random: f64) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(7)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(mut next: impl FnMut() -> Duration) -> [u128; 9] {
        std::array::from_fn(|_| next().as_millis())
    }

    /// Waits grow from half a second to a minute, and start over after a good link, with one attempt at once.
    #[test]
    fn grows_and_starts_over() {
        let mut backoff = Backoff::default();

        assert_eq!(waits(|| backoff.failed(1.0)), [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(backoff.broken(GOOD, 1.0), Duration::ZERO);
        assert_eq!(backoff.failed(1.0), FIRST);
        assert_eq!(backoff.failed(0.0), Duration::ZERO);
    }

    /// A Console that takes every link and drops it at once is not stormed.
    #[test]
    fn links_that_do_not_hold_count_as_failures() {
        let mut backoff = Backoff::default();

        let waits = waits(|| backoff.broken(Duration::from_millis(50), 1.0));

        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
    }
}
