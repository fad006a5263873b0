//! Sets of bytes and of question numbers, as words of bits.

/// A set of byte values, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The bytes that occur in a value.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        // Two halves, so that one byte need not wait for the one before it to be stored.
        let (mut even, mut odd) = ([0_u64; 4], [0_u64; 4]);
        let mut pairs = value.chunks_exact(2);
        for pair in &mut pairs {
            even[usize::from(pair[0] >> 6)] |= 1 << (pair[0] & 63);
            odd[usize::from(pair[1] >> 6)] |= 1 << (pair[1] & 63);
        }
        for byte in pairs.remainder() {
            even[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        Self([even[0] | odd[0], even[1] | odd[1], even[2] | odd[2], even[3] | odd[3]])
    }

    /// These bytes; as [`ByteSet::of`], in constants.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut place = 0;
        while place < bytes.len() {
            set = set.with(bytes[place], bytes[place]);
            place += 1;
        }
        set
    }

    /// The set with the bytes from `low` to `high`, both included.
    #[must_use]
    pub const fn with(mut self, low: u8, high: u8) -> Self {
        let mut byte = low as usize;
        while byte <= high as usize {
            self.0[byte >> 6] |= 1 << (byte & 63);
            byte += 1;
        }
        self
    }

    /// Whether a byte is in it.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// The bytes of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let (one, two) = (self.0, other.0);
        Self([one[0] & two[0], one[1] & two[1], one[2] & two[2], one[3] & two[3]])
    }

    /// The bytes of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        let (one, two) = (self.0, other.0);
        Self([one[0] | two[0], one[1] | two[1], one[2] | two[2], one[3] | two[3]])
    }

    /// All other bytes.
    #[must_use]
    pub const fn others(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// Whether no byte is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// Whether the two have a byte in common.
    #[must_use]
    pub const fn meets(&self, other: &Self) -> bool {
        !self.and(*other).is_empty()
    }

    /// Whether all its bytes are in the other.
    #[must_use]
    pub const fn is_within(&self, other: &Self) -> bool {
        self.and(other.others()).is_empty()
    }

    /// How many bytes are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        let [a, b, c, d] = self.0;
        (a.count_ones() + b.count_ones() + c.count_ones() + d.count_ones()) as usize
    }

    /// Its bytes, the lowest first.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<> {
        Ones::new(self.0).map(|place| place as u8)
    }
}

/// A set of small numbers: of questions, by their place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BitSet(Vec<u64>);

impl BitSet {
    /// An empty set with room for numbers below `count`.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// Empties it and makes room for numbers below `count`; allocates only when it must grow.
    #[inline]
    pub fn reset(&mut self, count: usize) {
        self.0.clear();
        self.0.resize(count.div_ceil(64), 0);
    }

    /// Adds a number; one beyond its room is not kept.
    #[inline]
    pub fn insert(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Takes a number out.
    #[inline]
    pub fn remove(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Whether a number is in it.
    #[inline]
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Whether it holds nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many numbers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Its numbers, the lowest first.
    #[inline]
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(place, word)| Ones::new([*word]).map(move |bit| place * 64 + bit))
    }

    /// Adds all numbers of another set; those beyond its room are not kept.
    #[inline]
    pub fn add_all(&mut self, other: &Self) {
        for (mine, more) in self.0.iter_mut().zip(&other.0) {
            *mine |= more;
        }
    }

    /// Adds the numbers that two other sets have in common.
    #[inline]
    pub fn add_common(&mut self, one: &Self, two: &Self) {
        for ((mine, one), two) in self.0.iter_mut().zip(&one.0).zip(&two.0) {
            *mine |= one & two;
        }
    }

    /// Keeps only the numbers that another set has as well.
    #[inline]
    pub fn keep(&mut self, other: &Self) {
        for (mine, kept) in self.0.iter_mut().zip(&other.0) {
            *mine &= kept;
        }
    }

    /// Takes out all numbers of another set.
    #[inline]
    pub fn drop_all(&mut self, other: &Self) {
        for (mine, dropped) in self.0.iter_mut().zip(&other.0) {
            *mine &= !dropped;
        }
    }

    /// Becomes another set; allocates only when it must grow.
    #[inline]
    pub fn copy(&mut self, other: &Self) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// Whether the two have a number in common.
    #[inline]
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, two)| one & two != 0)
    }

    /// Whether the three have a number in common.
    #[inline]
    #[must_use]
    pub fn meets_both(&self, one: &Self, two: &Self) -> bool {
        self.0.iter().zip(&one.0).zip(&two.0).any(|((mine, one), two)| mine & one & two != 0)
    }

    /// Its words, 64 numbers each, the lowest in the lowest bit.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl FromIterator<usize> for BitSet {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            if set.0.len() <= number / 64 {
                set.0.resize(number / 64 + 1, 0);
            }
            set.insert(number);
        }
        set
    }
}

/// The places of the ones in some words.
struct Ones<const N: usize> {
    words: [u64; N],
    word: usize,
}

impl<const N: usize> Ones<N> {
    fn new(words: [u64; N]) -> Self {
        Self { words, word: 0 }
    }
}

impl<const N: usize> Iterator for Ones<N> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while let Some(word) = self.words.get_mut(self.word) {
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(self.word * 64 + bit);
            }
            self.word += 1;
        }
        None
    }
}
