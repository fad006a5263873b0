//! What a Defender may say on one connection of `/channel`, and when; without the connection.
//!
//! Nothing goes out between hello and welcome. Then audits go out in batches, a few at a time: the next one waits until an
//! older one is acknowledged. The state of the workloads goes out when it has changed, and at most once a second, for a
//! container that changes its mind all the time must not get the whole task's channel closed. On the next connection there
//! is a new session, and whatever was not committed goes out again.
use std::collections::VecDeque;

use crate::message::{MOST_AUDITS, WorkloadStatus};

/// Batches under way at once: enough to fill the line, and no more than the Console takes in.
const MOST_IN_FLIGHT: usize = 8;
/// Between two reports of the workloads' state, in milliseconds.
const STATUS_PACE: u64 = 1000;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Session {
    /// Most audits of a batch; none before the welcome.
    most: Option<usize>,
    in_flight: VecDeque<(String, u64)>,
    reported: Option<(u64, Vec<WorkloadStatus>)>,
}

impl Session {
    /// The Console has welcomed us, and takes this many audits in a message.
    pub fn welcome(&mut self, max_batch: usize) {
        self.most = Some(max_batch.clamp(1, MOST_AUDITS));
    }

    /// How many audits the next batch may have; none while none may be sent.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        self.most.filter(|_| self.in_flight.len() < MOST_IN_FLIGHT)
    }

    /// A batch of this source went out; `last` is its highest number.
    pub fn sent(&mut self, source: &str, last: u64) {
        self.in_flight.push_back((source.to_owned(), last));
    }

    /// The Console has everything of this source up to `committed`.
    pub fn acknowledged(&mut self, source: &str, committed: u64) {
        self.in_flight.retain(|(sender, last)| sender != source || *last > committed);
    }

    /// True when everything that was sent is acknowledged.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The state to report now, if one is due. `now` is in milliseconds of any clock that runs forward.
    pub fn news(&mut self, now: u64, present: Vec<WorkloadStatus>) -> Option<Vec<WorkloadStatus>> {
        self.most?;
        let due = match &self.reported {
            None => true,
            Some((when, last)) => *last != present && now.saturating_sub(*when) >= STATUS_PACE,
        };
        due.then(|| {
            self.reported = Some((now, present.clone()));
            present
        })
    }

    /// In how many milliseconds `news` has to be asked again, because `present` has to wait for its turn.
    #[must_use]
    pub fn news_due_in(&self, now: u64, present: &[WorkloadStatus]) -> Option<u64> {
        let (when, last) = self.reported.as_ref()?;
        (last != present).then(|| STATUS_PACE.saturating_sub(now.saturating_sub(*when)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(tier: u8) -> Vec<WorkloadStatus> {
        let (instance, tier_reasons) = ("0".repeat(32), Vec::new());
        vec![WorkloadStatus { container: None, instance, policy_hash: None, tier, tier_reasons, dropped: 0 }]
    }

    fn open(max_batch: usize) -> Session {
        let mut session = Session::default();
        session.welcome(max_batch);
        session
    }

    /// Nothing goes out before the welcome.
    #[test]
    fn nothing_before_the_welcome() {
        let mut session = Session::default();

        assert_eq!(session.room(), None);
        assert_eq!(session.news(0, status(1)), None);
        session.welcome(5);
        assert_eq!(session.room(), Some(5));
        assert_eq!(session.news(0, status(1)), Some(status(1)));
    }

    /// The Console's idea of a batch is kept within ours.
    #[test]
    fn batches_have_bounds() {
        assert_eq!(open(0).room(), Some(1));
        assert_eq!(open(usize::MAX).room(), Some(MOST_AUDITS));
    }

    /// A few batches are under way at once; the next ones wait for acknowledgements of the right source.
    #[test]
    fn batches_wait_for_acknowledgements() {
        let mut session = open(2);
        for last in 1..=MOST_IN_FLIGHT as u64 {
            assert!(session.room().is_some());
            session.sent("web", last);
        }

        assert_eq!(session.room(), None);
        session.acknowledged("db", u64::MAX);
        assert_eq!(session.room(), None);
        session.acknowledged("web", 1);
        assert!(session.room().is_some() && !session.is_quiet());
        session.acknowledged("web", 8);
        assert!(session.is_quiet());
    }

    /// The state is reported on every connection, then only when it has changed, and at most once a second.
    #[test]
    fn only_the_latest_state_is_reported() {
        let mut session = open(5);
        let mut told = |now, tier| session.news(now, status(tier)).is_some();

        assert!(told(0, 1));
        assert!(!told(5000, 1));
        assert!(told(5000, 2));
        assert!(!told(5999, 3));
        assert!(told(6000, 3));
    }

    /// A state that has to wait says for how long.
    #[test]
    fn a_state_that_waits_comes_in_time() {
        let mut session = open(5);
        session.news(1000, status(1));

        assert_eq!(session.news_due_in(1400, &status(1)), None);
        assert_eq!(session.news_due_in(1400, &status(2)), Some(600));
        assert_eq!(session.news_due_in(9000, &status(2)), Some(0));
    }

    /// A container that changes its state a thousand times a second costs one report a second.
    #[test]
    fn a_flood_of_states_is_paced() {
        let mut session = open(5);

        let told = (0..10_000u64).filter(|now| session.news(*now, status((now % 2) as u8)).is_some()).count();

        assert!((10..=11).contains(&told), "{told}");
    }
}
