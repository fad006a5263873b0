//! What was found out about values of earlier requests: names, header fields, cookies and many arguments come again and again.
//!
//! What may hold for a value depends on nothing but its bytes and on what is asked of it, so it need not be found out twice.
//! The memo is small and fixed in size; a newer value takes the place of an older one. It is shared by all transactions of a
//! ruleset, and one that finds it in use goes without.

use crate::prefilter::BitSet;

/// How many values are remembered.
const PLACES: usize = 4096;
/// Longer values are not: they are seldom the same.
pub(super) const LONGEST: usize = 256;

/// So many places are searched for a value, so that two that come together do not drive each other out.
const NEIGHBOURS: usize = 4;

/// Values with what may hold for them.
#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<Option<Known>>,
    /// Which of its neighbours the next value replaces.
    turn: usize,
}

#[derive(Debug)]
struct Known {
    /// Of the place: what differs here needs no comparison.
    hash: u64,
    value: Vec<u8>,
    /// The number of what was asked.
    asking: u32,
    /// The questions that may hold; few, mostly none.
    found: Vec<u16>,
    work: u64,
}

/// Where a value is remembered, and its place's mark, by which it is told from one that came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place(Option<u64>);

impl Place {
    /// Where a value is looked for, of which something is asked; nowhere if it is too long.
    pub(super) fn of(value: &[u8], asking: u32) -> Self {
        if value.len() > LONGEST {
            return Self(None);
        }
        // FNV-1a over eight bytes at a time: a collision costs a comparison, and a place.
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
        let mut hash = mix(value.len() as u64 ^ 0xCBF2_9CE4_8422_2325, u64::from(asking));
        let mut chunks = value.chunks_exact(8);
        for chunk in &mut chunks {
            hash = mix(hash, chunk.try_into().map_or(0, u64::from_le_bytes));
        }
        hash = mix(hash, chunks.remainder().iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        Self(Some(hash ^ hash >> 29))
    }

    /// The places that are searched.
    fn neighbours(self) -> Option<(u64, std::ops::Range<usize>)> {
        let hash = self.0?;
        let first = hash as usize % (PLACES / NEIGHBOURS) * NEIGHBOURS;
        Some((hash, first..first + NEIGHBOURS))
    }
}

impl Known {
    fn is(&self, hash: u64, value: &[u8]) -> bool {
        self.hash == hash && self.value == value
    }
}

impl Memo {
    /// What may hold for a value, and the work of finding that out; nothing when it is not remembered.
    pub(super) fn recall(&self, place: Place, value: &[u8], asking: u32) -> Option<(&[u16], u64)> {
        let (hash, neighbours) = place.neighbours()?;
        let known = self.places.get(neighbours)?.iter().flatten();
        let known = known.into_iter().find(|known| known.is(hash, value) && known.asking == asking)?;
        Some((&known.found, known.work))
    }

    /// Remembers what may hold for a value.
    pub(super) fn keep(&mut self, place: Place, value: &[u8], asking: u32, found: &BitSet, work: u64) {
        let Some((hash, neighbours)) = place.neighbours() else { return };
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        let neighbours = &mut self.places[neighbours];
        let free = neighbours.iter().position(Option::is_none);
        self.turn = self.turn.wrapping_add(1);
        let empty = || Known { hash, value: Vec::new(), asking, found: Vec::new(), work };
        let known = neighbours[free.unwrap_or(self.turn % NEIGHBOURS)].get_or_insert_with(empty);
        (known.hash, known.asking, known.work) = (hash, asking, work);
        known.value.clear();
        known.value.extend_from_slice(value);
        known.found.clear();
        known.found.extend(found.numbers().map(|number| number as u16));
    }

    /// Remembers that a question was asked of a value and does not hold.
    pub(super) fn refute(&mut self, place: Place, value: &[u8], question: u16) {
        let Some((hash, neighbours)) = place.neighbours() else { return };
        let known = self.places.get_mut(neighbours).unwrap_or_default().iter_mut().flatten();
        for known in known.filter(|known| known.is(hash, value)) {
            if let Some(at) = known.found.iter().position(|found| *found == question) {
                known.found.remove(at);
                known.work += value.len() as u64 + 1;
            }
        }
    }
}
