//! Expressions taken apart into words, numbers, texts, patterns and signs.

use thiserror::Error;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ExpressionError {
    /// Where, from 1.
    pub line: usize,
    /// Where in that line, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A place in an expression: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn error(self, message: impl Into<String>) -> ExpressionError {
        ExpressionError { line: self.line, column: self.column, message: message.into() }
    }
}

/// A piece of an expression and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) place: Place,
    pub(super) piece: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A field, a function or a keyword.
    Word(String),
    Number(u32),
    Text(String),
    /// What stands between slashes, as it was written.
    Pattern(String),
    /// An operator, a parenthesis, a bracket or a comma.
    Sign(&'static str),
}

/// Two-character signs come before their beginnings.
const SIGNS: [&str; 11] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ","];

/// Takes an expression apart; also gives the place behind it.
///
/// # Errors
/// [`ExpressionError`] for a character that starts nothing, a text or pattern without end, an unknown escape, a number over
/// 32 bits.
pub(super) fn tokens(expression: &str) -> Result<(Vec<Token>, Place), ExpressionError> {
    let mut reader = Reader { rest: expression, place: Place::START };
    let mut tokens = Vec::new();
    loop {
        reader.take_while(char::is_whitespace);
        let place = reader.place;
        let Some(first) = reader.rest.chars().next() else { return Ok((tokens, place)) };
        let piece = match first {
            '"' => Piece::Text(reader.text()?),
            '/' => Piece::Pattern(reader.pattern()?),
            '0'..='9' => reader.number()?,
            'a'..='z' | 'A'..='Z' | '_' => Piece::Word(reader.word().to_owned()),
            other => match SIGNS.into_iter().find(|sign| reader.rest.starts_with(sign)) {
                Some(sign) => {
                    reader.skip(sign.chars().count());
                    Piece::Sign(sign)
                }
                None => return Err(place.error(format!("`{}` is not understood", other.escape_debug()))),
            },
        };
        tokens.push(Token { place, piece });
    }
}

struct Reader<'a> {
    rest: &'a str,
    place: Place,
}

impl<'a> Reader<'a> {
    /// Leaves a piece of so many bytes behind.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        for letter in taken.chars() {
            if letter == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|letter| !wanted(letter)).unwrap_or(self.rest.len()))
    }

    /// Leaves so many characters behind.
    fn skip(&mut self, count: usize) {
        self.take(self.rest.char_indices().nth(count).map_or(self.rest.len(), |(at, _)| at));
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || "._".contains(letter))
    }

    fn number(&mut self) -> Result<Piece, ExpressionError> {
        let place = self.place;
        let word = self.word();
        word.parse().map(Piece::Number).map_err(|_| {
            place.error(format!(
                "`{word}` is not a number from 0 to {}; texts and addresses stand in double quotes",
                u32::MAX
            ))
        })
    }

    fn text(&mut self) -> Result<String, ExpressionError> {
        let start = self.place;
        self.skip(1);
        let mut text = String::new();
        loop {
            text += self.take_while(|letter| !"\"\\".contains(letter));
            if self.rest.starts_with('"') {
                self.skip(1);
                return Ok(text);
            }
            text.push(match self.rest.chars().nth(1) {
                Some(letter @ ('"' | '\\')) => letter,
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(letter) => {
                    let letter = letter.escape_debug();
                    return Err(self
                        .place
                        .error(format!("`\\{letter}` is not an escape; write `\\\\` for a backslash")));
                }
                None => return Err(start.error("this text does not end; a `\"` is missing")),
            });
            self.skip(2);
        }
    }

    /// A pattern up to the slash that no backslash stands before; nothing in it is unescaped.
    fn pattern(&mut self) -> Result<String, ExpressionError> {
        let start = self.place;
        self.skip(1);
        let mut pattern = String::new();
        loop {
            pattern += self.take_while(|letter| !"/\\".contains(letter));
            if self.rest.starts_with('/') {
                self.skip(1);
                return Ok(pattern);
            }
            let Some(escaped) = self.rest.chars().nth(1) else {
                return Err(start.error("this pattern does not end; a `/` is missing"));
            };
            pattern.push('\\');
            pattern.push(escaped);
            self.skip(2);
        }
    }
}
