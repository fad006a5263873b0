//! `@pm` and `@pmFromFile`: many words at once.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::operator::shown;

/// The words of `@pm`: parted by blanks; `|41 42|` writes bytes in hexadecimal, as Snort does.
///
/// # Errors
/// In words, for a bar that is not closed and for digits that are none.
pub(super) fn words(argument: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut words = vec![Vec::new()];
    for (place, part) in argument.split('|').enumerate() {
        let bytes = if place % 2 == 1 { hexadecimal(part)? } else { part.as_bytes().to_vec() };
        for byte in bytes {
            match words.last_mut() {
                Some(word) if place % 2 == 1 || !byte.is_ascii_whitespace() => word.push(byte),
                _ => words.push(Vec::new()),
            }
        }
    }
    if argument.matches('|').count() % 2 == 1 {
        return Err(format!("a `|` in `{argument}` is not closed"));
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// The bytes of `41 42` or `4142`.
fn hexadecimal(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let wrong = || format!("`|{text}|` is not written in pairs of hexadecimal digits");
    if digits.len() % 2 == 1 {
        return Err(wrong());
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(&shown(pair), 16).map_err(|_| wrong())).collect()
}

/// The phrases of a file: one a line, blanks around it dropped; a line that begins with `#` is a comment.
pub(super) fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(<[u8]>::to_vec).collect()
}

/// Bytes of all phrases of one operator; the longest list of the Core Rule Set has a thousandth.
const MOST_BYTES: usize = 64 << 20;

/// Phrases, ASCII letters in either case; what looks for them is built when it is first asked, as with patterns.
#[derive(Debug)]
pub struct Phrases {
    words: Vec<Vec<u8>>,
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Phrases {
    /// Takes phrases.
    ///
    /// # Errors
    /// In words, when there are too many, or none.
    pub(super) fn new(words: Vec<Vec<u8>>) -> Result<Self, String> {
        if words.is_empty() {
            return Err("it has no words to look for".to_owned());
        }
        if words.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
            return Err("its words are too many".to_owned());
        }
        Ok(Self { words, automaton: OnceLock::new() })
    }

    /// The phrases as they are written.
    #[must_use]
    pub fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// What looks for them. Nothing if it cannot be built, which the bound on their number rules out.
    pub(super) fn automaton(&self) -> Option<&AhoCorasick> {
        let build = || {
            AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&self.words).ok()
        };
        self.automaton.get_or_init(build).as_ref()
    }
}
