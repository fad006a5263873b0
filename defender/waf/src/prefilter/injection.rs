//! Without what libinjection's detectors never fire. Each is proven against the detectors in [`super::tests`].

use super::{demand::Demand, sets::ByteSet};

/// `@detectSQLi`: a value of ASCII letters, digits and `_` is at most a number and a word, and no fingerprint of so few is an
/// injection (`1U`, a number and `union`, is excepted in libinjection itself when nothing was folded).
const SQL: ByteSet = ByteSet::from_bytes(b"_").with(b'0', b'9').with(b'A', b'Z').with(b'a', b'z').not();

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
