//! Scripts made into conditions. Whatever a condition could never mean is refused here, with the column.
use std::{iter::Peekable, net::IpAddr, vec::IntoIter};

use super::{
    tokens::{Piece, ScriptError, Token, tokens},
    tree::{Field, Kind, Test, Tree, Value},
};
use crate::{CustomKind, address::AddressBlock, is_hex, policy::normal_name};

/// How long a script may be, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;
/// How deep parentheses and `not` may be nested.
pub(super) const DEEPEST: usize = 32;

/// # Errors
/// [`ScriptError`] for the first thing that is wrong.
pub(super) fn parse(kind: CustomKind, script: &str) -> Result<Tree, ScriptError> {
    if script.len() > LONGEST {
        return Err(ScriptError::new(1, format!("a script has at most {LONGEST} bytes")));
    }
    let end = script.chars().count() + 1;
    let mut parser = Parser { tokens: tokens(script)?.into_iter().peekable(), kind, end, depth: 0 };
    let tree = parser.any()?;
    match parser.tokens.next() {
        None => Ok(tree),
        Some(Token { column, piece: Piece::Sign(")") }) => Err(ScriptError::new(column, "`)` closes nothing")),
        Some(token) => Err(ScriptError::new(token.column, "`and` or `or` is missing here")),
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    kind: CustomKind,
    /// The column behind the script.
    end: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Tree, ScriptError> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Any(parts) })
    }

    fn all(&mut self) -> Result<Tree, ScriptError> {
        let mut parts = vec![self.unary()?];
        while self.keyword("and") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::All(parts) })
    }

    fn unary(&mut self) -> Result<Tree, ScriptError> {
        let column = self.column();
        if self.depth == DEEPEST {
            return Err(ScriptError::new(column, format!("this is nested more than {DEEPEST} deep")));
        }
        self.depth += 1;
        let tree = if self.keyword("not") {
            Tree::Not(Box::new(self.unary()?))
        } else if self.sign("(") {
            let tree = self.any()?;
            self.expect(")")?;
            tree
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn term(&mut self) -> Result<Tree, ScriptError> {
        let field = self.field()?;
        if field.kind() == Kind::Flag {
            return Ok(Tree::Term(field, Test::Holds));
        }
        let column = self.column();
        let operator = match self.tokens.next().map(|token| token.piece) {
            Some(Piece::Word(word)) => word.to_ascii_lowercase(),
            Some(Piece::Sign(sign)) => sign.to_owned(),
            _ => return Err(ScriptError::new(column, format!("an operator is missing behind `{}`", field.name()))),
        };
        if operator == "in" {
            allow(field, "in", column)?;
            return Ok(Tree::Term(field, Test::In(self.values(field)?)));
        }
        let test: fn(Value) -> Test = match operator.as_str() {
            "=" => Test::Equal,
            "!=" => Test::Unequal,
            "<" => Test::Less,
            ">" => Test::Greater,
            "<=" => Test::AtMost,
            ">=" => Test::AtLeast,
            "contains" => Test::Contains,
            "startswith" => Test::StartsWith,
            "endswith" => Test::EndsWith,
            "matches" => Test::Matches,
            other => return Err(ScriptError::new(column, format!("`{other}` is not an operator"))),
        };
        allow(field, &operator, column)?;
        Ok(Tree::Term(field, test(self.value(field)?)))
    }

    fn field(&mut self) -> Result<Field, ScriptError> {
        let column = self.column();
        let Some(Piece::Word(name)) = self.tokens.next().map(|token| token.piece) else {
            return Err(ScriptError::new(column, "a field such as `proc.name` is missing here"));
        };
        let field = Field::named(&name).ok_or_else(|| {
            let known: Vec<_> =
                Field::ALL.iter().filter(|(_, field)| field.fits(self.kind)).map(|(name, _)| *name).collect();
            ScriptError::new(column, format!("`{name}` is not a field; there are {}", known.join(", ")))
        })?;
        if field.fits(self.kind) {
            Ok(field)
        } else {
            Err(ScriptError::new(column, format!("`{name}` is not known for rules of this type")))
        }
    }

    fn values(&mut self, field: Field) -> Result<Vec<Value>, ScriptError> {
        self.expect("(")?;
        let mut values = vec![self.value(field)?];
        while self.sign(",") {
            values.push(self.value(field)?);
        }
        self.expect(")")?;
        Ok(values)
    }

    fn value(&mut self, field: Field) -> Result<Value, ScriptError> {
        let column = self.column();
        let refuse = |message: String| Err(ScriptError::new(column, message));
        match (field.kind(), self.tokens.next().map(|token| token.piece)) {
            (Kind::Number, Some(Piece::Number(number))) => Ok(Value::Number(number)),
            (Kind::Number, Some(Piece::Text(text))) if field == Field::User => match user(&text) {
                Some(user) => Ok(Value::Number(user)),
                None => refuse(format!("users are known by number here; `{text}` is none, and only `root` has a name")),
            },
            (Kind::Addresses, Some(Piece::Text(text))) => match addresses(&text) {
                Some((first, last)) => Ok(Value::Addresses(text, first, last)),
                None => refuse(format!("`{text}` is not an IP address, a CIDR block or a range `first-last`")),
            },
            (Kind::Word(words), Some(Piece::Text(text))) if !words.contains(&text.as_str()) => {
                refuse(format!("`{text}` is none of {}", words.join(", ")))
            }
            (Kind::Digest, Some(Piece::Text(text))) => match text.to_ascii_lowercase() {
                digest if is_hex(&digest, 64) => Ok(Value::Text(digest)),
                _ => refuse(format!("`{text}` is not 64 hexadecimal digits")),
            },
            (Kind::Text | Kind::Word(_) | Kind::List, Some(Piece::Text(text))) => {
                Ok(Value::Text(if field == Field::Domain { normal_name(&text) } else { text }))
            }
            (Kind::Number, _) => refuse(format!("`{}` is compared with a number", field.name())),
            _ => refuse(format!("`{}` is compared with a text in double quotes", field.name())),
        }
    }

    fn column(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |token| token.column)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let is = |token: &Token| matches!(&token.piece, Piece::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.tokens.next_if(is).is_some()
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token.piece, Piece::Sign(found) if found == sign)).is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), ScriptError> {
        let column = self.column();
        if self.sign(sign) { Ok(()) } else { Err(ScriptError::new(column, format!("`{sign}` is missing here"))) }
    }
}

