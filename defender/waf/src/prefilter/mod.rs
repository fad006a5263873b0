//! Which of many questions cannot hold for a value, told without asking them.
//!
//! A request of thirty values and two hundred patterns is six thousand questions, of which a dozen can hold. For each
//! [`Question`] it is known what a value must have: a length, some bytes, one of some words (`demand`); all that is looked
//! for at once (`layer`). It is known again for values of some alphabets, in which most patterns cannot match at all and
//! the others are simpler (`alphabet`).
//!
//! The answer is exact in one direction: a question that is left out cannot hold. It is the value as it stands that counts;
//! after a transformation that changed it, it is another value.

mod alphabet;
mod demand;
mod frequency;
mod injection;
mod layer;
mod sets;
mod triggers;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use regex_syntax::hir::Hir;

pub use sets::{BitSet, ByteSet};
pub(crate) use triggers::{MARKS, stays_within};
pub use triggers::{Shape, TransformationTriggers};

use demand::Demand;
use injection::SqlWords;
use layer::Layer;

/// How many alphabets there are tables for.
pub(crate) const LAYERS: usize = 4;

/// What an operator asks of a value.
#[derive(Debug, Clone)]
pub enum Question {
    /// `@rx`: the pattern, over bytes.
    Pattern(Hir),
    /// The same, read before.
    Read(Box<Demands>),
    /// `@pm`: one of these words occurs, without regard to case.
    Words(Vec<Vec<u8>>),
    /// `@detectSQLi`.
    SqlInjection,
    /// `@detectXSS`.
    CrossSiteScripting,
    /// `@validateByteRange` and its kin: one of these bytes occurs.
    Bytes(ByteSet),
    /// `@contains` and others that may hold for any value; and all that are negated.
    Anything,
}

impl Question {
    /// What it asks of values of each alphabet, from the largest to the smallest; nothing where it holds for none.
    fn demands(self) -> Demands {
        match self {
            Self::Pattern(pattern) => Demands::of(&pattern),
            Self::Read(demands) => *demands,
            other => Demands(ALPHABETS.map(|alphabet| other.demand(&alphabet))),
        }
    }

    /// What anything but a pattern asks of values of an alphabet.
    fn demand(&self, alphabet: &ByteSet) -> Option<Demand> {
        match self {
            Self::Words(words) => {
                let fits = |word: &&Vec<u8>| word.iter().all(|byte| is_within_either_case(*byte, alphabet));
                let left: Vec<Vec<u8>> = words.iter().filter(fits).cloned().collect();
                (!left.is_empty()).then(|| Demand::of_words(&left))
            }
            Self::SqlInjection => injection::of_sql(alphabet),
            Self::CrossSiteScripting => injection::of_script(alphabet),
            Self::Bytes(bytes) => {
                let left = bytes.and(*alphabet);
                (!left.is_empty()).then(|| Demand { length: 1, words: Vec::new(), sets: vec![left] })
            }
            Self::Anything | Self::Pattern(_) | Self::Read(_) => Some(Demand::default()),
        }
    }
}

/// What a pattern asks of values of each alphabet: much smaller than the pattern's tree.
#[derive(Debug, Clone)]
pub struct Demands([Option<Demand>; LAYERS]);

impl Demands {
    /// What a pattern asks.
    #[must_use]
    pub fn of(pattern: &Hir) -> Self {
        // Each alphabet is part of the one before it, so that what is left for that one is enough to look at.
        let mut left = Some(Cow::Borrowed(pattern));
        Self(ALPHABETS.map(|alphabet| {
            if alphabet != ByteSet::ALL {
                left = left.as_ref().and_then(|pattern| alphabet::within(pattern, &alphabet)).map(Cow::Owned);
            }
            left.as_deref().map(Demand::of)
        }))
    }
}

/// Whether the alphabet has the byte in one case or the other.
fn is_within_either_case(byte: u8, alphabet: &ByteSet) -> bool {
    alphabet.contains(byte.to_ascii_lowercase()) || alphabet.contains(byte.to_ascii_uppercase())
}

/// Many questions, ready to be told apart.
#[derive(Debug, Clone)]
pub struct Prefilter {
    questions: usize,
    /// From the smallest alphabet to all bytes.
    layers: Vec<Layer>,
    /// The places of `@detectSQLi`, and what it is asked for in values of words.
    sql: Vec<usize>,
    sql_words: SqlWords,
}

/// Room that [`Prefilter::candidates`] works in; kept from value to value, nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    kept: Vec<u64>,
    named: BitSet,
}

/// The questions of which a word is in a value, once they are known, as the layer of the value numbers them. A value in other
/// case has the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    pub questions: BitSet,
    /// The layer.
    pub known: Option<usize>,
}

