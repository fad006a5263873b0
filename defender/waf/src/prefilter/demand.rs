//! What every value that a pattern matches must have: words, bytes, a length. Read off the pattern's syntax tree.
//!
//! The way of Russ Cox's "Regular Expression Matching with a Trigram Index" and of RE2's prefilter: each node tells the
//! strings that it matches, when they are few, and otherwise a set of strings of which one must occur. Strings are in lower
//! case throughout, so that a pattern without regard to case has as few as any other.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::{alphabet::bytes_of, frequency, sets::ByteSet};

/// Strings that one node may stand for before it counts as anything; alternatives and joined parts.
const MOST_STRINGS: usize = 4096;
const MOST_JOINED: usize = 128;
/// Longer strings gain nothing; a part of a required string is required as well.
const LONGEST: usize = 16;
/// Sets of bytes kept for one node, and for one question.
const NODE_SETS: usize = 6;
pub(super) const SETS: usize = 3;

const LETTERS: ByteSet = ByteSet::EMPTY.with(b'0', b'9').with(b'A', b'Z').with(b'a', b'z');

/// What a value must have to be matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Fewest bytes.
    pub length: usize,
    /// One of these must occur, in whatever case; lower case here, two bytes or more. Empty when nothing is known.
    pub words: Vec<Vec<u8>>,
    /// Of each set one byte must occur; the rarest first, at most [`SETS`].
    pub sets: Vec<ByteSet>,
}

impl Demand {
    /// What the pattern asks of every value.
    pub fn of(pattern: &Hir) -> Self {
        let mut part = Part::of(pattern);
        part.close();
        let (mut sets, words) = (part.sets, part.words.unwrap_or_default());
        // Letters are in nearly every value, and the words tell more than they.
        sets.retain(|set| words.is_empty() || !set.meets(&LETTERS));
        keep_rarest(&mut sets, SETS);
        Self { length: pattern.properties().minimum_len().unwrap_or(0), words, sets }
    }

    /// The demand of a list of words of which one must occur without regard to case.
    pub fn of_words(words: &[Vec<u8>]) -> Self {
        let length = words.iter().map(Vec::len).min().unwrap_or(0);
        if length < 2 {
            return Self { length, ..Self::default() };
        }
        let words = words.iter().map(|word| clipped(word.to_ascii_lowercase())).collect();
        Self { length, words, sets: Vec::new() }
    }
}

/// What is known of a part of a pattern.
#[derive(Debug, Clone, Default)]
struct Part {
    /// All strings that it matches, or more, in lower case; nothing when they are too many.
    exact: Option<Vec<Vec<u8>>>,
    /// The best set of strings of which one must occur.
    words: Option<Vec<Vec<u8>>>,
    /// Sets of bytes of each of which one must occur.
    sets: Vec<ByteSet>,
}

