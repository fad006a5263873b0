//! What a rule asks of a value. Source: `ModSecurity` reference manual v3, "Operators".

mod automaton;
mod bytes;
mod compile;
mod injection;
mod network;
mod number;
mod pattern;
mod phrase;

use std::{borrow::Cow, net::IpAddr, ops::Range, sync::Arc};

use memchr::memmem;

pub use compile::{OperatorError, compile, question};
pub use injection::fingerprint;
pub(crate) use number::read as number;
pub use pattern::{Pattern, pattern, syntax_tree};
pub use phrase::Phrases;

use crate::{
    prefilter::{ByteSet, Question},
    rule::Template,
};

/// An operator, compiled.
#[derive(Debug, Clone)]
pub enum Operator {
    /// `@rx`: bytes, not text; `.` matches line feeds as well, `$` the very end (RE2 and PCRE2 as CRS uses them).
    Matches(Arc<Pattern>),
    /// `@pm`, `@pmFromFile`: any of the words, without regard to case.
    Words(Arc<Phrases>),
    /// `@streq`.
    Equals(Template),
    /// `@contains`.
    Contains(Template),
    /// `@beginsWith`.
    BeginsWith(Template),
    /// `@endsWith`.
    EndsWith(Template),
    /// `@within`: the value is somewhere in the argument.
    Within(Template),
    /// `@eq`.
    Equal(Template),
    /// `@ge`.
    AtLeast(Template),
    /// `@gt`.
    Above(Template),
    /// `@le`.
    AtMost(Template),
    /// `@lt`.
    Below(Template),
    /// `@ipMatch`: network address and length of its prefix.
    Networks(Arc<[(IpAddr, u8)]>),
    /// `@detectSQLi`.
    SqlInjection,
    /// `@detectXSS`.
    CrossSiteScripting,
    /// `@validateByteRange`: holds when a byte is outside.
    OutsideBytes(Arc<[bool; 256]>),
    /// `@validateUrlEncoding`: holds when a `%` is not followed by two hexadecimal digits.
    BadUrlEncoding,
    /// `@validateUtf8Encoding`: holds when the bytes are no UTF-8.
    BadUtf8,
    /// `@unconditionalMatch` and `SecAction`.
    Always,
    /// `@noMatch`.
    Never,
}

/// What asking took, beyond one quick look at each byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Effort {
    /// In bytes that would be looked at in the same time.
    pub work: u64,
    /// Bytes of automata's states that had to be made. What an ordinary value needs was mostly made for one before it.
    pub made: u64,
}

/// What an operator found: the groups that it captured, the whole match first. Empty when nothing is captured.
pub type Captures = Vec<Range<usize>>;

/// `TX:0` to `TX:9`: rules see no more groups.
const MOST_CAPTURES: usize = 10;

/// The work of reading a byte as SQL or as HTML, up to five times, in bytes that an automaton looks at.
const READING: u64 = 8;

impl Operator {
    /// Asks the operator of a value. `argument` is its own argument with the places filled in; operators that have none
    /// ignore it. The answer is what it captured, or nothing when it does not hold: a pattern captures its groups (one that
    /// took no part is empty), words the word found, injections the whole value ([`fingerprint`] tells the rest).
    #[must_use]
    pub fn ask(&self, value: &[u8], argument: &[u8]) -> Option<Captures> {
        self.weigh(value, argument, &mut Effort::default())
    }

    /// Whether the operator holds for a value: as [`Operator::ask`], without looking for what it captures.
    #[must_use]
    pub fn holds(&self, value: &[u8], argument: &[u8]) -> bool {
        self.weigh_whether(value, argument, &mut Effort::default())
    }

