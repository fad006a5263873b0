//! Compiles an operator from its name and its argument.

use std::sync::Arc;

use thiserror::Error;

use super::{Operator, Pattern, bytes, network, pattern, phrase, shown};
use crate::{prefilter::Question, rule::Template};

/// Gives the content of a file that a rule names, or nothing when there is none.
type Files<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// Why an operator cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OperatorError {
    /// It is not known, or its argument is not understood.
    #[error("{0}")]
    Wrong(String),
    /// It makes sense to `ModSecurity` and is not done here, for the reason that the text gives. A rule can be left out for it.
    #[error("{0}")]
    NotDone(String),
}

impl From<String> for OperatorError {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

impl From<OperatorError> for String {
    fn from(error: OperatorError) -> Self {
        error.to_string()
    }
}

impl OperatorError {
    /// The same, saying of what is wrong where.
    pub(super) fn within(self, outer: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Wrong(problem) => Self::Wrong(outer(&problem)),
            not_done @ Self::NotDone(_) => not_done,
        }
    }
}

/// Compiles the operator of this name, spelt in any case and without `@`, with its argument as it stands in the rule.
/// `data` gives the content of the files that `@pmFromFile` and `@ipMatchFromFile` name.
///
/// # Errors
/// [`OperatorError`]: the operator is not known, a file is not there, the argument is not understood, or the operator needs what
/// is not to be had: more than linear time, a database of countries, an answer of a name server.
pub fn compile(name: &str, argument: &str, data: Files<'_>) -> Result<Operator, OperatorError> {
    let template = || Template::parse(argument).map_err(OperatorError::Wrong);
    let not_done = |why: &str| Err(OperatorError::NotDone(why.to_owned()));
    let compiled = match name.to_ascii_lowercase().as_str() {
        "rx" => Pattern::new(argument).map(|pattern| Operator::Matches(Arc::new(pattern))),
        "pm" => phrase::words(unquoted(argument)).map_err(OperatorError::Wrong).and_then(automaton),
        "pmf" | "pmfromfile" => phrases(argument, data).and_then(automaton),
        "ipmatch" => Ok(Operator::Networks(network::list(unquoted(argument))?.into())),
        "ipmatchf" | "ipmatchfromfile" => networks(argument, data),
        "validatebyterange" => Ok(Operator::OutsideBytes(Arc::new(bytes::ranges(argument)?))),
        "streq" => template().map(Operator::Equals),
        "contains" | "strmatch" => template().map(Operator::Contains),
        "beginswith" => template().map(Operator::BeginsWith),
        "endswith" => template().map(Operator::EndsWith),
        "within" => template().map(Operator::Within),
        "eq" => template().map(Operator::Equal),
        "ge" => template().map(Operator::AtLeast),
        "gt" => template().map(Operator::Above),
        "le" => template().map(Operator::AtMost),
        "lt" => template().map(Operator::Below),
        "detectsqli" => Ok(Operator::SqlInjection),
        "detectxss" => Ok(Operator::CrossSiteScripting),
        "validateurlencoding" => Ok(Operator::BadUrlEncoding),
        "validateutf8encoding" => Ok(Operator::BadUtf8),
        "unconditionalmatch" => Ok(Operator::Always),
        "nomatch" => Ok(Operator::Never),
        "geolookup" => not_done("there is no database of countries for rules; use the policy's countries"),
        "rbl" => not_done("no request waits for a name server; use the policy's network lists"),
        "gsblookup" | "inspectfile" | "fuzzyhash" => not_done("rules open no files and run no programs"),
        _ => return Err(OperatorError::Wrong(format!("the operator `@{name}` is not known"))),
    };
    compiled.map_err(|error| error.within(|problem| format!("the operator `@{name}` cannot be compiled: {problem}")))
}

/// What an operator asks, for a [`crate::prefilter::Prefilter`]; takes what [`compile`] takes.
///
/// # Errors
/// As [`compile`]; a name that is not known asks anything.
pub fn question(name: &str, argument: &str, data: Files<'_>) -> Result<Question, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "rx" => Question::Pattern(pattern::syntax_tree(argument)?),
        "pm" => Question::Words(phrase::words(unquoted(argument))?),
        "pmf" | "pmfromfile" => Question::Words(phrases(argument, data)?),
        "detectsqli" => Question::SqlInjection,
        "detectxss" => Question::CrossSiteScripting,
        _ => Question::Anything,
    })
}

/// Quotation marks around an argument that may be quoted once more.
fn unquoted(argument: &str) -> &str {
    let argument = argument.trim();
    argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(argument)
}

fn automaton(words: Vec<Vec<u8>>) -> Result<Operator, OperatorError> {
    Ok(Operator::Words(Arc::new(phrase::Phrases::new(words)?)))
}

/// The phrases of all files that the argument names.
fn phrases(argument: &str, data: Files<'_>) -> Result<Vec<Vec<u8>>, OperatorError> {
    let files = read(argument, data)?;
    Ok(files.iter().flat_map(|file| phrase::lines(file)).collect())
}

fn networks(argument: &str, data: Files<'_>) -> Result<Operator, OperatorError> {
    let files = read(argument, data)?;
    let lists = files.iter().map(|file| network::file(&shown(file))).collect::<Result<Vec<_>, _>>()?;
    Ok(Operator::Networks(lists.concat().into()))
}

fn read(argument: &str, data: Files<'_>) -> Result<Vec<Vec<u8>>, String> {
    let names = unquoted(argument).split_ascii_whitespace();
    names.map(|name| data(name).ok_or_else(|| format!("there is no file `{name}`"))).collect()
}