impl Part {
    fn of(pattern: &Hir) -> Self {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::exactly(vec![Vec::new()]),
            HirKind::Literal(literal) => {
                let mut part = Self::exactly(vec![literal.0.to_ascii_lowercase()]);
                for byte in &literal.0 {
                    part.add_set(ByteSet::EMPTY.with(*byte, *byte));
                }
                part
            }
            HirKind::Class(Class::Bytes(class)) => Self::one_of(bytes_of(class)),
            HirKind::Class(Class::Unicode(_)) => Self::default(),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repeated) => Self::repeated(repeated),
            HirKind::Concat(parts) => Self::joined(parts.iter().map(Self::of)),
            HirKind::Alternation(branches) => Self::any(branches.iter().map(Self::of).collect()),
        }
    }

    fn exactly(strings: Vec<Vec<u8>>) -> Self {
        Self { exact: Some(strings), ..Self::default() }
    }

    /// A class of bytes.
    fn one_of(bytes: ByteSet) -> Self {
        let mut strings: Vec<Vec<u8>> = bytes.bytes().map(|byte| vec![byte.to_ascii_lowercase()]).collect();
        strings.sort_unstable();
        strings.dedup();
        let exact = (strings.len() <= 12).then_some(strings);
        Self { exact, words: None, sets: vec![bytes] }
    }

    fn repeated(repeated: &Repetition) -> Self {
        let inner = Self::of(&repeated.sub);
        match (repeated.min, repeated.max) {
            (0, Some(0)) => Self::exactly(vec![Vec::new()]),
            (0, Some(1)) => Self::any(vec![inner, Self::exactly(vec![Vec::new()])]),
            (0, _) => Self::default(),
            (least, Some(most)) if least == most && least <= 4 => Self::joined((0..least).map(|_| inner.clone())),
            _ => {
                let mut part = inner;
                part.close();
                part
            }
        }
    }

    /// One part after another.
    fn joined(parts: impl Iterator<Item = Self>) -> Self {
        let mut whole = Self::exactly(vec![Vec::new()]);
        let mut open = true;
        for part in parts {
            for set in &part.sets {
                whole.add_set(*set);
            }
            if let Some(words) = part.words {
                whole.offer(words);
            }
            let run = whole.exact.take().unwrap_or_else(|| vec![Vec::new()]);
            let next = match part.exact {
                Some(strings) if run.len() * strings.len() <= MOST_JOINED || run.len() == 1 || strings.len() == 1 => {
                    Some(product(&run, &strings))
                }
                Some(strings) => {
                    open = false;
                    whole.offer(run);
                    Some(strings)
                }
                None => {
                    open = false;
                    whole.offer(run);
                    None
                }
            };
            whole.exact = next;
        }
        if !open {
            whole.close();
        }
        whole
    }

    /// One of several parts.
    fn any(branches: Vec<Self>) -> Self {
        let exact = union(branches.iter().map(|branch| branch.exact.as_deref()));
        let sets = union_of_sets(&branches);
        if exact.is_some() {
            return Self { exact, words: None, sets };
        }
        let closed: Vec<Self> = branches
            .into_iter()
            .map(|mut branch| {
                branch.close();
                branch
            })
            .collect();
        let words = union(closed.iter().map(|branch| branch.words.as_deref()));
        Self { exact: None, words, sets }
    }

    /// Gives the exact strings up: they become required ones.
    fn close(&mut self) {
        if let Some(strings) = self.exact.take() {
            self.offer(strings);
        }
    }

    /// Takes required strings if they are better than those that are known.
    fn offer(&mut self, strings: Vec<Vec<u8>>) {
        if strings.iter().any(|string| string.len() < 2) {
            return;
        }
        let mut strings: Vec<Vec<u8>> = strings.into_iter().map(clipped).collect();
        strings.sort_unstable();
        strings.dedup();
        let better =
            self.words.as_ref().is_none_or(|known| frequency::of_strings(&strings) < frequency::of_strings(known));
        if better {
            self.words = Some(strings);
        }
    }

    fn add_set(&mut self, set: ByteSet) {
        if self.sets.iter().any(|known| known.is_within(&set)) {
            return;
        }
        self.sets.retain(|known| !set.is_within(known));
        self.sets.push(set);
        keep_rarest(&mut self.sets, NODE_SETS);
    }
}

/// Every string of the first followed by every string of the second.
fn product(first: &[Vec<u8>], second: &[Vec<u8>]) -> Vec<Vec<u8>> {
    first.iter().flat_map(|head| second.iter().map(move |tail| [&head[..], tail].concat())).collect()
}

/// All strings of all; nothing when one of them is unknown or they are too many.
fn union<'p>(sets: impl Iterator<Item = Option<&'p [Vec<u8>]>>) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for set in sets {
        all.extend_from_slice(set?);
        if all.len() > MOST_STRINGS {
            return None;
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// Sets of which one byte must occur whichever branch is taken: of each branch one set, those that make the union rarest.
fn union_of_sets(branches: &[Part]) -> Vec<ByteSet> {
    let mut left: Vec<Vec<ByteSet>> = branches.iter().map(|branch| branch.sets.clone()).collect();
    let mut unions = Vec::new();
    while unions.len() < SETS && left.iter().all(|sets| !sets.is_empty()) {
        let mut whole = ByteSet::EMPTY;
        for sets in &mut left {
            let cost = |set: &ByteSet| frequency::of_set(&set.or(whole));
            let best = (0..sets.len()).min_by(|a, b| cost(&sets[*a]).total_cmp(&cost(&sets[*b]))).unwrap_or(0);
            whole = whole.or(sets.swap_remove(best));
        }
        unions.push(whole);
    }
    unions
}

/// Keeps so many sets, the rarest first, without those that nearly every value meets.
fn keep_rarest(sets: &mut Vec<ByteSet>, most: usize) {
    sets.retain(|set| frequency::of_set(set) < frequency::NEARLY_ALWAYS);
    sets.sort_by(|a, b| frequency::of_set(a).total_cmp(&frequency::of_set(b)));
    sets.dedup();
    sets.truncate(most);
}

/// The rarest part of a string that is longer than needed: its start, but for blanks and repeated bytes.
fn clipped(mut string: Vec<u8>) -> Vec<u8> {
    string.truncate(LONGEST);
    string
}
