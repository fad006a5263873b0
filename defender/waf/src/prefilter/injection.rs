//! Without what libinjection's detectors never fire. Each is proven against the detectors in `tests`.

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

use super::{demand::Demand, sets::ByteSet};

/// `@detectSQLi`: a value of ASCII letters, digits and `_` is at most a number and a word, and no fingerprint of so few is an
/// injection (`1U`, a number and `union`, is excepted in libinjection itself when nothing was folded).
const SQL: ByteSet = ByteSet::from_bytes(b"_").with(b'0', b'9').with(b'A', b'Z').with(b'a', b'z').others();

/// `@detectXSS`: only a tag, a comment or a document type (after `<`) or the value of an attribute (after `=`) is one.
const SCRIPT: ByteSet = ByteSet::from_bytes(b"<=");

/// What `@detectSQLi` asks of values of an alphabet; nothing when it holds for none.
pub(super) fn of_sql(alphabet: &ByteSet) -> Option<Demand> {
    let needed = SQL.and(*alphabet);
    // The shortest are `X` and two tokens, of which neither is empty.
    (!needed.is_empty()).then(|| Demand { length: 1, words: Vec::new(), sets: vec![needed] })
}

/// What `@detectXSS` asks of values of an alphabet; nothing when it holds for none.
pub(super) fn of_script(alphabet: &ByteSet) -> Option<Demand> {
    let needed = SCRIPT.and(*alphabet);
    // NULs within names are skipped, so names tell something only where there are none.
    let words = if alphabet.contains(0) { Vec::new() } else { script_words() };
    (!needed.is_empty()).then(|| Demand { length: 3, words, sets: vec![needed] })
}

