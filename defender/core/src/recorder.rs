//! The flight recorder: the last events of a workload in a ring of bytes, the oldest given up for the newest.
//!
//! It lives in memory alone and ends with its process. Events are numbered from 1, so that a reader can go on where it
//! stopped, and sees how many it was too late for. What is written is bounded: long texts are cut.
use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize};

use self::coding::{Reader, Writer};
use crate::{Effect, Event, Reason, bounds, encoded_size};

mod coding;

/// Events of one chunk.
pub const MOST_RECORDED: usize = 5000;
/// Bytes of one chunk as JSON.
pub const CHUNK_BYTES: usize = 512 << 10;

/// One event of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Unix milliseconds.
    #[serde(deserialize_with = "bounds::time")]
    pub time: u64,
    /// What happened.
    pub event: Event,
    /// What was done about it, for events that were reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

/// What was done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// `alert` or `prevent`.
    #[serde(deserialize_with = "bounds::audited_effect")]
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
}

/// A piece of the record, as it travels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Number of the first event.
    pub first: u64,
    /// Number of the newest event that there is.
    pub newest: u64,
    /// The events, numbered on from the first.
    pub events: Vec<Recorded>,
}

/// The ring. Memory is used as it fills, and never more than it was made with.
#[derive(Debug)]
pub struct Recorder {
    ring: VecDeque<u8>,
    capacity: usize,
    /// Number of the oldest event in the ring.
    oldest: u64,
    /// Number that the next event gets.
    next: u64,
    scratch: Vec<u8>,
}

impl Recorder {
    /// A recorder of this many bytes; with 0 it records nothing.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { ring: VecDeque::new(), capacity, oldest: 1, next: 1, scratch: Vec::new() }
    }

    /// Number of the newest event, 0 when there was none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ring.len()
    }

    /// Takes one event. Arguments have to be scrubbed already.
    pub fn record(&mut self, time: u64, event: &Event, judged: Option<Judged>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        Writer(&mut scratch).recorded(time, event, judged);
        let needed = scratch.len() + 4;
        if needed <= self.capacity {
            if self.ring.capacity() == 0 {
                // Pages are only used once they are written.
                self.ring.reserve_exact(self.capacity);
            }
            while self.ring.len() + needed > self.capacity {
                self.give_up_oldest();
            }
            self.ring.extend((scratch.len() as u32).to_le_bytes());
            self.ring.extend(&scratch);
            self.next += 1;
        }
        self.scratch = scratch;
    }

    fn give_up_oldest(&mut self) {
        let length = self.length_at(0);
        self.ring.drain(..(4 + length).min(self.ring.len()));
        self.oldest += 1;
    }

    fn length_at(&self, position: usize) -> usize {
        let bytes: Vec<u8> = self.ring.range(position..position + 4).copied().collect();
        bytes.try_into().map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// The events behind number `after`, as many as fit into one chunk.
    #[must_use]
    pub fn chunk(&self, after: u64) -> Chunk {
        let mut chunk =
            Chunk { first: self.oldest.max(after.saturating_add(1)), newest: self.newest(), events: vec![] };
        let (mut position, mut number, mut room) = (0, self.oldest, CHUNK_BYTES);
        while position < self.ring.len() && chunk.events.len() < MOST_RECORDED {
            let length = self.length_at(position);
            let end = position + 4 + length;
            if number > after {
                let bytes: Vec<u8> = self.ring.range(position + 4..end).copied().collect();
                // Nobody else writes the ring, so everything in it can be read.
                let Some(recorded) = Reader(&bytes).recorded() else { break };
                let size = encoded_size(&recorded) + 1;
                if size > room {
                    break;
                }
                room -= size;
                chunk.events.push(recorded);
            }
            (position, number) = (end, number + 1);
        }
        chunk
    }
}

/// At most [`MOST_RECORDED`] events.
pub(crate) fn recorded<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Recorded>, D::Error> {
    bounds::at_most(from, MOST_RECORDED)
}

#[cfg(test)]
mod tests;