/// # Errors
/// [`ScriptError`] when an operator says nothing of what a field holds.
fn allow(field: Field, operator: &str, column: usize) -> Result<(), ScriptError> {
    let operators: &[&str] = match field.kind() {
        Kind::Text => &["=", "!=", "in", "contains", "startswith", "endswith", "matches"],
        Kind::Word(_) | Kind::Digest | Kind::Addresses => &["=", "!=", "in"],
        Kind::List => &["contains", "in", "startswith", "endswith", "matches"],
        Kind::Number => &["=", "!=", "in", "<", ">", "<=", ">="],
        Kind::Flag => &[],
    };
    if operators.contains(&operator) {
        return Ok(());
    }
    let message = format!("`{}` is not compared by `{operator}`, only by {}", field.name(), operators.join(", "));
    Err(ScriptError::new(column, message))
}

/// Digits alone: `parse` would take a sign.
fn user(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if text == "root" { Some(0) } else { digits.then(|| text.parse().ok())? }
}

/// An address, a CIDR block, or `first-last` of one family.
fn addresses(text: &str) -> Option<(IpAddr, IpAddr)> {
    let Some((first, last)) = text.split_once('-') else { return AddressBlock::parse(text).map(|block| block.ends()) };
    let [first, last] = [first, last].map(|end| end.parse::<IpAddr>().map(|end| end.to_canonical()));
    let (first, last) = (first.ok()?, last.ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}
