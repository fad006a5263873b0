//! How long to wait before the next attempt: exponential with full jitter, 0.5 s to 60 s, one retry at once after a broken link.
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);

/// The delays of one link.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    worked: bool,
}

impl Backoff {
    /// The link was up: the next break is answered at once, and the delays start anew.
    pub fn worked(&mut self) {
        *self = Self { failures: 0, worked: true };
    }

    /// How long to wait now; `random` is uniform in 0.0 to 1.0.
    pub fn next(&mut self, random: f64) -> Duration {
        if std::mem::take(&mut self.worked) {
            return Duration::ZERO;
        }
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(7)).min(LONGEST);
        self.failures += 1;
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }
}

/// A uniform random number in 0.0 to 1.0; one half where the kernel gives none.
#[must_use]
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_a_link_that_worked_is_tried_again_at_once() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..10).map(|_| backoff.next(1.0).as_millis() as u64).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
        backoff.worked();
        assert_eq!(backoff.next(1.0), Duration::ZERO);
        assert_eq!(backoff.next(1.0), FIRST);
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }
}
