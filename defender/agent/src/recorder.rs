//! What a workload does, kept for who asks: its record for forensics, its observations for learning.
//!
//! All of it is in memory only and ends with this process. The supervisor's thread writes it at every event, for about a
//! microsecond; the link reads it when the Console has asked.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use defender_core::{Chunk, Event, Judged, Observations, Observed, Recorder, scrub};

/// Bytes of the record, if nothing else is asked for: some ten thousand events.
pub const RECORD_BYTES: usize = 1 << 20;
/// How often what was observed is sent.
pub const OBSERVE_EVERY: Duration = Duration::from_mins(1);

/// A piece of the record that somebody has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Names the question.
    pub id: String,
    /// Only events with a higher number.
    pub after: u64,
}

/// Record and observations of one workload.
#[derive(Debug)]
pub struct Record {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    recorder: Recorder,
    fetch: Option<Fetch>,
    gatherer: Gatherer,
}

impl Record {
    /// An empty record of at most this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let state = State { recorder: Recorder::new(bytes), fetch: None, gatherer: Gatherer::new(OBSERVE_EVERY) };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one event; secrets are taken out of a program's arguments before they are kept.
    pub fn take(&self, time: u64, event: &Event, judged: Option<Judged>) {
        let scrubbed = match event {
            Event::Process(process) => {
                let mut process = process.clone();
                process.arguments = scrub(&process.arguments);
                Some(Event::Process(process))
            }
            _ => None,
        };
        let event = scrubbed.as_ref().unwrap_or(event);
        let mut state = self.state();
        state.recorder.record(time, event, judged);
        state.gatherer.gathered.note(time, event);
    }

    /// Notes a question; a newer one takes the place of one that was not answered yet.
    pub fn ask(&self, fetch: Fetch) {
        self.state().fetch = Some(fetch);
    }

    /// The answer that is due, with the id of its question.
    #[must_use]
    pub fn answer(&self) -> Option<(String, Chunk)> {
        let mut state = self.state();
        let Fetch { id, after } = state.fetch.take()?;
        Some((id, state.recorder.chunk(after)))
    }

    /// What was observed, with what is not sent yet.
    pub fn with_gatherer<T>(&self, change: impl FnOnce(&mut Gatherer) -> T) -> T {
        change(&mut self.state().gatherer)
    }
}

/// One message of observations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observing {
    /// Counts the messages.
    pub number: u64,
    /// Each thing once.
    pub observed: Vec<Observed>,
    /// Sightings that found no place.
    pub overflow: u64,
}

/// Gathers observations and gives them out now and then, the next message only when the one before it has arrived.
#[derive(Debug)]
pub struct Gatherer {
    gathered: Observations,
    under_way: Option<Observing>,
    number: u64,
    every: Duration,
    not_before: Instant,
    hurry: bool,
}

impl Gatherer {
    /// A gatherer that gives out a message this often.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        let not_before = Instant::now() + every;
        Self { gathered: Observations::default(), under_way: None, number: 0, every, not_before, hurry: false }
    }

    /// Adds what another gathered.
    pub fn merge(&mut self, observed: &[Observed], overflow: u64) {
        self.gathered.merge(observed, overflow);
    }

    /// The next message, if one is due.
    pub fn take_due(&mut self) -> Option<Observing> {
        let due = self.hurry || Instant::now() >= self.not_before;
        if !due || self.under_way.is_some() || self.gathered.is_empty() {
            return None;
        }
        let (observed, overflow) = self.gathered.take();
        self.number += 1;
        self.not_before = Instant::now() + self.every;
        self.under_way = Some(Observing { number: self.number, observed, overflow });
        self.under_way.clone()
    }

    /// The message of this number has arrived.
    pub fn arrived(&mut self, number: u64) {
        self.under_way.take_if(|message| message.number <= number);
    }

    /// The connection was lost: what was under way is to be sent again.
    pub fn rewind(&mut self) {
        if let Some(Observing { observed, overflow, .. }) = self.under_way.take() {
            self.gathered.merge(&observed, overflow);
        }
    }

    /// The end is near: there is no time to gather more.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// True when nothing is left to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.under_way.is_none()
    }
}

#[cfg(test)]
mod tests {
    use defender_core::{LookupEvent, ObservedKind, ProcessEvent, ProcessFacts};

    use super::*;

    fn lookup(name: &str) -> Event {
        Event::Lookup(LookupEvent { name: name.into(), record_type: "A".into(), pid: 1, path: String::new() })
    }

    /// A secret on a command line is in no answer.
    #[test]
    fn secrets_are_not_recorded() {
        let record = Record::new(RECORD_BYTES);
        let process = ProcessEvent {
            path: "/usr/bin/mysql".into(),
            invoked: "/usr/bin/mysql".into(),
            arguments: vec!["mysql".into(), "-phush".into(), "--token=hush".into()],
            pid: 1,
            parent_pid: 0,
            parent_path: String::new(),
            user: 0,
            main: false,
            interpreted: false,
            invoked_is_exe: true,
            sha256: None,
            facts: ProcessFacts::default(),
        };
        record.take(1, &Event::Process(process), None);
        record.ask(Fetch { id: "a".into(), after: 0 });
        let (_, chunk) = record.answer().expect("an answer");
        assert_eq!(chunk.events.len(), 1);
        assert!(!format!("{chunk:?}").contains("hush"));
        assert_eq!(record.answer(), None, "a question is answered once");
    }

    /// What was under way when the connection broke comes again with what was seen since, and what arrived does not.
    #[test]
    fn observations_arrive_once() {
        let record = Record::new(RECORD_BYTES);
        record.take(1, &lookup("a.test"), None);
        assert_eq!(record.with_gatherer(Gatherer::take_due), None, "it is not time yet");
        record.with_gatherer(Gatherer::hurry);
        let first = record.with_gatherer(Gatherer::take_due).expect("a message");
        record.take(2, &lookup("a.test"), None);
        assert_eq!(record.with_gatherer(Gatherer::take_due), None, "one is under way");
        record.with_gatherer(Gatherer::rewind);
        let second = record.with_gatherer(Gatherer::take_due).expect("a message");
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!((second.observed[0].count, second.observed[0].kind), (2, ObservedKind::Name));
        record.with_gatherer(|gatherer| gatherer.arrived(1));
        assert!(!record.with_gatherer(|gatherer| gatherer.is_empty()));
        record.with_gatherer(|gatherer| gatherer.arrived(2));
        assert!(record.with_gatherer(|gatherer| gatherer.is_empty()));
    }
}
