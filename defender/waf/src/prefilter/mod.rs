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
    /// What it asks of values of an alphabet; nothing when it holds for none.
    fn demand(&self, alphabet: &ByteSet) -> Option<Demand> {
        match self {
            Self::Pattern(pattern) if *alphabet == ByteSet::ALL => Some(Demand::of(pattern)),
            Self::Pattern(pattern) => alphabet::within(pattern, alphabet).map(|pattern| Demand::of(&pattern)),
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
            Self::Anything => Some(Demand::default()),
        }
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

impl Prefilter {
    /// Takes the questions in; each is known by its place from here on.
    ///
    /// # Errors
    /// In words, for more questions or words than the tables can hold (65,536 questions, some millions of words).
    pub fn new(questions: &[Question]) -> Result<Self, String> {
        if questions.len() > usize::from(u16::MAX) {
            return Err(format!("{} questions are more than a filter can hold", questions.len()));
        }
        let alphabets: [ByteSet; LAYERS] = [alphabet::NAMES, alphabet::WORDS, alphabet::UNFILLED, ByteSet::ALL];
        let layers = alphabets
            .into_iter()
            .map(|alphabet| {
                let demands: Vec<Option<Demand>> =
                    questions.iter().map(|question| question.demand(&alphabet)).collect();
                Layer::new(alphabet, demands)
                    .map_err(|error| format!("the words of the rules cannot be joined: {error}"))
            })
            .collect::<Result<_, _>>()?;
        let is_sql = |(_, question): &(usize, &Question)| matches!(question, Question::SqlInjection);
        let sql = questions.iter().enumerate().filter(is_sql).map(|(place, _)| place).collect();
        Ok(Self { questions: questions.len(), layers, sql, sql_words: SqlWords::new() })
    }

    /// The places of the questions that may hold for the value; none that is left out can.
    pub fn candidates(&self, value: &[u8], scratch: &mut Scratch, found: &mut BitSet) {
        self.candidates_of(value, &ByteSet::of(value), scratch, found);
    }

    /// As [`Prefilter::candidates`], for a value whose bytes are known.
    pub fn candidates_of(&self, value: &[u8], present: &ByteSet, scratch: &mut Scratch, found: &mut BitSet) {
        let mut named = Named { questions: std::mem::take(&mut scratch.named), known: None };
        self.candidates_with(value, present, scratch, &mut named, found);
        scratch.named = named.questions;
    }

    /// As [`Prefilter::candidates_of`]; the words that are found, or were found before, are kept in `named`.
    pub(crate) fn candidates_with(
        &self,
        value: &[u8],
        present: &ByteSet,
        scratch: &mut Scratch,
        named: &mut Named,
        found: &mut BitSet,
    ) {
        found.reset(self.questions.max(1));
        let Some(place) = self.layer_of(present) else { return };
        let layer = &self.layers[place];
        let words = (&mut named.questions, named.known == Some(place));
        named.known = layer.candidates(value, present, &mut scratch.kept, words, found).then_some(place);
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
