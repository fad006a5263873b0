//! Audits of one source that the Console has not committed yet.
//!
//! A source (one Defender process) numbers its audits from 1. An audit stays until the Console has acknowledged it, so that
//! it can be sent again after a broken link; its number makes it count once. Memory is bounded: for what does not fit,
//! older audits are given up, alerts first, what was prevented (and what the Defender says of itself) last; and how much
//! was given up is itself reported.
use std::{collections::VecDeque, io};

use serde::Serialize;

use crate::{Audit, AuditDraft, Effect, Event, Notice};

/// Bytes of audits in one message; well below its limit.
const BATCH_BYTES: usize = crate::message::LARGEST_MESSAGE / 2;

/// Audits of one source in order of `seq`: numbered, sent, and kept until they are committed.
#[derive(Debug)]
pub struct Spool {
    /// Alerts and the rest apart, each in order, so that the oldest of either is found at once.
    alerts: VecDeque<Held>,
    rest: VecDeque<Held>,
    bytes: usize,
    capacity: usize,
    last: u64,
    sent: u64,
    committed: u64,
    dropped: u64,
    unreported: u64,
    /// Number of the notice about dropped audits that is not committed yet.
    notice: Option<u64>,
}

#[derive(Debug)]
struct Held {
    audit: Audit,
    bytes: usize,
}

impl Spool {
    /// An empty spool that holds up to `capacity` bytes of encoded audits.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            alerts: VecDeque::new(),
            rest: VecDeque::new(),
            bytes: 0,
            capacity,
            last: 0,
            sent: 0,
            committed: 0,
            dropped: 0,
            unreported: 0,
            notice: None,
        }
    }

    /// Numbers an audit and keeps it; older ones are given up where there is no room.
    pub fn push(&mut self, draft: AuditDraft) {
        self.push_counted(draft, 1);
    }

    /// The same for an audit that stands for `count` events.
    pub fn push_counted(&mut self, draft: AuditDraft, count: u64) {
        let audit = Audit { count: count.max(1), ..draft.numbered(self.last + 1) };
        self.last = audit.seq;
        self.hold(audit);
        let before = self.dropped;
        while self.bytes > self.capacity && (self.give_up_alert() || self.give_up_any()) {}
        self.unreported += self.dropped - before;
    }

    /// Keeps an audit that has its number already, given by another process; one that came before is ignored. The bound is
    /// the caller's affair, who may hold several spools to one.
    pub fn insert(&mut self, audit: Audit) {
        if audit.seq > self.last {
            self.last = audit.seq;
            self.hold(audit);
        }
    }

    /// Gives up the oldest alert; false when there is none.
    pub fn give_up_alert(&mut self) -> bool {
        let lost = self.alerts.pop_front();
        self.give_up(lost)
    }

    /// Gives up the oldest audit that is no alert, or else the oldest alert; false when there is nothing.
    pub fn give_up_any(&mut self) -> bool {
        let lost = self.rest.pop_front().or_else(|| self.alerts.pop_front());
        self.give_up(lost)
    }

    /// Puts a notice in when audits were given up since the last one; the next waits until this one is committed.
    /// `now` is in unix milliseconds.
    pub fn report_drops(&mut self, now: u64) {
        if self.unreported == 0 || self.notice.is_some() {
            return;
        }
        let count = std::mem::take(&mut self.unreported);
        self.notice = Some(self.last + 1);
        self.push(AuditDraft::notice(now, Notice::AuditsDropped, "the spool was full, audits were given up", count));
    }

    /// The next audits to send, at most `most` of them; none when all were sent.
    pub fn next_batch(&mut self, most: usize) -> Vec<Audit> {
        let start = |queue: &VecDeque<Held>| queue.partition_point(|held| held.audit.seq <= self.sent);
        let mut alerts = self.alerts.range(start(&self.alerts)..).peekable();
        let mut rest = self.rest.range(start(&self.rest)..).peekable();
        let mut batch: Vec<Audit> = Vec::new();
        let mut bytes = 0;
        while batch.len() < most {
            let alert_is_next = match (alerts.peek(), rest.peek()) {
                (Some(alert), Some(other)) => alert.audit.seq < other.audit.seq,
                (alert, _) => alert.is_some(),
            };
            let Some(held) = (if alert_is_next { alerts.next() } else { rest.next() }) else { break };
            bytes += held.bytes + 1;
            // The first one always goes: what nobody can send would hold up everything behind it.
            if bytes > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(held.audit.clone());
        }
        self.sent = batch.last().map_or(self.sent, |audit| audit.seq);
        batch
    }

    /// After a lost connection: whatever is not committed has to be sent again.
    pub fn rewind(&mut self) {
        self.sent = self.committed;
    }

    /// The Console holds everything up to `committed`. Numbers that were never given are not believed.
    pub fn commit(&mut self, committed: u64) {
        self.committed = self.committed.max(committed.min(self.last));
        self.sent = self.sent.max(self.committed);
        for queue in [&mut self.alerts, &mut self.rest] {
            let end = queue.partition_point(|held| held.audit.seq <= self.committed);
            self.bytes -= queue.drain(..end).map(|held| held.bytes).sum::<usize>();
        }
        self.notice.take_if(|seq| *seq <= self.committed);
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

    /// Events whose audits were given up so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn give_up(&mut self, lost: Option<Held>) -> bool {
        let Some(lost) = lost else { return false };
        self.bytes -= lost.bytes;
        self.dropped = self.dropped.saturating_add(lost.audit.count);
        // A notice that is itself given up must not keep the next one from being made.
        self.notice.take_if(|seq| *seq == lost.audit.seq);
        true
    }

    fn hold(&mut self, audit: Audit) {
        let held = Held { bytes: encoded_size(&audit), audit };
        self.bytes += held.bytes;
        let prevented = matches!(held.audit.effect, Effect::Prevent | Effect::Ban);
        let is_alert = !prevented && !matches!(held.audit.event, Event::Defender(_));
        let queue = if is_alert { &mut self.alerts } else { &mut self.rest };
        queue.push_back(held);
    }
}

/// Bytes of an audit, or of anything else that a message holds, as it travels, counted without writing it anywhere.
#[must_use]
pub fn encoded_size<T: Serialize>(value: &T) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail, and neither can writing a value that holds texts and numbers alone.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests;
