//! What a rule asks of a value. Source: ModSecurity reference manual v3, "Operators".

use std::{net::IpAddr, ops::Range, sync::Arc};

use regex_automata::meta::Regex;

use crate::rule::Template;

/// An operator, compiled.
#[derive(Debug, Clone)]
pub enum Operator {
    /// `@rx`: bytes, not text; `.` matches line feeds as well, `$` the very end (RE2 and PCRE2 as CRS uses them).
    Matches(Arc<Regex>),
    /// `@pm`, `@pmFromFile`: any of the words, without regard to case.
    Words(Arc<aho_corasick::AhoCorasick>),
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

/// What an operator found: the groups that it captured, the whole match first. Empty when nothing is captured.
pub type Captures = Vec<Range<usize>>;

impl Operator {
    /// Asks the operator of a value. `argument` is its own argument with the places filled in; operators that have none
    /// ignore it. The answer is what it captured (for words and injections the matched part), or nothing.
    #[must_use]
    pub fn ask(&self, value: &[u8], argument: &[u8]) -> Option<Captures> {
        let _ = (value, argument);
        None
    }
}

/// Compiles a pattern as `@rx` means it.
///
/// # Errors
/// In words, for what the linear-time engine does not have: look-around and back-references.
pub fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}
