//! Lines of `SecLang`: comments, continued lines, quoted words. Source: Apache's configuration syntax, which `SecLang` follows.

/// A directive with its words, and the line on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub line: usize,
    pub name: String,
    pub words: Vec<String>,
}

/// Splits a file into directives.
///
/// # Errors
/// The line and what is wrong with it: no UTF-8, a quote that is not closed.
pub(super) fn directives(text: &[u8]) -> Result<Vec<Directive>, (usize, String)> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let line = 1 + memchr::memchr_iter(b'\n', &text[..error.valid_up_to()]).count();
        (line, "the text is not UTF-8".to_owned())
    })?;
    let mut found = Vec::new();
    for (line, logical) in logical_lines(text) {
        let mut words = words(&logical).map_err(|problem| (line, problem))?.into_iter();
        if let Some(name) = words.next() {
            found.push(Directive { line, name, words: words.collect() });
        }
    }
    Ok(found)
}

/// Lines without comments; one that ends with a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        if let Some(part) = trimmed.strip_suffix('\\') {
            joined.push_str(part);
            open = Some((start, joined));
        } else {
            joined.push_str(trimmed);
            found.push((start, joined));
        }
    }
    found.extend(open);
    found.retain(|(_, line)| !line.trim().is_empty());
    found
}

/// Words: bare, or in double or single quotes. Within double quotes `\"` is a quote; every other backslash stays.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => quoted(&rest[1..], first).ok_or_else(|| format!("a word's quote `{first}` is not closed"))?,
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        found.push(word);
        rest = after.trim_start();
    }
    Ok(found)
}

/// The word up to its closing quote, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if text[index + 1..].starts_with(quote) => {
                word.push(quote);
                characters.next();
            }
            '\\' => {
                word.push('\\');
                if let Some((_, next)) = characters.next() {
                    word.push(next);
                }
            }
            _ if character == quote => return Some((word, &text[index + 1..])),
            _ => word.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn only(text: &str) -> Directive {
        let mut found = directives(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn a_rule_over_several_lines_is_one_directive() {
        let directive = only("# about\n\nSecRule ARGS|!ARGS:x \"@rx a\\\"b\\d\" \\\n    \"id:1,\\\n    phase:2\"\n");

        assert_eq!(directive.line, 3);
        assert_eq!(directive.words, ["ARGS|!ARGS:x", "@rx a\"b\\d", "id:1,phase:2"]);
    }

    #[test]
    fn an_escaped_backslash_before_a_quote_does_not_escape_the_quote() {
        assert_eq!(only(r#"SecRule A "@rx \\" "id:1""#).words, ["A", r"@rx \\", "id:1"]);
    }

    #[test]
    fn an_open_quote_is_told_with_its_line() {
        assert_eq!(directives(b"SecMarker a\nSecRule \"x").unwrap_err().0, 2);
    }

    proptest! {
        /// No text makes the lexer panic, and no line number lies outside the text.
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~\n\\\\\"'#é]{0,200}") {
            let lines = text.lines().count();
            match directives(text.as_bytes()) {
                Ok(found) => prop_assert!(found.iter().all(|directive| (1..=lines).contains(&directive.line))),
                Err((line, _)) => prop_assert!((1..=lines).contains(&line)),
            }
        }

        /// A word that is quoted comes back as it was.
        #[test]
        fn quoted_words_come_back(word in "[a-z |\\\\@,:']{0,30}") {
            prop_assume!(!word.ends_with('\\'));
            let line = format!("Directive \"{word}\"");
            prop_assert_eq!(&only(&line).words, &[word]);
        }
    }
}
