//! `@rx`: the patterns of PCRE as the Core Rule Set writes them, compiled for an engine of linear time.
//!
//! PCRE and the engine agree on most of the syntax, but some texts mean other things in each and would compile without a
//! word: `\<` is a literal in PCRE, `[a&&b]`, `[a--b]` and `[[a]` know no sets, `\v` and `\h` are classes, `a++` takes without
//! giving back. So every pattern is written anew, each construct in the one spelling that cannot be misread, or refused.

use std::{
    iter::Peekable,
    str::Chars,
    sync::{Mutex, OnceLock},
};

use regex_automata::{meta::Regex, util::syntax};
use regex_syntax::hir::{Hir, HirKind};

use super::{
    OperatorError,
    automaton::{Automaton, MOST_STATES},
};
use crate::prefilter::{Demands, Question};

/// Steps that a pattern may have once its repetitions are written out; the longest of the Core Rule Set has a hundredth.
const MOST_STEPS: usize = 2 << 20;

/// A pattern whose automaton is built when it is first asked: most patterns never are, for the prefilter tells that they
/// cannot hold.
#[derive(Debug)]
pub struct Pattern {
    written: String,
    automaton: OnceLock<Option<Automaton>>,
    /// What it asks of values, until that was told once.
    demands: Mutex<Option<Box<Demands>>>,
}

impl Pattern {
    /// Reads a pattern as `@rx` means it: bytes, `.` for any byte, `^` and `$` for the very ends.
    ///
    /// # Errors
    /// [`OperatorError::NotDone`] for what no engine of linear time has: look-around, back-references, possessive and atomic
    /// groups; [`OperatorError::Wrong`] for what is no pattern, and for one that would be too large.
    pub fn new(text: &str) -> Result<Self, OperatorError> {
        let wrong = |problem: &str| format!("the pattern `{text}` is not understood: {problem}");
        let written = rewrite(text).map_err(|error| error.within(wrong))?;
        let tree = parsed(&written).map_err(|problem| wrong(&problem))?;
        if steps(&tree) > MOST_STEPS {
            return Err(format!("the pattern `{text}` is too large: its repetitions are too many").into());
        }
        let demands = Mutex::new(Some(Box::new(Demands::of(&tree))));
        Ok(Self { written, automaton: OnceLock::new(), demands })
    }

    /// The automaton. Nothing if it cannot be built, which the bound on its size rules out; such a pattern matches nothing.
    pub(super) fn automaton(&self) -> Option<&Automaton> {
        self.automaton.get_or_init(|| Automaton::new(&self.tree(), &self.written).ok()).as_ref()
    }

    /// What it asks of a value, for a prefilter.
    #[must_use]
    pub fn question(&self) -> Question {
        // It is asked for once, when the rules are all read, and then no longer needed.
        let read = self.demands.lock().ok().and_then(|mut demands| demands.take());
        read.map_or_else(|| Question::Pattern(self.tree()), Question::Read)
    }

    /// Its syntax tree.
    #[must_use]
    pub fn tree(&self) -> Hir {
        // What was read once is read again: it is kept as text because trees are large.
        parsed(&self.written).unwrap_or_else(|_| Hir::fail())
    }

    /// The text by which two patterns are the same.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.written
    }
}

/// Compiles a pattern as [`Pattern`] reads it.
///
/// # Errors
/// As [`Pattern::new`].
pub fn pattern(text: &str) -> Result<Regex, String> {
    let read = Pattern::new(text)?;
    build(&read.written).map_err(|problem| format!("the pattern `{text}` cannot be compiled: {problem}"))
}

/// The syntax tree of a pattern as [`pattern`] compiles it.
///
/// # Errors
/// As [`pattern`].
pub fn syntax_tree(text: &str) -> Result<Hir, String> {
    Ok(Pattern::new(text).map(|pattern| pattern.tree())?)
}

pub(super) fn build(written: &str) -> Result<Regex, String> {
    Regex::builder()
        .syntax(dialect())
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(None)
                .onepass_size_limit(Some(1 << 20))
                .hybrid_cache_capacity(MOST_STATES),
        )
        .build(written)
        .map_err(|error| error.to_string())
}

fn parsed(written: &str) -> Result<Hir, String> {
    syntax::parse_with(written, &dialect()).map_err(|error| error.to_string())
}

