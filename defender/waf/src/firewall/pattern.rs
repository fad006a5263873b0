//! Patterns of a policy: wildcards and regular expressions, both in linear time.

use regex_automata::{meta::Regex, util::syntax};

use super::{PolicyError, reading::At};

/// Bytes that a compiled expression may need.
const PROGRAM_LIMIT: usize = 1 << 20;

/// A regular expression in RE2's syntax, matched against a whole value.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    regex: Regex,
}

/// Text with `*` for any run of characters; compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard(Vec<u8>);

impl Expression {
    /// An expression that has to match the whole value: one that is meant for `id` is not to open a hole at `userid`.
    ///
    /// # Errors
    /// What the expression lacks, in words.
    pub fn whole(source: &str) -> Result<Self, String> {
        Self::compile(source, &format!("^(?:{source})$"), false)
    }

    /// The same without regard to case: for names of header fields.
    ///
    /// # Errors
    /// What the expression lacks, in words.
    pub fn whole_any_case(source: &str) -> Result<Self, String> {
        Self::compile(source, &format!("^(?:{source})$"), true)
    }

    /// An expression that may match anywhere in a value.
    ///
    /// # Errors
    /// What the expression lacks, in words.
    pub fn anywhere(source: &str) -> Result<Self, String> {
        Self::compile(source, source, false)
    }

    fn compile(source: &str, pattern: &str, any_case: bool) -> Result<Self, String> {
        // A `)` too many would end the group around the whole.
        let mut parser = regex_syntax::ParserBuilder::new().utf8(false).build();
        parser.parse(source).map_err(|error| first_line(&error.to_string()))?;
        let syntax = syntax::Config::new().utf8(false).case_insensitive(any_case);
        let limits = Regex::config().utf8_empty(false).nfa_size_limit(Some(PROGRAM_LIMIT));
        let built = Regex::builder().syntax(syntax).configure(limits).build(pattern);
        let regex = built.map_err(|error| match error.size_limit() {
            Some(_) => "is too large".to_owned(),
            None => first_line(&error.to_string()),
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// Whether it matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// Where it matches.
    pub fn places<'v>(&'v self, value: &'v [u8]) -> impl Iterator<Item = std::ops::Range<usize>> + 'v {
        self.regex.find_iter(value).map(|found| found.range())
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

/// The parser's explanation without its drawing of the pattern.
fn first_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no expression");
    line.trim().trim_start_matches("error: ").to_owned()
}

/// The expression that stands at a place of the policy.
pub(super) fn expression(
    at: &At<'_>,
    compile: impl Fn(&str) -> Result<Expression, String>,
) -> Result<Option<Expression>, PolicyError> {
    match at.text()? {
        "" => Ok(None),
        source => compile(source)
            .map(Some)
            .map_err(|problem| at.wrong(&format!("is no regular expression of RE2's syntax: {problem}"))),
    }
}

impl Wildcard {
    /// Any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into_bytes())
    }

    /// Whether a value is matched as a whole. Time: the value's length for each `*` at worst.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        if self.0 == b"*" {
            return true;
        }
        let (mut at, mut next) = (0, 0);
        let mut star = None;
        while next < value.len() {
            if self.0.get(at) == Some(&b'*') {
                star = Some((at, next));
                at += 1;
            } else if self.0.get(at) == Some(&value[next].to_ascii_lowercase()) {
                at += 1;
                next += 1;
            } else if let Some((place, from)) = star {
                // Let the last `*` take one byte more.
                star = Some((place, from + 1));
                at = place + 1;
                next = from + 1;
            } else {
                return false;
            }
        }
        self.0[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `*` is any run, also an empty one; all else is itself, in any case.
    #[test]
    fn wildcards_match_whole_values() {
        let matches = |pattern: &str, value: &str| Wildcard::new(pattern).matches(value.as_bytes());
        assert!(matches("*", "") && matches("*.shop.test", "a.b.SHOP.test") && matches("/api/*", "/api/"));
        assert!(matches("a*b*c", "aXbYbc") && !matches("a*b*c", "aXbYbcd"));
        assert!(!matches("", "a") && matches("", "") && !matches("*.shop.test", "shop.test"));
    }

    /// An expression has to match the whole value, and a broken one is explained.
    #[test]
    fn expressions_match_whole_values() {
        let id = Expression::whole("id|name").unwrap();
        assert!(id.matches(b"id") && id.matches(b"name") && !id.matches(b"userid") && !id.matches(b"names"));
        assert!(Expression::whole("a)(b").is_err() && Expression::whole("(?=a)").is_err());
        assert!(Expression::whole(r"(a)\1").is_err());
        assert_eq!(Expression::whole("(((a{1000}){1000}){10})").unwrap_err(), "is too large");
        assert!(Expression::whole_any_case("x-id").unwrap().matches(b"X-ID"));
        assert!(Expression::whole("(?s-u:.)+").unwrap().matches(b"\xff\x00"));
    }

    proptest! {
        /// A wildcard agrees with the regular expression of the same meaning.
        #[test]
        fn wildcards_agree_with_expressions(pattern in "[ab*]{0,8}", value in "[ab]{0,10}") {
            let expected = Expression::whole(&pattern.replace('*', ".*")).unwrap().matches(value.as_bytes());
            prop_assert_eq!(Wildcard::new(&pattern).matches(value.as_bytes()), expected);
        }

        /// No text panics as an expression.
        #[test]
        fn any_text_is_read(text in r"\PC{0,20}") {
            let _ = Expression::whole(&text);
        }
    }
}
