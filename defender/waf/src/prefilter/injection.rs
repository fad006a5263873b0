//! Without what libinjection's detectors never fire. Each is proven against the detectors in [`super::tests`].

use libinjectionrs::xss::blacklists::{BLACK_ATTR_EVENTS, BLACK_ATTRS, BLACK_TAGS};

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

/// Names of tags and attributes, and what opens a comment or a document type: one of them is in whatever fires.
fn script_words() -> Vec<Vec<u8>> {
    let tags = BLACK_TAGS.iter().copied().chain(["svg", "xsl"]).map(str::to_owned);
    let attributes = BLACK_ATTRS.iter().map(|attribute| attribute.name.to_owned());
    let events = BLACK_ATTR_EVENTS.iter().map(|event| format!("on{}", event.name));
    let openings = ["<!", "<?", "<%", "</", "xmlns", "xlink"].map(str::to_owned);
    let mut words: Vec<Vec<u8>> =
        tags.chain(attributes).chain(events).chain(openings).map(|word| word.to_ascii_lowercase().into_bytes()).collect();
    words.sort_unstable();
    words.dedup();
    words
}
