//! The tables for values of one alphabet: which questions can hold for such a value at all, by its length, its bytes and the
//! words in it.

use aho_corasick::{
    Anchored, BuildError, MatchKind,
    automaton::{Automaton, StateID},
    dfa::DFA,
    nfa::{contiguous, noncontiguous},
};

use super::{
    demand::{Demand, SETS},
    sets::{BitSet, ByteSet},
};

/// Longer demands count as this long.
const LONGEST: usize = 32;

/// Tables of words up to so many bytes are laid out for speed.
const DENSE_BYTES: usize = 2 << 20;

/// The automaton of all words.
#[derive(Debug, Clone)]
enum Words {
    /// A row for each state.
    Dense(DFA),
    /// A list of transitions for each state: slower, a tenth of the size.
    Compact(contiguous::NFA),
}

impl Words {
    fn new(words: &[&[u8]]) -> Result<Self, BuildError> {
        let mut builder = noncontiguous::NFA::builder();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard);
        let automaton = builder.build(words)?;
        // A state for each byte at most; its row has 4 bytes for each of some 50 classes of bytes.
        if words.iter().map(|word| word.len()).sum::<usize>() * 256 <= DENSE_BYTES {
            let dense =
                DFA::builder().start_kind(aho_corasick::StartKind::Unanchored).build_from_noncontiguous(&automaton)?;
            return Ok(Self::Dense(dense));
        }
        contiguous::NFA::builder().build_from_noncontiguous(&automaton).map(Self::Compact)
    }

    /// Tells of every word of the value, as often as it occurs.
    #[inline]
    fn each(&self, value: &[u8], see: impl FnMut(usize)) {
        match self {
            Self::Dense(automaton) => each_word(automaton, value, see),
            Self::Compact(automaton) => each_word(automaton, value, see),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Dense(automaton) => automaton.memory_usage(),
            Self::Compact(automaton) => automaton.memory_usage(),
        }
    }
}

fn each_word<A: Automaton>(automaton: &A, value: &[u8], mut see: impl FnMut(usize)) {
    let Ok(mut state): Result<StateID, _> = automaton.start_state(Anchored::No) else { return };
    for byte in value {
        state = automaton.next_state(Anchored::No, state, *byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            for index in 0..automaton.match_len(state) {
                see(automaton.match_pattern(state, index).as_usize());
            }
        }
    }
}

