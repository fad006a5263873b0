//! Audits that the Console has not committed yet.
//!
//! Each source (one Defender process) numbers its own audits from 1. An audit stays until the Console has acknowledged it,
//! so that it can be sent again after a broken link; the number makes it count once. Memory is bounded for each container:
//! what does not fit is given up, oldest alerts first, what was prevented (and what Defenders say of themselves) last, and
//! how much was given up is itself reported, once the Console listens again.
use std::{collections::VecDeque, io};

use crate::{Audit, AuditDraft, Effect, Event, Instance, Notice, message::Batch};

/// Bytes of audits in one message: the rest of the frame is for what surrounds them.
const BATCH_BYTES: usize = crate::message::LARGEST_MESSAGE - (64 << 10);
/// An audit that is larger is no honest one: paths and arguments are far below.
const LARGEST_AUDIT: usize = 256 << 10;
/// Sources of one container that still have something to send; each start of a container makes one.
const MOST_SOURCES: usize = 8;

/// How much is kept for one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of audits, as JSON.
    pub bytes: usize,
    /// Number of audits.
    pub count: usize,
}

/// The audits of all sources that one Defender reports for.
#[derive(Debug)]
pub struct Spools {
    limits: Limits,
    sources: Vec<Source>,
    rooms: Vec<Room>,
    turn: usize,
}

/// Audits of one source, in order of their numbers; alerts and the rest apart, so that either end is found at once.
#[derive(Debug)]
struct Source {
    id: Instance,
    container: Option<String>,
    live: bool,
    alerts: VecDeque<Held>,
    kept: VecDeque<Held>,
    received: u64,
    committed: u64,
    sent: u64,
}

#[derive(Debug)]
struct Held {
    audit: Audit,
    bytes: usize,
}

/// What the sources of one container use together.
#[derive(Debug)]
struct Room {
    container: Option<String>,
    /// The source that speaks for the Defender itself.
    notes: Instance,
    bytes: usize,
    count: usize,
    dropped: u64,
    unreported: u64,
    /// Number of the notice about dropped audits that is not committed yet.
    notice: Option<u64>,
}

impl Spools {
    /// Spools without any source.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, sources: Vec::new(), rooms: Vec::new(), turn: 0 }
    }

    /// Makes room for a container (none for an app-embedded Defender); `notes` is the source of what the Defender itself
    /// has to say about it.
    pub fn open_container(&mut self, container: Option<String>, notes: Instance) {
        let room = Room {
            container: container.clone(),
            notes: notes.clone(),
            bytes: 0,
            count: 0,
            dropped: 0,
            unreported: 0,
            notice: None,
        };
        self.rooms.push(room);
        self.open_source(notes, container);
    }

    /// Makes a source known, or alive again. The oldest dead source of a container is given up when there are too many.
    pub fn open_source(&mut self, id: Instance, container: Option<String>) {
        if let Some(source) = self.source_mut(&id) {
            source.live = true;
            return;
        }
        let of_container = |source: &&Source| source.container == container;
        if self.sources.iter().filter(of_container).count() > MOST_SOURCES
            && let Some(dead) = self.sources.iter().position(|source| !source.live && of_container(&source))
        {
            let lost = self.sources.remove(dead).into_held();
            self.account(container.as_deref(), &lost);
        }
        self.sources.push(Source::new(id, container));
    }

    /// Tells that a source will say no more; it is forgotten when all it said is committed.
    pub fn close_source(&mut self, id: &Instance) {
        if let Some(source) = self.source_mut(id) {
            source.live = false;
        }
        self.forget_ended();
    }

    /// Numbers and keeps an audit of our own. Returns its number; none for a source that is not open.
    pub fn push(&mut self, id: &Instance, draft: AuditDraft) -> Option<u64> {
        let seq = self.source_mut(id)?.received + 1;
        self.take(id, draft.numbered(seq));
        Some(seq)
    }

    /// Keeps a numbered audit of an open source. One that came before is ignored.
    pub fn take(&mut self, id: &Instance, audit: Audit) {
        let Some(at) = self.sources.iter().position(|source| source.id == *id) else { return };
        if audit.seq <= self.sources[at].received {
            return;
        }
        self.sources[at].received = audit.seq;
        let container = self.sources[at].container.clone();
        let held = Held { bytes: encoded_length(&audit), audit };
        if held.bytes > LARGEST_AUDIT {
            self.count_dropped(container.as_deref(), 1);
            return;
        }
        let Some(room) = self.room_mut(container.as_deref()) else { return };
        room.bytes += held.bytes;
        room.count += 1;
        self.sources[at].keep(held);
        self.make_room(container.as_deref());
    }

    /// How far a source has got: received here, and committed by the Console.
    #[must_use]
    pub fn watermark(&self, id: &Instance) -> (u64, u64) {
        let source = self.sources.iter().find(|source| source.id == *id);
        source.map_or((0, 0), |source| (source.received, source.committed))
    }

    /// The Console has everything of this source up to `committed`.
    pub fn commit(&mut self, id: &Instance, committed: u64) {
        let Some(source) = self.source_mut(id) else { return };
        // Nobody can have committed what was never sent; believing it would lose what comes.
        let committed = committed.min(source.sent);
        source.committed = source.committed.max(committed);
        let container = source.container.clone();
        let done = source.remove_up_to(committed);
        if let Some(room) = self.room_mut(container.as_deref()) {
            room.release(&done);
            if room.notes == *id && room.notice.is_some_and(|seq| seq <= committed) {
                room.notice = None;
            }
        }
        self.forget_ended();
    }

    /// Starts all over with sending: what is not committed will be sent on the next connection.
    pub fn rewind(&mut self) {
        for source in &mut self.sources {
            source.sent = source.committed;
        }
    }

    /// The next audits to send, of one source, at most `most`; sources take turns. They count as sent until [`rewind`].
    ///
    /// [`rewind`]: Self::rewind
    pub fn next_batch(&mut self, most: usize) -> Option<Batch> {
        let sources = self.sources.len();
        for step in 0..sources {
            let at = (self.turn + step) % sources;
            let audits = self.sources[at].unsent(most);
            if let Some(last) = audits.last() {
                self.turn = at + 1;
                let source = &mut self.sources[at];
                source.sent = last.seq;
                return Some(Batch { source: source.id.clone(), container: source.container.clone(), audits });
            }
        }
        None
    }

    /// Puts a notice in for each container of which audits were given up since the last such notice was committed.
    pub fn report_drops(&mut self, now: u64) {
        for at in 0..self.rooms.len() {
            let room = &mut self.rooms[at];
            if room.unreported == 0 || room.notice.is_some() {
                continue;
            }
            let count = std::mem::take(&mut room.unreported);
            let notes = room.notes.clone();
            let notice = AuditDraft::notice(now, Notice::AuditsDropped, "the spool was full", count);
            let seq = self.push(&notes, notice);
            self.rooms[at].notice = seq;
        }
    }

    /// How many audits of a container were given up so far.
    #[must_use]
    pub fn dropped(&self, container: Option<&str>) -> u64 {
        self.rooms.iter().find(|room| room.container.as_deref() == container).map_or(0, |room| room.dropped)
    }

    /// True when there is nothing that the Console has not committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.iter().all(Source::is_empty)
    }

    fn make_room(&mut self, container: Option<&str>) {
        let limits = self.limits;
        while self.room_mut(container).is_some_and(|room| room.bytes > limits.bytes || room.count > limits.count) {
            let mut of_container = self.sources.iter_mut().filter(|source| source.container.as_deref() == container);
            let lost = of_container.find_map(|source| source.alerts.pop_front());
            let mut of_container = self.sources.iter_mut().filter(|source| source.container.as_deref() == container);
            let Some(lost) = lost.or_else(|| of_container.find_map(|source| source.kept.pop_front())) else { return };
            self.account(container, &[lost]);
        }
    }

    /// Gives up what is no longer held, and remembers to say so.
    fn account(&mut self, container: Option<&str>, lost: &[Held]) {
        if let Some(room) = self.room_mut(container) {
            room.release(lost);
            // A notice that is itself given up must not keep the next one from being made.
            let notice = room.notice;
            if lost.iter().any(|held| is_drop_notice(&held.audit) && Some(held.audit.seq) == notice) {
                room.notice = None;
            }
        }
        self.count_dropped(container, lost.len() as u64);
    }

    fn count_dropped(&mut self, container: Option<&str>, count: u64) {
        if let Some(room) = self.room_mut(container) {
            room.dropped += count;
            room.unreported += count;
        }
    }

    fn forget_ended(&mut self) {
        self.sources.retain(|source| source.live || !source.is_empty());
    }

    fn source_mut(&mut self, id: &Instance) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.id == *id)
    }

    fn room_mut(&mut self, container: Option<&str>) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| room.container.as_deref() == container)
    }
}