/// How many steps an automaton for the tree has, at most.
fn steps(tree: &Hir) -> usize {
    match tree.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 2,
        HirKind::Capture(capture) => steps(&capture.sub).saturating_add(2),
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min.saturating_add(1)).max(1);
            steps(&repeated.sub).saturating_add(1).saturating_mul(times as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum: usize, part| sum.saturating_add(steps(part)))
        }
    }
}

/// The engine's syntax for patterns that [`rewrite`] wrote.
fn dialect() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true).nest_limit(1000)
}

/// What `\v` and `\h` stand for in a class. Source: pcre2pattern(3), "Generic character types".
const VERTICAL: &str = r"\n\x0B\x0C\r\x85";
const HORIZONTAL: &str = r"\t\x20\xA0";

/// Writes a pattern of PCRE anew for the engine.
///
/// # Errors
/// [`OperatorError`], for what the engine cannot have, and for what it would not refuse itself.
pub(super) fn rewrite(text: &str) -> Result<String, OperatorError> {
    let mut input = text.chars().peekable();
    let mut output = String::with_capacity(text.len() + 16);
    // Whether a quantifier stands just before, so that a plus would make it possessive.
    let mut quantified = false;
    while let Some(next) = input.next() {
        let after_quantifier = std::mem::take(&mut quantified);
        match next {
            '\\' if input.peek().is_some_and(|next| ('1'..='9').contains(next)) => {
                return Err(not_linear("back-references"));
            }
            '\\' => output.push_str(&escape(&mut input)?),
            '[' => class(&mut input, &mut output)?,
            '{' => quantified = brace(&mut input, &mut output),
            '+' if after_quantifier => return Err(not_linear("possessive quantifiers")),
            '(' => {
                if let Some(what) = beyond_linear(&input) {
                    return Err(not_linear(what));
                }
                output.push('(');
            }
            '?' if after_quantifier => output.push('?'),
            '*' | '+' | '?' => {
                // `(?` begins a group's kind; it is no quantifier.
                quantified = !(next == '?' && output.ends_with('(') && !output.ends_with("\\("));
                output.push(next);
            }
            other => output.push(other),
        }
    }
    Ok(output)
}

fn not_linear(what: &str) -> OperatorError {
    OperatorError::NotDone(format!("{what} need more than linear time"))
}

/// What kind of group that no engine of linear time has begins after a parenthesis, if one does. Source: pcre2pattern(3).
fn beyond_linear(after: &Peekable<Chars<'_>>) -> Option<&'static str> {
    const KINDS: [(&str, &str); 9] = [
        ("?=", "look-aheads"),
        ("?!", "look-aheads"),
        ("?<=", "look-behinds"),
        ("?<!", "look-behinds"),
        ("?>", "atomic groups"),
        ("?P=", "back-references"),
        ("?P>", "recursions"),
        ("?R", "recursions"),
        ("?(", "conditions"),
    ];
    let ahead: String = after.clone().take(3).collect();
    KINDS.iter().find(|(sign, _)| ahead.starts_with(sign)).map(|(_, what)| *what)
}

/// A brace: a quantifier if it reads as one, else a literal. Tells which.
fn brace(input: &mut Peekable<Chars<'_>>, output: &mut String) -> bool {
    let ahead: String = input.clone().take_while(|next| *next != '}').take(16).collect();
    let counts: Vec<&str> = ahead.split(',').collect();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let closed = input.clone().nth(ahead.chars().count()) == Some('}');
    let quantifier = closed
        && match counts.as_slice() {
            [count] => number(count),
            [least, most] => number(least) && (most.is_empty() || number(most)),
            _ => false,
        };
    output.push_str(if quantifier { "{" } else { r"\{" });
    if quantifier {
        output.push_str(&ahead);
        output.push('}');
        for _ in 0..=ahead.len() {
            input.next();
        }
    }
    quantifier
}

/// An escape outside a class, after its backslash.
fn escape(input: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let next = input.next().ok_or("it ends in a backslash")?;
    Ok(match next {
        'v' => format!("[{VERTICAL}]"),
        'V' => format!("[^{VERTICAL}]"),
        'h' => format!("[{HORIZONTAL}]"),
        'H' => format!("[^{HORIZONTAL}]"),
        'b' | 'B' | 'A' | 'z' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' => format!("\\{next}"),
        'Z' => r"(?:\n?\z)".to_owned(),
        other => literal(escaped_byte(other, input)?),
    })
}

/// A class, after its bracket, written with every literal by its number.
fn class(input: &mut Peekable<Chars<'_>>, output: &mut String) -> Result<(), String> {
    output.push('[');
    if input.next_if_eq(&'^').is_some() {
        output.push('^');
    }
    let mut first = true;
    loop {
        let next = input.next().ok_or("a class is not closed")?;
        if next == ']' && !first {
            output.push(']');
            return Ok(());
        }
        first = false;
        let Some(low) = class_item(next, input, output)? else {
            continue;
        };
        let mut ahead = input.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => high,
            _ => {
                output.push_str(&low);
                continue;
            }
        };
        input.next();
        input.next();
        let mut after = String::new();
        match class_item(high, input, &mut after)? {
            Some(high) => output.push_str(&format!("{low}-{high}")),
            // `[a-\d]`: the dash is a literal.
            None => output.push_str(&format!("{low}\\-{after}")),
        }
    }
}