/// The alphabets, from all bytes to the fewest; each is part of the one before it.
const ALPHABETS: [ByteSet; LAYERS] = [ByteSet::ALL, alphabet::UNFILLED, alphabet::WORDS, alphabet::NAMES];

/// Takes questions in one by one, so that none need be kept.
#[derive(Debug, Default)]
pub struct Builder {
    /// By alphabet, what each question asks.
    demands: [Vec<Option<Demand>>; LAYERS],
    sql: Vec<usize>,
}

impl Builder {
    /// Takes a question in; it is known by its place among all of them.
    pub fn add(&mut self, question: Question) {
        if matches!(question, Question::SqlInjection) {
            self.sql.push(self.len());
        }
        for (demands, demand) in self.demands.iter_mut().zip(question.demands().0) {
            demands.push(demand);
        }
    }

    /// How many questions there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.demands[0].len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the tables.
    ///
    /// # Errors
    /// In words, for more questions or words than the tables can hold (65,536 questions, some millions of words).
    pub fn build(self) -> Result<Prefilter, String> {
        let questions = self.len();
        if questions > usize::from(u16::MAX) {
            return Err(format!("{questions} questions are more than a filter can hold"));
        }
        let layers = ALPHABETS.into_iter().zip(self.demands).rev().map(|(alphabet, demands)| {
            Layer::new(alphabet, demands).map_err(|error| format!("the words of the rules cannot be joined: {error}"))
        });
        Ok(Prefilter {
            questions,
            layers: layers.collect::<Result<_, _>>()?,
            sql: self.sql,
            sql_words: SqlWords::new(),
        })
    }
}

/// Some questions, as each layer numbers them.
#[derive(Debug, Default)]
pub(crate) struct Masks([Vec<u64>; LAYERS]);

impl Prefilter {
    /// Takes the questions in; each is known by its place from here on.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(questions: &[Question]) -> Result<Self, String> {
        let mut builder = Builder::default();
        for question in questions {
            builder.add(question.clone());
        }
        builder.build()
    }

    /// These questions, so that [`Prefilter::candidates_with`] tells of them only.
    pub(crate) fn masks(&self, asked: &BitSet) -> Masks {
        Masks(std::array::from_fn(|layer| self.layers.get(layer).map(|layer| layer.mask(asked)).unwrap_or_default()))
    }

    /// The places of the questions that may hold for the value; none that is left out can.
    pub fn candidates(&self, value: &[u8], scratch: &mut Scratch, found: &mut BitSet) {
        self.candidates_of(value, &ByteSet::of(value), scratch, found);
    }

    /// As [`Prefilter::candidates`], for a value whose bytes are known.
    pub fn candidates_of(&self, value: &[u8], present: &ByteSet, scratch: &mut Scratch, found: &mut BitSet) {
        let mut named = Named { questions: std::mem::take(&mut scratch.named), known: None };
        self.candidates_with((value, present), None, scratch, &mut named, found);
        scratch.named = named.questions;
    }

    /// As [`Prefilter::candidates_of`], of some questions; the words that are found, or were found before, are kept in `named`.
    pub(crate) fn candidates_with(
        &self,
        (value, present): (&[u8], &ByteSet),
        asked: Option<&Masks>,
        scratch: &mut Scratch,
        named: &mut Named,
        found: &mut BitSet,
    ) {
        found.reset(self.questions.max(1));
        let Some(place) = self.layer_of(present) else { return };
        let layer = &self.layers[place];
        let words = (&mut named.questions, named.known == Some(place));
        let asked = asked.and_then(|asked| asked.0.get(place)).map(Vec::as_slice);
        named.known = layer.candidates((value, present), asked, &mut scratch.kept, words, found).then_some(place);
        let sql = self.sql.iter().any(|place| found.contains(*place));
        if sql && !self.sql_words.may_hold(value, present) {
            self.sql.iter().for_each(|place| found.remove(*place));
        }
    }

    /// The layer of values of these bytes; the last is of all others.
    pub(crate) fn layer_of(&self, present: &ByteSet) -> Option<usize> {
        self.layers.iter().position(|layer| present.is_within(&layer.alphabet))
    }

    /// The alphabet of each layer, and the questions that can hold for values of it at all.
    pub(crate) fn possible(&self) -> impl Iterator<Item = (ByteSet, BitSet)> + '_ {
        self.layers.iter().map(|layer| (layer.alphabet, layer.possible(self.questions)))
    }

    /// How many questions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions
    }

    /// Whether there is no question.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions == 0
    }

    /// Bytes of memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.layers.iter().map(Layer::memory).sum()
    }
}
