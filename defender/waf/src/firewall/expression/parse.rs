//! Expressions made into conditions. Whatever a condition could never mean is refused here, with its place.

use std::{iter::Peekable, net::IpAddr, vec::IntoIter};

use regex_automata::meta::Regex;

use super::{
    RuleKind,
    function::{Function, Unwrapping},
    tokens::{ExpressionError, Piece, Place, Token, tokens},
    tree::{Field, Kind, Moment, Operand, Pattern, Test, Tree, Value},
};
use crate::operator::syntax_tree;

/// How long an expression may be, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;
/// How deep parentheses, `not` and functions may be nested.
pub(super) const DEEPEST: usize = 32;
/// Bytes that the states of one pattern may take: some thousand characters.
const PATTERN_BYTES: usize = 1 << 20;

/// # Errors
/// [`ExpressionError`] for the first thing that is wrong.
pub(super) fn parse(kind: RuleKind, expression: &str) -> Result<Tree, ExpressionError> {
    if expression.len() > LONGEST {
        return Err(Place::START.error(format!("an expression has at most {LONGEST} bytes")));
    }
    let (tokens, end) = tokens(expression)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), kind, end, depth: 0 };
    let tree = parser.any()?;
    match parser.tokens.next() {
        None => Ok(tree),
        Some(Token { place, piece: Piece::Sign(")") }) => Err(place.error("`)` closes nothing")),
        Some(token) => Err(token.place.error("`and` or `or` is missing here")),
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    kind: RuleKind,
    /// The place behind the expression.
    end: Place,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Tree, ExpressionError> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Any(parts) })
    }

    fn all(&mut self) -> Result<Tree, ExpressionError> {
        let mut parts = vec![self.unary()?];
        while self.keyword("and") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::All(parts) })
    }

    fn unary(&mut self) -> Result<Tree, ExpressionError> {
        self.deeper(|parser| {
            if parser.keyword("not") {
                Ok(Tree::Not(Box::new(parser.unary()?)))
            } else if parser.sign("(") {
                let tree = parser.any()?;
                parser.expect(")")?;
                Ok(tree)
            } else {
                parser.term()
            }
        })
    }

    fn term(&mut self) -> Result<Tree, ExpressionError> {
        if self.keyword("jwtValid") {
            self.expect("(")?;
            let operand = self.text_operand("jwtValid")?;
            self.expect(")")?;
            return Ok(Tree::Valid(operand));
        }
        let operand = self.operand()?;
        let test = self.test(&operand)?;
        Ok(Tree::Term(operand, test))
    }

    /// A field, a map's key, or a function of one.
    fn operand(&mut self) -> Result<Operand, ExpressionError> {
        let place = self.place();
        let Some(Piece::Word(name)) = self.tokens.next().map(|token| token.piece) else {
            return Err(place.error("a field such as `req.path`, or a function, is missing here"));
        };
        if self.sign("(") {
            return self.deeper(|parser| parser.function(&name, place));
        }
        let field = self.field(&name, place)?;
        let bracket = self.sign("[");
        match (field.kind() == Kind::Map, bracket) {
            (false, false) => Ok(Operand::Field(field)),
            (true, true) => {
                let key = self.text("a map's key")?;
                self.expect("]")?;
                Ok(Operand::Selected(field, key))
            }
            (true, false) => {
                let values = format!("{}_values", name.trim_end_matches('s'));
                Err(place.error(format!(
                    "`{name}` is asked for one key, as `{name}[\"key\"]`; `{values}` has all its values"
                )))
            }
            (false, true) => Err(place.error(format!("`{name}` has no keys"))),
        }
    }

    fn field(&self, name: &str, place: Place) -> Result<Field, ExpressionError> {
        let fits = |moment| self.kind == RuleKind::Response || moment < Moment::ResponseHead;
        if let Some(field) = Field::named(name) {
            return if fits(field.moment()) {
                Ok(field)
            } else {
                Err(place.error(format!("`{name}` is only known in rules of type `waas-response`")))
            };
        }
        let known: Vec<_> = Field::ALL.iter().filter(|(.., moment)| fits(*moment)).map(|(name, ..)| *name).collect();
        Err(place.error(format!("`{name}` is not a field; there are {}", known.join(", "))))
    }

    /// A function, after its parenthesis.
    fn function(&mut self, name: &str, place: Place) -> Result<Operand, ExpressionError> {
        let function = Function::named(name);
        let unwraps = matches!(name, "jwtPayload" | "jwtPayloadValue" | "jwtHeader" | "jwtHeaderValue");
        if function.is_none() && !unwraps {
            let known: Vec<_> = Function::ALL.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(place.error(format!(
                "`{name}` is not a function; there are {known}, jwtPayload, jwtPayloadValue, jwtHeader, jwtHeaderValue, jwtValid"
            )));
        }
        let inner = Box::new(self.text_operand(name)?);
        let operand = match function {
            Some(function) => Operand::Changed(function, inner),
            None => Operand::Token(self.unwrapping(name)?, inner),
        };
        self.expect(")")?;
        Ok(operand)
    }

    fn unwrapping(&mut self, name: &str) -> Result<Unwrapping, ExpressionError> {
        Ok(match name {
            "jwtPayload" => Unwrapping::Payload,
            "jwtHeader" => Unwrapping::Header,
            _ => {
                self.expect(",")?;
                let key = self.text("a token's key")?;
                if name == "jwtPayloadValue" { Unwrapping::PayloadValue(key) } else { Unwrapping::HeaderValue(key) }
            }
        })
    }

    /// What a function takes: texts.
    fn text_operand(&mut self, function: &str) -> Result<Operand, ExpressionError> {
        let place = self.place();
        let operand = self.operand()?;
        match operand.kind() {
            Kind::Text | Kind::List | Kind::Map => Ok(operand),
            Kind::Number | Kind::Address => Err(place.error(format!("`{function}` takes a text, `{operand}` is none"))),
        }
    }

    fn test(&mut self, operand: &Operand) -> Result<Test, ExpressionError> {
        let place = self.place();
        let operator = match self.tokens.next().map(|token| token.piece) {
            Some(Piece::Word(word)) => word.to_ascii_lowercase(),
            Some(Piece::Sign(sign)) => sign.to_owned(),
            _ => return Err(place.error(format!("an operator is missing behind `{operand}`"))),
        };
        allow(operand, &operator, place)?;
        Ok(match operator.as_str() {
            "=" => Test::Equal(self.value(operand)?),
            "!=" => Test::Unequal(self.value(operand)?),
            "<" => Test::Less(self.number(operand)?),
            ">" => Test::Greater(self.number(operand)?),
            "<=" => Test::AtMost(self.number(operand)?),
            ">=" => Test::AtLeast(self.number(operand)?),
            "in" => Test::In(self.values(operand)?),
            "startswith" => Test::StartsWith(self.text("what is compared")?),
            "endswith" => Test::EndsWith(self.text("what is compared")?),
            _ => self.contains()?,
        })
    }

    fn contains(&mut self) -> Result<Test, ExpressionError> {
        let place = self.place();
        match self.tokens.next().map(|token| token.piece) {
            Some(Piece::Text(text)) => Ok(Test::Contains(text)),
            Some(Piece::Pattern(source)) => compiled(source, place).map(Test::Fits),
            _ => Err(place.error("`contains` is followed by a text in double quotes or a pattern between slashes")),
        }
    }

    /// One value, or several in parentheses.
    fn values(&mut self, operand: &Operand) -> Result<Vec<Value>, ExpressionError> {
        if !self.sign("(") {
            return Ok(vec![self.value(operand)?]);
        }
        let mut values = vec![self.value(operand)?];
        while self.sign(",") {
            values.push(self.value(operand)?);
        }
        self.expect(")")?;
        Ok(values)
    }

    fn value(&mut self, operand: &Operand) -> Result<Value, ExpressionError> {
        match operand.kind() {
            Kind::Number => self.number(operand).map(Value::Number),
            Kind::Address => {
                let place = self.place();
                let text = self.text("an address")?;
                let Some((address, prefix)) = network(&text) else {
                    return Err(place.error(format!("`{text}` is neither an IP address nor a CIDR block")));
                };
                Ok(Value::Network(text, address, prefix))
            }
            Kind::Text | Kind::List | Kind::Map => self.text("what is compared").map(Value::Text),
        }
    }

    fn number(&mut self, operand: &Operand) -> Result<u32, ExpressionError> {
        let place = self.place();
        match self.tokens.next().map(|token| token.piece) {
            Some(Piece::Number(number)) => Ok(number),
            _ => Err(place.error(format!("`{operand}` is compared with a number"))),
        }
    }

    fn text(&mut self, what: &str) -> Result<String, ExpressionError> {
        let place = self.place();
        match self.tokens.next().map(|token| token.piece) {
            Some(Piece::Text(text)) => Ok(text),
            Some(Piece::Pattern(_)) => Err(place.error("patterns stand behind `contains` alone")),
            _ => Err(place.error(format!("{what} stands in double quotes"))),
        }
    }

    fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        if self.depth == DEEPEST {
            return Err(self.place().error(format!("this is nested more than {DEEPEST} deep")));
        }
        self.depth += 1;
        let found = inside(self)?;
        self.depth -= 1;
        Ok(found)
    }

    fn place(&mut self) -> Place {
        self.tokens.peek().map_or(self.end, |token| token.place)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let is = |token: &Token| matches!(&token.piece, Piece::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.tokens.next_if(is).is_some()
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token.piece, Piece::Sign(found) if found == sign)).is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), ExpressionError> {
        let place = self.place();
        if self.sign(sign) { Ok(()) } else { Err(place.error(format!("`{sign}` is missing here"))) }
    }
}