impl Room {
    fn release(&mut self, held: &[Held]) {
        self.bytes -= held.iter().map(|held| held.bytes).sum::<usize>();
        self.count -= held.len();
    }
}

impl Source {
    fn new(id: Instance, container: Option<String>) -> Self {
        let (alerts, kept) = (VecDeque::new(), VecDeque::new());
        Self { id, container, live: true, alerts, kept, received: 0, committed: 0, sent: 0 }
    }

    fn keep(&mut self, held: Held) {
        let is_alert = held.audit.effect != Effect::Prevent && !matches!(held.audit.event, Event::Defender(_));
        let queue = if is_alert { &mut self.alerts } else { &mut self.kept };
        queue.push_back(held);
    }

    fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.kept.is_empty()
    }

    fn into_held(self) -> Vec<Held> {
        self.alerts.into_iter().chain(self.kept).collect()
    }

    fn remove_up_to(&mut self, committed: u64) -> Vec<Held> {
        let mut done = Vec::new();
        for queue in [&mut self.alerts, &mut self.kept] {
            let end = queue.partition_point(|held| held.audit.seq <= committed);
            done.extend(queue.drain(..end));
        }
        done
    }

    /// Both queues merged by number, from the first that was not sent.
    fn unsent(&self, most: usize) -> Vec<Audit> {
        let from = |queue: &VecDeque<Held>| queue.partition_point(|held| held.audit.seq <= self.sent);
        let mut alerts = self.alerts.range(from(&self.alerts)..).peekable();
        let mut kept = self.kept.range(from(&self.kept)..).peekable();
        let mut audits = Vec::new();
        let mut bytes = 0;
        while audits.len() < most {
            let first = match (alerts.peek(), kept.peek()) {
                (Some(alert), Some(other)) if alert.audit.seq < other.audit.seq => alerts.next(),
                (Some(_), None) => alerts.next(),
                _ => kept.next(),
            };
            let Some(held) = first else { break };
            bytes += held.bytes + 1;
            if bytes > BATCH_BYTES {
                break;
            }
            audits.push(held.audit.clone());
        }
        audits
    }
}

fn is_drop_notice(audit: &Audit) -> bool {
    matches!(&audit.event, Event::Defender(event) if event.notice == Notice::AuditsDropped)
}

/// Bytes of an audit as it travels, counted without writing it anywhere.
fn encoded_length(audit: &Audit) -> usize {
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
    // Counting cannot fail, and neither can writing an audit: it holds texts and numbers alone.
    let _ = serde_json::to_writer(&mut counter, audit);
    counter.0
}

#[cfg(test)]
pub(crate) mod tests;
