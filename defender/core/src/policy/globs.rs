//! A list of globs, ready to tell quickly which of them matches first.
//!
//! Each glob is found by one piece of itself: a literal by the whole text, others by what they start with, end with or
//! hold, whichever the fewest others of the list share. Pieces are looked up by their hash, so that the cost of a
//! look-up grows with the text and not with the list; the globs that were found are then matched in full.
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::glob;

/// Widths, in bytes, of what is looked up in the middle of a text.
const WINDOWS: [usize; 4] = [8, 4, 2, 1];

/// A list of globs.
#[derive(Debug, Clone, Default)]
pub(crate) struct GlobSet {
    globs: Vec<Box<str>>,
    /// Keys with the places of their globs, sorted, so that the globs of one key stand side by side in list order.
    places: Vec<(u64, u32)>,
    /// Where a key starts in `places`.
    starts: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    /// How long the looked-up starts are, sorted.
    prefixes: Vec<usize>,
    /// How long the looked-up ends are, sorted.
    suffixes: Vec<usize>,
    /// Which of the `WINDOWS` are in use.
    windows: [bool; WINDOWS.len()],
    /// Globs that are all wildcards.
    wild: Vec<u32>,
}

/// What a glob can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Whole,
    Prefix(usize),
    Suffix(usize),
    Window(usize),
}

impl GlobSet {
    /// Takes the globs in the order of their list.
    pub(crate) fn new<T: Into<Box<str>>>(globs: impl IntoIterator<Item = T>) -> Self {
        let globs: Vec<Box<str>> = globs.into_iter().map(Into::into).collect();
        let candidates: Vec<_> = globs.iter().map(|glob| pieces(glob)).collect();
        let mut shared: HashMap<u64, u32> = HashMap::new();
        for (_, key) in candidates.iter().flatten() {
            *shared.entry(*key).or_default() += 1;
        }
        let mut set = Self { globs, ..Self::default() };
        for (index, candidates) in (0..).zip(candidates) {
            // `min_by_key` keeps the first of equals, so a start is preferred to an end, and an end to a middle.
            match candidates.into_iter().min_by_key(|(_, key)| shared.get(key).copied()) {
                Some((piece, key)) => set.add(piece, key, index),
                None if set.wild.iter().any(|&other| set.globs[other as usize] == set.globs[index as usize]) => {}
                None => set.wild.push(index),
            }
        }
        set.finish()
    }

    fn add(&mut self, piece: Piece, key: u64, index: u32) {
        self.places.push((key, index));
        match piece {
            Piece::Whole => {}
            Piece::Prefix(length) => self.prefixes.push(length),
            Piece::Suffix(length) => self.suffixes.push(length),
            Piece::Window(class) => self.windows[class] = true,
        }
    }

