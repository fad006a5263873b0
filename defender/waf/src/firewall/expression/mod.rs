//! Custom rules: conditions on requests and responses that users write, in the vendor's grammar
//! (`docs/reference/waas-rules-language.md`).
//!
//! A condition is read once ([`Expression::parse`]) and asked as often as more is known of an exchange
//! ([`Expression::judge`]). What is not known makes a condition on it neither hold nor fail, so that nothing is allowed, and
//! nothing prevented, on a guess. Asking takes time linear in what is looked at.

mod function;
mod parse;
mod subject;
mod token;
mod tokens;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};

use self::tree::Tree;
pub use self::{subject::Subject, tokens::ExpressionError, tree::Moment};

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum RuleKind {
    /// Requests.
    #[serde(rename = "waas-request")]
    Request,
    /// Requests and their responses.
    #[serde(rename = "waas-response")]
    Response,
}

/// A condition, compiled. Printed in the one form that conditions have; what is printed reads as the same condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    tree: Tree,
}

/// What a condition comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds. With what its patterns matched: their groups, or all where there are none, shortened and not scrubbed.
    Holds(Vec<String>),
    /// It does not, and will not.
    Fails,
    /// That is not known yet.
    Open,
}

impl Expression {
    /// Reads a condition as a rule of a kind would have it.
    ///
    /// # Errors
    /// [`ExpressionError`] for the first thing that is wrong, with line and column.
    pub fn parse(kind: RuleKind, text: &str) -> Result<Self, ExpressionError> {
        parse::parse(kind, text).map(|tree| Self { tree })
    }

    /// The last moment that can decide it: whoever asks then gets [`Outcome::Open`] only for what nobody knows.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.tree.moment()
    }

    /// Whether it holds, by what is known.
    #[must_use]
    pub fn judge(&self, subject: &Subject<'_>) -> Outcome {
        let mut told = Vec::new();
        match subject.hold(&self.tree, &mut told) {
            Some(true) => Outcome::Holds(told),
            Some(false) => Outcome::Fails,
            None => Outcome::Open,
        }
    }
}

impl Display for Expression {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.tree)
    }
}

/// A rule's message with `%regexMatches` replaced by what its patterns matched.
#[must_use]
pub fn message(template: &str, told: &[String]) -> String {
    template.replace("%regexMatches", &told.join(", "))
}
