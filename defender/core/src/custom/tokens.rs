//! Scripts taken apart into words, numbers, texts and signs.
use thiserror::Error;

/// Why a script is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {message}")]
pub struct ScriptError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ScriptError {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}

/// A piece of a script and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) column: usize,
    pub(super) piece: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A field or a keyword.
    Word(String),
    Number(u32),
    Text(String),
    /// An operator, a parenthesis or a comma.
    Sign(&'static str),
}

/// Two-character signs come before their beginnings.
const SIGNS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// # Errors
/// [`ScriptError`] for a character that starts nothing, a text without end, an unknown escape, a number over 32 bits.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, ScriptError> {
    let mut reader = Reader { rest: script, column: 1 };
    let mut tokens = Vec::new();
    loop {
        reader.take_while(char::is_whitespace);
        let column = reader.column;
        let Some(first) = reader.rest.chars().next() else { return Ok(tokens) };
        let piece = match first {
            '"' => Piece::Text(reader.text()?),
            '0'..='9' => reader.number()?,
            'a'..='z' | 'A'..='Z' | '_' => Piece::Word(
                reader.take_while(|letter| letter.is_ascii_alphanumeric() || "._".contains(letter)).to_owned(),
            ),
            other => match SIGNS.into_iter().find(|sign| reader.rest.starts_with(sign)) {
                Some(sign) => {
                    reader.skip(sign.len());
                    Piece::Sign(sign)
                }
                None => return Err(ScriptError::new(column, format!("`{}` is not understood", other.escape_debug()))),
            },
        };
        tokens.push(Token { column, piece });
    }
}

struct Reader<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Reader<'a> {
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|letter| !wanted(letter)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    /// Leaves ASCII characters behind.
    fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count..];
        self.column += count;
    }

    fn number(&mut self) -> Result<Piece, ScriptError> {
        let column = self.column;
        let word = self.take_while(|letter| letter.is_ascii_alphanumeric() || "._".contains(letter));
        let number = word.parse().map_err(|_| {
            ScriptError::new(
                column,
                format!("`{word}` is not a number from 0 to {}; texts and addresses stand in double quotes", u32::MAX),
            )
        })?;
        Ok(Piece::Number(number))
    }

    fn text(&mut self) -> Result<String, ScriptError> {
        let column = self.column;
        self.skip(1);
        let mut text = String::new();
        loop {
            text += self.take_while(|letter| !"\"\\".contains(letter));
            if self.rest.starts_with('"') {
                self.skip(1);
                return Ok(text);
            }
            let mut next = self.rest.chars().skip(1);
            text.push(match next.next() {
                Some(letter @ ('"' | '\\')) => letter,
                Some('n') => '\n',
                Some('t') => '\t',
                Some(letter) => {
                    let message =
                        format!("`\\{}` is not an escape; write `\\\\` for a backslash", letter.escape_debug());
                    return Err(ScriptError::new(self.column, message));
                }
                None => return Err(ScriptError::new(column, "this text does not end; a `\"` is missing")),
            });
            self.skip(2);
        }
    }
}