    fn finish(mut self) -> Self {
        self.places.sort_unstable();
        for (at, &(key, _)) in (0..).zip(&self.places) {
            self.starts.entry(key).or_insert(at);
        }
        for lengths in [&mut self.prefixes, &mut self.suffixes] {
            lengths.sort_unstable();
            lengths.dedup();
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// The glob at a place that was found.
    pub(crate) fn text(&self, place: usize) -> &str {
        &self.globs[place]
    }

    /// True when the text itself, which is not empty, is on the list without any wildcard.
    pub(crate) fn names(&self, text: &str) -> bool {
        !text.is_empty()
            && !text.contains(['*', '?'])
            && self.found(key(Piece::Whole, hash(text.bytes())), text, u32::MAX).is_some()
    }

    /// The place of the first glob that matches any of the texts; empty texts match nothing.
    pub(crate) fn first_of(&self, texts: &[&str]) -> Option<usize> {
        texts.iter().filter(|text| !text.is_empty()).filter_map(|text| self.first(text)).min()
    }

    /// The place of the first glob that matches the whole of the text.
    pub(crate) fn first(&self, text: &str) -> Option<usize> {
        if self.globs.is_empty() {
            return None;
        }
        let wild = self.wild.iter().copied().find(|&index| glob::matches(&self.globs[index as usize], text));
        let mut best = wild.unwrap_or(u32::MAX);
        let mut look = |key| best = self.found(key, text, best).unwrap_or(best);
        look(key(Piece::Whole, hash(text.bytes())));
        look_up_ends(&self.prefixes, text.bytes(), |length, hash| look(key(Piece::Prefix(length), hash)));
        look_up_ends(&self.suffixes, text.bytes().rev(), |length, hash| look(key(Piece::Suffix(length), hash)));
        for class in (0..WINDOWS.len()).filter(|&class| self.windows[class]) {
            for window in text.as_bytes().windows(WINDOWS[class]) {
                look(key(Piece::Window(class), word(window)));
            }
        }
        (best != u32::MAX).then_some(best as usize)
    }

    /// The first glob of a key that matches, if it comes before `limit`.
    fn found(&self, key: u64, text: &str, limit: u32) -> Option<u32> {
        let &start = self.starts.get(&key)?;
        let run = self.places[start as usize..].iter().take_while(|place| place.0 == key && place.1 < limit);
        run.map(|place| place.1).find(|&index| glob::matches(&self.globs[index as usize], text))
    }
}

/// Hashes of the first `length` bytes, for each of the rising lengths that there are bytes for.
fn look_up_ends(lengths: &[usize], bytes: impl ExactSizeIterator<Item = u8>, mut look: impl FnMut(usize, u64)) {
    let (total, mut bytes, mut done, mut hash) = (bytes.len(), bytes, 0, SEED);
    for &length in lengths.iter().take_while(|&&length| length <= total) {
        hash = bytes.by_ref().take(length - done).fold(hash, step);
        done = length;
        look(length, hash);
    }
}

/// All that a glob can be found by, the best first; nothing for one that is all wildcards.
fn pieces(glob: &str) -> Vec<(Piece, u64)> {
    let literals: Vec<&str> = glob.split(['*', '?']).collect();
    let [prefix, middle @ .., suffix] = literals.as_slice() else {
        return vec![(Piece::Whole, key(Piece::Whole, hash(glob.bytes())))];
    };
    let mut found = Vec::new();
    if !prefix.is_empty() {
        let piece = Piece::Prefix(prefix.len());
        found.push((piece, key(piece, hash(prefix.bytes()))));
    }
    if !suffix.is_empty() {
        let piece = Piece::Suffix(suffix.len());
        found.push((piece, key(piece, hash(suffix.bytes().rev()))));
    }
    for literal in middle.iter().map(|literal| literal.as_bytes()) {
        let Some(class) = WINDOWS.iter().position(|&width| width <= literal.len()) else { continue };
        let (first, last) = (&literal[..WINDOWS[class]], &literal[literal.len() - WINDOWS[class]..]);
        found.extend([first, last].map(|window| (Piece::Window(class), key(Piece::Window(class), word(window)))));
    }
    found
}

const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;
/// An odd number with well-mixed bits (that of FNV-1a, 64 bits wide).
const FACTOR: u64 = 0x0100_0000_01b3;

/// One byte more. A collision costs a match in vain and nothing else, and the keys come from the policy alone.
fn step(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(FACTOR)
}

fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(SEED, step)
}

fn word(window: &[u8]) -> u64 {
    window.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn key(piece: Piece, hash: u64) -> u64 {
    let kind = match piece {
        Piece::Whole => 0,
        Piece::Prefix(_) => 1,
        Piece::Suffix(_) => 2,
        Piece::Window(class) => 3 + class as u64,
    };
    (hash ^ kind << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// Keys are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| step(hash, byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(globs: &[String], text: &str) -> Option<usize> {
        globs.iter().position(|entry| glob::matches(entry, text))
    }

    proptest! {
        /// A look-up names the first glob of the list that matches, as a walk through the list does.
        #[test]
        fn names_the_first_glob_that_matches(
            globs in prop::collection::vec("[ab/é*?]{0,7}|[a-c]{6,20}[*][ab]{0,9}|[*][ab]{7,10}[*]", 0..20),
            text in "[ab/é]{0,9}|[a-c]{4,22}",
        ) {
            prop_assert_eq!(GlobSet::new(globs.clone()).first(&text), naive(&globs, &text));
        }

        /// So it is for a text that was made to fit one of the globs, wherever in the list that stands.
        #[test]
        fn finds_what_was_made_to_fit(
            globs in prop::collection::vec("([a-d]{0,9}[*?]?){1,4}", 1..30), chosen: prop::sample::Index,
            filling in prop::collection::vec("[a-d]{0,4}", 12),
        ) {
            let mut filling = filling.into_iter();
            let fill = |letter: char| match letter {
                '*' => filling.next().unwrap_or_default(),
                '?' => "d".to_owned(),
                letter => letter.to_string(),
            };
            let text: String = globs[chosen.index(globs.len())].chars().map(fill).collect();
            let first = GlobSet::new(globs.clone()).first(&text);
            prop_assert_eq!(first, naive(&globs, &text));
            prop_assert!(first.is_some());
        }

        /// A text is named by a list exactly when an entry without wildcards is that text.
        #[test]
        fn names_only_what_is_written_out(globs in prop::collection::vec("[ab*?]{0,3}", 0..12), text in "[ab]{1,3}") {
            prop_assert_eq!(GlobSet::new(globs.clone()).names(&text), globs.contains(&text));
        }
    }
}
