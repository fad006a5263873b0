//! Audits that wait for the Console, bounded in bytes.
use std::collections::VecDeque;

use defender_core::{Audit, AuditDraft, DefenderEvent, Effect, Event, Notice, Reason};

/// Most bytes of audits in one frame; well below [`super::frame::LARGEST`].
const BATCH_BYTES: usize = 512 << 10;

/// Audits of one source in order of `seq`: numbered, sent, and kept until the Console has committed them.
#[derive(Debug)]
pub struct Spool {
    audits: VecDeque<(usize, Audit)>,
    bytes: usize,
    capacity: usize,
    last: u64,
    sent: u64,
    committed: u64,
    dropped: u64,
    unreported: u64,
}

impl Spool {
    /// An empty spool that holds up to `capacity` bytes of encoded audits.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { audits: VecDeque::new(), bytes: 0, capacity, last: 0, sent: 0, committed: 0, dropped: 0, unreported: 0 }
    }

    /// Numbers an audit and keeps it. A full spool gives it up and counts it; the count is audited once there is room again.
    pub fn push(&mut self, draft: AuditDraft) {
        if self.unreported > 0 && self.bytes < self.capacity / 2 {
            let count = std::mem::take(&mut self.unreported);
            self.keep(dropped(draft.time, count));
        }
        if !self.keep(draft) {
            self.dropped += 1;
            self.unreported += 1;
        }
    }

    fn keep(&mut self, draft: AuditDraft) -> bool {
        let AuditDraft { time, rule, effect, reason, matched, event } = draft;
        let audit = Audit { seq: self.last + 1, time, rule, effect, reason, matched, event };
        self.insert(audit)
    }

    /// Keeps an audit that has its number already; false when there is no room for it.
    pub fn insert(&mut self, audit: Audit) -> bool {
        let size = encoded_size(&audit);
        if self.bytes + size > self.capacity {
            return false;
        }
        self.last = audit.seq;
        self.bytes += size;
        self.audits.push_back((size, audit));
        true
    }

    /// The next audits to send, at most `most` of them; none when all were sent.
    pub fn next_batch(&mut self, most: usize) -> Vec<Audit> {
        let start = self.audits.partition_point(|(_, audit)| audit.seq <= self.sent);
        let mut bytes = 0;
        let batch: Vec<Audit> = self
            .audits
            .range(start..)
            .take(most)
            .take_while(|(size, _)| {
                bytes += size;
                bytes <= BATCH_BYTES
            })
            .map(|(_, audit)| audit.clone())
            .collect();
        self.sent = batch.last().map_or(self.sent, |audit| audit.seq);
        batch
    }

    /// After a lost connection: whatever is not committed has to be sent again.
    pub fn rewind(&mut self) {
        self.sent = self.committed;
    }

    /// The Console holds everything up to `committed`. Numbers that were never sent are not believed.
    pub fn commit(&mut self, committed: u64) {
        self.committed = self.committed.max(committed.min(self.last));
        while let Some((size, audit)) = self.audits.front() {
            if audit.seq > self.committed {
                break;
            }
            self.bytes -= size;
            self.audits.pop_front();
        }
    }

    /// Highest number given so far.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Highest number that the Console holds.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Audits given up so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Bytes of an audit as it travels.
#[must_use]
pub fn encoded_size(audit: &Audit) -> usize {
    // The audit's types always encode; were one not to, counting it as a whole frame keeps it out.
    serde_json::to_vec(audit).map_or(super::frame::LARGEST, |bytes| bytes.len())
}

fn dropped(time: u64, count: u64) -> AuditDraft {
    let detail = "the spool was full, audits were given up".to_owned();
    notice(time, DefenderEvent { notice: Notice::AuditsDropped, detail, count })
}

/// An audit of the Defender about itself.
#[must_use]
pub fn notice(time: u64, event: DefenderEvent) -> AuditDraft {
    AuditDraft {
        time,
        rule: None,
        effect: Effect::Alert,
        reason: Reason::Defender,
        matched: None,
        event: Event::Defender(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(detail: &str) -> AuditDraft {
        notice(1, DefenderEvent { notice: Notice::NotEnforcing, detail: detail.into(), count: 0 })
    }

    fn numbers(batch: &[Audit]) -> Vec<u64> {
        batch.iter().map(|audit| audit.seq).collect()
    }

    #[test]
    fn audits_are_sent_once_and_again_only_after_a_lost_connection() {
        let mut spool = Spool::new(1 << 20);
        (0..5).for_each(|_| spool.push(draft("x")));
        assert_eq!(numbers(&spool.next_batch(3)), [1, 2, 3]);
        assert_eq!(numbers(&spool.next_batch(3)), [4, 5]);
        assert!(spool.next_batch(3).is_empty());
        spool.commit(2);
        spool.rewind();
        assert_eq!(numbers(&spool.next_batch(9)), [3, 4, 5]);
        spool.commit(99);
        assert_eq!((spool.committed(), spool.bytes()), (5, 0));
    }

    #[test]
    fn a_full_spool_counts_what_it_gives_up_and_says_so_once_there_is_room() {
        let mut spool = Spool::new(2000);
        (0..100).for_each(|_| spool.push(draft("0123456789")));
        let kept = spool.last();
        assert!(spool.bytes() <= 2000);
        assert_eq!(spool.dropped() + kept, 100);
        spool.commit(kept);
        spool.push(draft("after"));
        let batch = spool.next_batch(9);
        let Event::Defender(first) = &batch[0].event else { panic!("a notice was expected") };
        assert_eq!((first.notice, first.count), (Notice::AuditsDropped, 100 - kept));
        assert_eq!(numbers(&batch), [kept + 1, kept + 2]);
    }
}
