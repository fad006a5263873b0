//! Strings within a document of GraphQL: what an application gets as its arguments.

/// A document has no more strings that are looked into.
const MOST: usize = 256;

/// The strings of a value that looks like a document of GraphQL, with their escapes undone; none for anything else. Source:
/// GraphQL Specification (October 2021), sections 2.2 and 2.9.4.
pub(super) fn strings(value: &[u8]) -> Vec<Vec<u8>> {
    if !is_document(value) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = memchr::memchr2(b'"', b'#', rest) {
        if found.len() == MOST {
            break;
        }
        let after = &rest[start + 1..];
        if rest[start] == b'#' {
            rest = memchr::memchr2(b'\r', b'\n', after).map_or(&[][..], |end| &after[end..]);
        } else if let Some(block) = after.strip_prefix(b"\"\"") {
            let end = memchr::memmem::find(block, b"\"\"\"").unwrap_or(block.len());
            found.push(block[..end].to_vec());
            rest = &block[(end + 3).min(block.len())..];
        } else {
            let (text, length) = string(after);
            found.push(text);
            rest = &after[length..];
        }
    }
    found
}

/// Whether a value begins as a document does, and has a selection and arguments.
fn is_document(value: &[u8]) -> bool {
    let trimmed = value.trim_ascii_start();
    let words: [&[u8]; 4] = [b"query", b"mutation", b"subscription", b"fragment"];
    let after = words.iter().find_map(|word| trimmed.strip_prefix(*word));
    let begins = match after {
        Some(after) => {
            after.first().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'{' | b'(' | b'@'))
        }
        None => trimmed.first() == Some(&b'{'),
    };
    begins && memchr::memchr(b'{', trimmed).is_some() && memchr::memchr(b'(', trimmed).is_some()
}

/// A string after its quotation mark, and how many bytes it takes with the one that ends it.
fn string(text: &[u8]) -> (Vec<u8>, usize) {
    let mut read = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = text.get(at).copied();
                at += usize::from(escaped.is_some());
                match escaped {
                    Some(b'n') => read.push(b'\n'),
                    Some(b'r') => read.push(b'\r'),
                    Some(b't') => read.push(b'\t'),
                    // What lies within a value is looked into once more, and that undoes these.
                    Some(b'u') => read.extend_from_slice(b"\\u"),
                    Some(other) => read.push(other),
                    None => {}
                }
            }
            other => read.push(*other),
        }
    }
    (read, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<String> {
        strings(text.as_bytes()).into_iter().map(|one| String::from_utf8_lossy(&one).into_owned()).collect()
    }

    /// Strings are told apart from names and comments, in either way of writing them.
    #[test]
    fn strings_are_found() {
        let text = "query { a(b: \"x' or \\\"1\\\"\", c: 7) { d } # \"no\"\n e(f: \"y\") }";
        assert_eq!(of(text), ["x' or \"1\"", "y"]);
        assert_eq!(of("{ a(b: \"\"\"one \"two\" three\"\"\") { c } }"), ["one \"two\" three"]);
        assert_eq!(of("mutation M($a: Int) { a(b: \"z\") { c } }"), ["z"]);
        assert_eq!(of("{ a(b: \"open"), ["open"]);
    }

    /// What is no document has none: JSON, prose, code.
    #[test]
    fn other_texts_have_none() {
        for text in ["", "{\"a\":1}", "query the \"table\"", "if (a) { say(\"x\") }", "queries { a(b: \"x\") }"] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }

    proptest! {
        /// No text makes the reader panic, and strings are no longer than the text.
        #[test]
        fn any_text_is_read(text in "(query|\\{)[ -~\\n\"\\\\{(#]{0,200}") {
            let all: usize = strings(text.as_bytes()).iter().map(Vec::len).sum();
            prop_assert!(all <= text.len());
        }
    }
}
