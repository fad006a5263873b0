//! What a workload does, gathered for learning: each thing once, with how often it was seen and when.
//!
//! Bounded by number and by bytes: what finds no place is counted only. What was gathered is taken away every minute or so,
//! so a workload that makes up new names all the time fills what is taken, not the memory.
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Event, FileOperation, Protocol, bounds};

/// Things of one kind between two takings.
pub const MOST_OF_A_KIND: usize = 1000;
/// Things of one message.
pub const MOST_OBSERVED: usize = 1000;
/// Bytes of all texts together.
/// Escaped in JSON they are six times as long, and still fit into one message.
const MOST_BYTES: usize = 128 << 10;
/// Bytes of one text; a longer one is not a name that a rule could use.
const LONGEST: usize = 1024;

/// Kinds of observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObservedKind {
    /// A program (`value`) that was started by another (`detail`).
    Process,
    /// A name that was looked up.
    Name,
    /// An address (`value`) that was connected to, and `tcp/443` or the like (`detail`).
    Address,
    /// `tcp/8080` or the like that was listened on.
    Listen,
    /// A file (`value`) that was written by a program (`detail`).
    File,
}

/// One thing that was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// What kind of thing.
    pub kind: ObservedKind,
    /// The thing itself.
    #[serde(deserialize_with = "bounds::observed")]
    pub value: String,
    /// What belongs to it.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "bounds::observed_detail")]
    pub detail: String,
    /// How often.
    #[serde(deserialize_with = "bounds::sequence")]
    pub count: u64,
    /// For the first time, unix milliseconds.
    #[serde(deserialize_with = "bounds::time")]
    pub first: u64,
    /// For the last time, unix milliseconds.
    #[serde(deserialize_with = "bounds::time")]
    pub last: u64,
}

/// What was gathered since it was last taken away.
#[derive(Debug, Default)]
pub struct Observations {
    seen: BTreeMap<ObservedKind, HashMap<(String, String), Tally>>,
    bytes: usize,
    /// Sightings that found no place.
    overflow: u64,
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    count: u64,
    first: u64,
    last: u64,
}

impl Observations {
    /// Takes an event.
    pub fn note(&mut self, time: u64, event: &Event) {
        let tally = Tally { count: 1, first: time, last: time };
        match event {
            Event::Process(event) => self.add(ObservedKind::Process, &event.path, &event.parent_path, tally),
            Event::Lookup(event) => self.add(ObservedKind::Name, &event.name, "", tally),
            Event::Connection(event) => {
                let end = end(event.protocol, event.port);
                self.add(ObservedKind::Address, &event.address.to_string(), &end, tally);
            }
            Event::Listen(event) => self.add(ObservedKind::Listen, &end(event.protocol, event.port), "", tally),
            Event::File(event) if event.operation != FileOperation::Remove => {
                self.add(ObservedKind::File, &event.file, &event.path, tally);
            }
            Event::File(_) | Event::Request(_) | Event::Defender(_) => {}
        }
    }

    fn add(&mut self, kind: ObservedKind, value: &str, detail: &str, tally: Tally) {
        if value.is_empty() {
            return;
        }
        let key = (value.to_owned(), detail.to_owned());
        let of_kind = self.seen.entry(kind).or_default();
        if let Some(known) = of_kind.get_mut(&key) {
            known.count += tally.count;
            known.first = known.first.min(tally.first);
            known.last = known.last.max(tally.last);
            return;
        }
        let bytes = value.len() + detail.len();
        let fits = of_kind.len() < MOST_OF_A_KIND && self.bytes + bytes <= MOST_BYTES;
        if fits && value.len() <= LONGEST && detail.len() <= LONGEST {
            of_kind.insert(key, tally);
            self.bytes += bytes;
        } else {
            self.overflow += tally.count;
        }
    }

    /// Takes back what was taken away and did not arrive, or what another gathered.
    pub fn merge(&mut self, observed: &[Observed], overflow: u64) {
        self.overflow += overflow;
        for Observed { kind, value, detail, count, first, last } in observed {
            self.add(*kind, value, detail, Tally { count: *count, first: *first, last: *last });
        }
    }

    /// True when there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overflow == 0 && self.seen.values().all(HashMap::is_empty)
    }

    /// Takes away what was gathered, at most one message of it, and how many sightings found no place.
    pub fn take(&mut self) -> (Vec<Observed>, u64) {
        let mut taken = Vec::new();
        for (kind, of_kind) in &mut self.seen {
            let room = MOST_OBSERVED - taken.len();
            let keys: Vec<_> = of_kind.keys().take(room).cloned().collect();
            for key in keys {
                let Some((key, Tally { count, first, last })) = of_kind.remove_entry(&key) else { continue };
                let (value, detail) = key;
                self.bytes -= value.len() + detail.len();
                taken.push(Observed { kind: *kind, value, detail, count, first, last });
            }
        }
        (taken, std::mem::take(&mut self.overflow))
    }
}

fn end(protocol: Protocol, port: u16) -> String {
    match protocol {
        Protocol::Tcp => format!("tcp/{port}"),
        Protocol::Udp => format!("udp/{port}"),
        Protocol::Raw => "raw".to_owned(),
    }
}

/// At most [`MOST_OBSERVED`] observations.
pub(crate) fn observed<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Observed>, D::Error> {
    bounds::at_most(from, MOST_OBSERVED)
}

#[cfg(test)]
mod tests;