/// One item of a class: a single character is given back, as it may begin a range; a set of them is written at once.
fn class_item(next: char, input: &mut Peekable<Chars<'_>>, output: &mut String) -> Result<Option<String>, String> {
    if next == '[' && input.peek() == Some(&':') {
        let ahead: String = input.clone().take_while(|next| *next != ']').take(16).collect();
        if ahead.len() > 2 && ahead.ends_with(':') {
            output.push('[');
            output.push_str(&ahead);
            output.push(']');
            input.nth(ahead.len());
            return Ok(None);
        }
    }
    if next != '\\' {
        return Ok(many(next, output));
    }
    let escaped = input.next().ok_or("it ends in a backslash")?;
    match escaped {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => output.push_str(&format!("\\{escaped}")),
        'v' => output.push_str(VERTICAL),
        'h' => output.push_str(HORIZONTAL),
        'V' => output.push_str(&format!("[^{VERTICAL}]")),
        'H' => output.push_str(&format!("[^{HORIZONTAL}]")),
        'b' => return Ok(Some(r"\x08".to_owned())),
        other => return Ok(Some(literal(escaped_byte(other, input)?))),
    }
    Ok(None)
}

/// A character of a class: ASCII is one byte, all else stands for each of its bytes, as PCRE reads without UTF.
fn many(next: char, output: &mut String) -> Option<String> {
    if next.is_ascii() {
        return Some(literal(next as u8));
    }
    let mut buffer = [0; 4];
    for byte in next.encode_utf8(&mut buffer).bytes() {
        output.push_str(&literal(byte));
    }
    None
}

/// The byte of an escape, after its first letter.
fn escaped_byte(letter: char, input: &mut Peekable<Chars<'_>>) -> Result<u8, String> {
    Ok(match letter {
        'a' => 0x07,
        'e' => 0x1B,
        'f' => 0x0C,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'x' => return hexadecimal(input),
        '0' => {
            let digits: String = (0..2).map_while(|_| input.next_if(|next| ('0'..='7').contains(next))).collect();
            u8::from_str_radix(&format!("0{digits}"), 8).map_err(|_| format!("`\\0{digits}` is no byte"))?
        }
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => other as u8,
        digit if digit.is_ascii_digit() => return Err("back-references are not supported".to_owned()),
        other => return Err(format!("the escape `\\{other}` is not supported")),
    })
}

/// `\xHH` (up to two digits) and `\x{HH}`, after the `x`.
fn hexadecimal(input: &mut Peekable<Chars<'_>>) -> Result<u8, String> {
    let digits: String = if input.next_if_eq(&'{').is_some() {
        input.by_ref().take_while(|next| *next != '}').collect()
    } else {
        (0..2).map_while(|_| input.next_if(char::is_ascii_hexdigit)).collect()
    };
    u8::from_str_radix(&format!("0{digits}"), 16).map_err(|_| format!("`\\x{{{digits}}}` is no byte"))
}

/// A byte that stands for itself anywhere in a pattern: letters and digits plainly, all else by number.
fn literal(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02X}") }
}
