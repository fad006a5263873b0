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

/// The words that libinjection takes for more than a name, a number or an operator; of phrases the first word.
#[derive(Debug, Clone)]
pub(super) struct SqlWords {
    /// Sorted, lower case.
    words: Vec<Vec<u8>>,
    /// Marks of all words, so that few others are looked for.
    marks: Box<[bool; 2048]>,
    longest: usize,
}

impl SqlWords {
    pub fn new() -> Self {
        let mut words: Vec<Vec<u8>> = SQL_KEYWORDS
            .iter()
            .filter(|keyword| !matches!(keyword.token_type, b'F' | b'o' | b'n' | b'1'))
            .map(|keyword| {
                keyword.word.bytes().take_while(|byte| is_word(*byte)).map(|byte| byte.to_ascii_lowercase()).collect()
            })
            .filter(|word: &Vec<u8>| !word.is_empty())
            .collect();
        words.sort_unstable();
        words.dedup();
        let mut marks = Box::new([false; 2048]);
        for word in &words {
            marks[mark(word)] = true;
        }
        let longest = words.iter().map(Vec::len).max().unwrap_or(0);
        Self { words, marks, longest }
    }

    /// Whether `@detectSQLi` may hold for a value of `alphabet::WORDS`: no fingerprint of an injection has only
    /// names, numbers, operators, dots, commas and colons, so that there must be a comment, a variable or a word of SQL.
    pub fn may_hold(&self, value: &[u8]) -> bool {
        let mut before = 0;
        for byte in value {
            if *byte == b'@' || (*byte == b'-' && before == b'-') {
                return true;
            }
            before = *byte;
        }
        value.split(|byte| !is_word(*byte)).any(|run| self.has_word(run))
    }

    /// Whether a word of SQL may begin somewhere in a run of letters, digits and `_`, and end with it: at its start, or after
    /// the number that it begins with, whose suffix `d` or `f` may come after an exponent's sign.
    fn has_word(&self, run: &[u8]) -> bool {
        if run.first().is_some_and(u8::is_ascii_digit) {
            let number =
                run.iter().take_while(|byte| byte.is_ascii_hexdigit() || byte.eq_ignore_ascii_case(&b'x')).count();
            return (1..=number).any(|start| self.is_known(&run[start..]));
        }
        self.is_known(run) || matches!(run, [b'd' | b'D' | b'f' | b'F', rest @ ..] if self.is_known(rest))
    }

    fn is_known(&self, word: &[u8]) -> bool {
        if word.is_empty() || word.len() > self.longest || !self.marks[mark(word)] {
            return false;
        }
        let lower = |byte: &u8| byte.to_ascii_lowercase();
        self.words.binary_search_by(|known| known.iter().copied().cmp(word.iter().map(lower))).is_ok()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A number below 2,048 of a word, made of its ends and its length, without regard to case.
fn mark(word: &[u8]) -> usize {
    let bits = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0) & 31);
    let middle = bits(word.get(word.len() / 2));
    (bits(word.first()) << 6 ^ bits(word.last()) << 3 ^ middle ^ word.len() << 4) & 2047
}