/// # Errors
/// [`ExpressionError`] when an operator is none, or says nothing of what an operand gives.
fn allow(operand: &Operand, operator: &str, place: Place) -> Result<(), ExpressionError> {
    const ALL: [&str; 10] = ["=", "!=", "in", "contains", "startswith", "endswith", "<", ">", "<=", ">="];
    let operators: &[&str] = match operand.kind() {
        Kind::Text | Kind::Map => &ALL[..6],
        Kind::List => &ALL[2..6],
        Kind::Number => &["=", "!=", "in", "<", ">", "<=", ">="],
        Kind::Address => &ALL[..3],
    };
    if operators.contains(&operator) {
        return Ok(());
    }
    if !ALL.contains(&operator) {
        return Err(place.error(format!("`{operator}` is not an operator")));
    }
    Err(place.error(format!("`{operand}` is not compared by `{operator}`, only by {}", operators.join(", "))))
}

/// # Errors
/// [`ExpressionError`] for what no engine of linear time has, and for patterns that would take too much memory.
fn compiled(source: String, place: Place) -> Result<Pattern, ExpressionError> {
    let tree = syntax_tree(&source).map_err(|error| place.error(error))?;
    let limits = Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(PATTERN_BYTES))
        .onepass_size_limit(Some(PATTERN_BYTES))
        .hybrid_cache_capacity(PATTERN_BYTES);
    let regex = Regex::builder().configure(limits).build_from_hir(&tree);
    match regex {
        Ok(regex) => Ok(Pattern { source, regex }),
        Err(_) => Err(place.error(format!("the pattern `{source}` is too large; repeat less in it"))),
    }
}

/// An address or a CIDR block, IPv4 or IPv6.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse().ok())?;
    let prefix = prefix.map_or(Some(most), digits)?;
    (prefix <= most).then_some((address, prefix))
}