    /// As [`Operator::ask`]; adds what it took beyond one quick look at each byte.
    pub(crate) fn weigh(&self, value: &[u8], argument: &[u8], effort: &mut Effort) -> Option<Captures> {
        match self {
            Self::Matches(pattern) => pattern.automaton()?.groups(value, effort),
            Self::Words(words) => words.automaton()?.find(value).map(|found| vec![found.range()]),
            Self::SqlInjection | Self::CrossSiteScripting => {
                self.weigh_whether(value, argument, effort).then(|| vec![0..value.len()])
            }
            other => other.weigh_whether(value, argument, effort).then(Vec::new),
        }
    }

    /// As [`Operator::holds`]; adds what it took beyond one quick look at each byte.
    pub(crate) fn weigh_whether(&self, value: &[u8], argument: &[u8], effort: &mut Effort) -> bool {
        match self {
            Self::Matches(pattern) => pattern.automaton().is_some_and(|automaton| automaton.matches(value, effort)),
            Self::Words(words) => words.automaton().is_some_and(|words| words.is_match(value)),
            Self::Equals(_) => value == argument,
            Self::Contains(_) => memmem::find(value, argument).is_some(),
            Self::BeginsWith(_) => value.starts_with(argument),
            Self::EndsWith(_) => value.ends_with(argument),
            Self::Within(_) => memmem::find(argument, value).is_some(),
            Self::Equal(_) => number(value) == number(argument),
            Self::AtLeast(_) => number(value) >= number(argument),
            Self::Above(_) => number(value) > number(argument),
            Self::AtMost(_) => number(value) <= number(argument),
            Self::Below(_) => number(value) < number(argument),
            Self::Networks(networks) => network::holds(networks, value),
            Self::SqlInjection => {
                effort.work += READING * value.len() as u64;
                fingerprint(value).is_some()
            }
            Self::CrossSiteScripting => {
                effort.work += READING * value.len() as u64;
                injection::is_cross_site_scripting(value)
            }
            Self::OutsideBytes(allowed) => value.iter().any(|byte| !allowed[usize::from(*byte)]),
            Self::BadUrlEncoding => bytes::is_bad_url_encoding(value),
            Self::BadUtf8 => std::str::from_utf8(value).is_err(),
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// What it asks of a value, for a prefilter; nothing for an operator that may hold for any value.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match self {
            Self::Matches(pattern) => Some(pattern.question()),
            Self::Words(phrases) => Some(Question::Words(phrases.words().to_vec())),
            Self::SqlInjection => Some(Question::SqlInjection),
            Self::CrossSiteScripting => Some(Question::CrossSiteScripting),
            Self::OutsideBytes(allowed) => {
                let outside = (0..=255).filter(|byte| !allowed[usize::from(*byte)]);
                Some(Question::Bytes(outside.fold(ByteSet::EMPTY, |set, byte| set.with(byte, byte))))
            }
            Self::BadUrlEncoding => Some(Question::Bytes(ByteSet::from_bytes(b"%"))),
            Self::BadUtf8 => Some(Question::Bytes(ByteSet::EMPTY.with(0x80, 0xFF))),
            _ => None,
        }
    }

    /// The argument that [`Operator::ask`] wants filled in, of operators that have one.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Equals(argument)
            | Self::Contains(argument)
            | Self::BeginsWith(argument)
            | Self::EndsWith(argument)
            | Self::Within(argument)
            | Self::Equal(argument)
            | Self::AtLeast(argument)
            | Self::Above(argument)
            | Self::AtMost(argument)
            | Self::Below(argument) => Some(argument),
            _ => None,
        }
    }

    /// As [`Operator::template`], to change it.
    pub(crate) fn template_mut(&mut self) -> Option<&mut Template> {
        match self {
            Self::Equals(argument)
            | Self::Contains(argument)
            | Self::BeginsWith(argument)
            | Self::EndsWith(argument)
            | Self::Within(argument)
            | Self::Equal(argument)
            | Self::AtLeast(argument)
            | Self::Above(argument)
            | Self::AtMost(argument)
            | Self::Below(argument) => Some(argument),
            _ => None,
        }
    }
}

/// What a value would be called in an error.
fn shown(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

#[cfg(test)]
mod tests;