/// Names of tags and attributes, and what opens a comment or a document type: one of them is in whatever fires. The names are
/// those of libinjection's `libinjection_xss.c`; of event handlers the `on` that they begin with is enough.
fn script_words() -> Vec<Vec<u8>> {
    const TAGS: &str = "applet base comment embed frame handler iframe import isindex link listener meta noscript object \
                        script style xml xss svg xsl";
    const ATTRIBUTES: &str = "on xmlns xlink action attributename by background dataformatas datasrc dynsrc filter folder \
                              from href lowsrc poster src to values";
    const OPENINGS: &str = "<! <? <% </";
    [TAGS, ATTRIBUTES, OPENINGS]
        .iter()
        .flat_map(|words| words.split_ascii_whitespace())
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// What is known of libinjection's own words, which are of more kinds than a name, a number or an operator.
#[derive(Debug, Clone)]
pub(super) struct SqlWords {
    /// By [`mark`], a bit for each word that is of another kind than name, number or operator; of phrases the first word.
    telling: Box<[u64; MARKS / 64]>,
    /// The words of which `telling` has the marks: sorted, lower case.
    words: Vec<Vec<u8>>,
    /// The same for all words and the first words of all phrases, of whatever kind.
    known: Box<[u64; MARKS / 64]>,
    longest: usize,
}

const MARKS: usize = 1 << 16;

/// Bytes of which words, numbers, operators, dots, commas, colons and unknown tokens are made, and blanks: no strings, no
/// parentheses, no braces, and comments, variables and `&&` only by pairs that are looked for.
const PLAIN: ByteSet = super::alphabet::WORDS.or(ByteSet::from_bytes(b"=;!?<>%~^&|\t\n\r").with(0x80, 0xFF));

/// Bytes that begin or end strings, or a comment that makes anything of a value: what comes after them counts.
const OPENING: ByteSet = ByteSet::from_bytes(b"'\"`*");

impl SqlWords {
    pub fn new() -> Self {
        let (mut telling, mut known) = (Box::new([0; MARKS / 64]), Box::new([0; MARKS / 64]));
        let mut words = Vec::new();
        for keyword in SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F') {
            let word: Vec<u8> = keyword.word.bytes().take_while(|byte| is_word(*byte)).collect();
            if word.is_empty() {
                continue;
            }
            let place = mark(&word);
            known[place / 64] |= 1 << (place % 64);
            if !matches!(keyword.token_type, b'o' | b'n' | b'1') {
                telling[place / 64] |= 1 << (place % 64);
                words.push(word.to_ascii_lowercase());
            }
        }
        words.sort_unstable();
        words.dedup();
        let longest = words.iter().map(Vec::len).max().unwrap_or(0);
        Self { telling, words, known, longest }
    }

    /// Whether `@detectSQLi` may hold for a value of these bytes.
    ///
    /// A value is no injection if it begins with two names ([`SqlWords::begins_plainly`]), or if it has [`PLAIN`] bytes only:
    /// no fingerprint of an injection has only names, numbers, operators, dots, commas, colons, semicolons and unknown
    /// tokens, so that there must be a comment, a variable, `&&`, `||` or a word of SQL.
    pub fn may_hold(&self, value: &[u8], present: &ByteSet) -> bool {
        if !present.meets(&OPENING) && self.begins_plainly(value) {
            return false;
        }
        if !present.is_within(&PLAIN) || present.contains(b'@') {
            return true;
        }
        let paired = |byte: u8| present.contains(byte) && value.windows(2).any(|pair| pair == [byte, byte]);
        paired(b'-')
            || paired(b'&')
            || paired(b'|')
            || value.split(|byte| !is_word(*byte)).any(|run| self.has_word(run))
    }

    /// Whether the first tokens are two names, or a name and a colon: nothing folds them into others, and no fingerprint of an
    /// injection begins so. Only for values without strings and comments.
    fn begins_plainly(&self, value: &[u8]) -> bool {
        let start = value.iter().take_while(|byte| **byte == b' ').count();
        let Some(rest) = self.after_name(&value[start..]) else { return false };
        match rest {
            [b':', b' ' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z', ..] => true,
            [b' ', ..] => {
                let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
                let second = self.after_name(&rest[blanks..]);
                second.is_some_and(|rest| rest.first().is_none_or(|byte| ENDS.contains(*byte)))
            }
            _ => false,
        }
    }

    /// What follows the name at the beginning: a word that is none of SQL and begins no phrase of it.
    fn after_name<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let length = value.iter().take_while(|byte| is_word(**byte)).count();
        let (word, rest) = value.split_at(length);
        (word.first().is_some_and(u8::is_ascii_alphabetic) && !is_marked(&self.known, word)).then_some(rest)
    }

    /// Whether a word of SQL may begin somewhere in a run of letters, digits and `_`, and end with it: at its start, or after
    /// the number that it begins with, whose suffix `d` or `f` may come after an exponent's sign.
    fn has_word(&self, run: &[u8]) -> bool {
        if run.first().is_some_and(u8::is_ascii_digit) {
            let number =
                run.iter().take_while(|byte| byte.is_ascii_hexdigit() || byte.eq_ignore_ascii_case(&b'x')).count();
            return (1..=number).any(|start| self.is_telling(&run[start..]));
        }
        self.is_telling(run) || matches!(run, [b'd' | b'D' | b'f' | b'F', rest @ ..] if self.is_telling(rest))
    }

    fn is_telling(&self, word: &[u8]) -> bool {
        if word.is_empty() || word.len() > self.longest || !is_marked(&self.telling, word) {
            return false;
        }
        let lower = |byte: &u8| byte.to_ascii_lowercase();
        self.words.binary_search_by(|known| known.iter().copied().cmp(word.iter().map(lower))).is_ok()
    }
}

/// Bytes that end a word and begin no other token than an operator, a parenthesis or a blank.
const ENDS: ByteSet = ByteSet::from_bytes(b" ,:;()?!=<>/&+-%|\t\n\r");

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a word may be one of those that were marked; most others are not.
fn is_marked(marks: &[u64; MARKS / 64], word: &[u8]) -> bool {
    let place = mark(word);
    marks[place / 64] >> (place % 64) & 1 == 1
}

/// A number below [`MARKS`] of a word, without regard to case.
fn mark(word: &[u8]) -> usize {
    let hash =
        word.iter().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193));
    ((hash ^ hash >> 15).wrapping_mul(0x2C1B_3C6D) >> 16) as usize
}