/// Shows the places of all ones.
#[inline]
fn each_bit(mut bits: u64, mut see: impl FnMut(usize)) {
    while bits != 0 {
        see(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// So many ones, from the lowest on, at most 64.
const fn ones_below(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// The tables of one alphabet.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Values with other bytes are not for this layer.
    pub alphabet: ByteSet,
    /// The questions that can hold for such values at all, those that ask for no word first; the tables below know each by its
    /// place here.
    questions: Vec<u16>,
    /// So many ask for no word.
    free: usize,
    /// Words of 64 of these questions, and of those among them that have one that asks for no word.
    width: usize,
    free_width: usize,
    /// By length: the questions that do not ask for more.
    by_length: Vec<u64>,
    /// By set, of the questions that ask for no word: those without one.
    free_of_set: Vec<u64>,
    /// By byte, then by set, of the same questions: those whose set has the byte. Only of relevant bytes.
    by_byte: Vec<u64>,
    /// By byte: its row in `by_byte`.
    rows: Box<[u8; 256]>,
    relevant: ByteSet,
    /// By question: its sets.
    sets: Vec<Vec<ByteSet>>,
    words: Option<Words>,
    /// By word of the automaton: where its questions begin in `asked`.
    askers: Vec<u32>,
    asked: Vec<u16>,
}

impl Layer {
    /// The tables of an alphabet. `demands` are those of the questions, nothing for one that no such value can meet.
    pub fn new(alphabet: ByteSet, demands: Vec<Option<Demand>>) -> Result<Self, BuildError> {
        let mut possible: Vec<(u16, Demand)> =
            demands.into_iter().enumerate().filter_map(|(number, demand)| Some((number as u16, demand?))).collect();
        possible.sort_by_key(|(_, demand)| !demand.words.is_empty());
        let (questions, demands): (Vec<u16>, Vec<Demand>) = possible.into_iter().unzip();
        let free = demands.iter().take_while(|demand| demand.words.is_empty()).count();
        let (width, free_width) = (demands.len().div_ceil(64).max(1), free.div_ceil(64));
        let mut layer = Self {
            alphabet,
            questions,
            free,
            width,
            free_width,
            by_length: vec![0; (LONGEST + 1) * width],
            free_of_set: vec![0; SETS * free_width],
            by_byte: Vec::new(),
            rows: Box::new([0; 256]),
            relevant: ByteSet::EMPTY,
            sets: demands.iter().map(|demand| demand.sets.clone()).collect(),
            words: None,
            askers: Vec::new(),
            asked: Vec::new(),
        };
        for (number, demand) in demands.iter().enumerate() {
            layer.add_shape(number, demand);
        }
        layer.add_bytes(&demands[..free]);
        layer.add_words(&demands)?;
        Ok(layer)
    }

    /// The questions that can hold for values of this alphabet, of so many.
    pub fn possible(&self, questions: usize) -> BitSet {
        let mut possible = BitSet::new(questions.max(1));
        self.questions.iter().for_each(|number| possible.insert(usize::from(*number)));
        possible
    }

    /// Those of some questions that can hold here, by their places here.
    pub fn mask(&self, asked: &BitSet) -> Vec<u64> {
        let mut mask = vec![0; self.width];
        for (place, number) in self.questions.iter().enumerate() {
            mask[place / 64] |= u64::from(asked.contains(usize::from(*number))) << (place % 64);
        }
        mask
    }

    /// Adds what does not depend on the bytes of values.
    fn add_shape(&mut self, number: usize, demand: &Demand) {
        let (word, bit) = (number / 64, 1_u64 << (number % 64));
        for length in demand.length.min(LONGEST)..=LONGEST {
            self.by_length[length * self.width + word] |= bit;
        }
        if number < self.free {
            for set in demand.sets.len()..SETS {
                self.free_of_set[set * self.free_width + word] |= bit;
            }
        }
    }

    /// Makes the rows of the bytes that some set of a question without words has.
    fn add_bytes(&mut self, demands: &[Demand]) {
        let sets = demands.iter().flat_map(|demand| &demand.sets);
        self.relevant = sets.fold(ByteSet::EMPTY, |all, set| all.or(*set)).and(self.alphabet);
        let length = SETS * self.free_width;
        for (row, byte) in self.relevant.bytes().enumerate() {
            self.rows[usize::from(byte)] = row as u8;
            let mut bits = vec![0_u64; length];
            for (number, demand) in demands.iter().enumerate() {
                for (set, bytes) in demand.sets.iter().enumerate() {
                    bits[set * self.free_width + number / 64] |= u64::from(bytes.contains(byte)) << (number % 64);
                }
            }
            self.by_byte.extend(bits);
        }
    }

    /// Builds the automaton of all words.
    fn add_words(&mut self, demands: &[Demand]) -> Result<(), BuildError> {
        let mut pairs: Vec<(&[u8], u16)> = demands
            .iter()
            .enumerate()
            .flat_map(|(number, demand)| demand.words.iter().map(move |word| (&word[..], number as u16)))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut words: Vec<&[u8]> = Vec::new();
        for (word, number) in pairs {
            if words.last() != Some(&word) {
                words.push(word);
                self.askers.push(self.asked.len() as u32);
            }
            self.asked.push(number);
        }
        self.askers.push(self.asked.len() as u32);
        if !words.is_empty() {
            self.words = Some(Words::new(&words)?);
        }
        Ok(())
    }

    /// Puts the questions that may hold for the value into `found`, which is empty and wide enough. `present` are the value's
    /// bytes, all of the alphabet. `asked` are the questions to tell of, if not all. `named` are the questions of which a word is in the value: found now, or known if `known`.
    /// Tells whether they are known afterwards.
    pub fn candidates(
        &self,
        (value, present): (&[u8], &ByteSet),
        asked: Option<&[u64]>,
        kept: &mut Vec<u64>,
        (named, known): (&mut BitSet, bool),
        found: &mut BitSet,
    ) -> bool {
        let start = value.len().min(LONGEST) * self.width;
        let fits = &self.by_length[start..start + self.width];
        let fits = |place: usize| fits[place] & asked.map_or(u64::MAX, |asked| asked[place]);
        self.free_by_bytes(present, kept);
        for (place, kept) in kept[..self.free_width].iter().enumerate() {
            each_bit(kept & fits(place), |bit| found.insert(usize::from(self.questions[place * 64 + bit])));
        }
        let with_words = |place: usize| fits(place) & !ones_below(self.free.saturating_sub(place * 64));
        let Some(words) = &self.words else { return known };
        if !known {
            if (0..self.width).all(|place| with_words(place) == 0) {
                return false;
            }
            named.reset(self.width * 64);
            let named = named.words_mut();
            words.each(value, |word| {
                for number in self.askers_of(word) {
                    named[usize::from(number / 64)] |= 1 << (number % 64);
                }
            });
        }
        for (place, named) in named.words().iter().enumerate().take(self.width) {
            each_bit(with_words(place) & named, |bit| {
                let number = place * 64 + bit;
                if self.sets[number].iter().all(|set| set.meets(present)) {
                    found.insert(usize::from(self.questions[number]));
                }
            });
        }
        true
    }

    #[inline]
    fn askers_of(&self, word: usize) -> impl Iterator<Item = u16> + '_ {
        let place = |number: usize| self.askers.get(number).map_or(self.asked.len(), |place| *place as usize);
        self.asked.get(place(word)..place(word + 1)).unwrap_or_default().iter().copied()
    }

    /// Puts into `kept` the questions without words of whose sets the value has a byte each.
    fn free_by_bytes(&self, present: &ByteSet, kept: &mut Vec<u64>) {
        let width = self.free_width;
        kept.clear();
        kept.extend_from_slice(&self.free_of_set);
        for byte in present.and(self.relevant).bytes() {
            let row = usize::from(self.rows[usize::from(byte)]) * SETS * width;
            for (kept, met) in kept.iter_mut().zip(&self.by_byte[row..row + SETS * width]) {
                *kept |= met;
            }
        }
        for place in 0..width {
            kept[place] = (1..SETS).fold(kept[place], |all, set| all & kept[set * width + place]);
        }
    }

    /// Bytes of memory, about.
    pub fn memory(&self) -> usize {
        let sets = self.sets.iter().map(|sets| 3 + sets.len() * 4).sum::<usize>();
        let words = self.by_length.len() + self.free_of_set.len() + self.by_byte.len() + sets;
        let automaton = self.words.as_ref().map_or(0, Words::memory);
        words * 8 + automaton + self.askers.len() * 4 + self.asked.len() * 2 + 256
    }
}
