//! Reads `SecLang`, the language of `ModSecurity`'s rules. Source: `ModSecurity` reference manual v3.

mod actions;
mod lexer;
mod reading;
mod targets;

use crate::ruleset::{RuleError, Ruleset};

/// A file of rules or of words (`@pmFromFile`), by name.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The name by which rules call it; directories do not matter.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a [u8],
}

/// Reads and compiles rules: `configuration` in its order, `data` for the operators that name a file.
///
/// # Errors
/// [`RuleError`] for the first thing that is not understood: nothing is ever left out in silence. A rule that is understood and
/// cannot be judged here, since its pattern needs more than linear time or since it looks at what holds nothing here, is told of in
/// [`Ruleset::left_out`].
pub fn load(configuration: &[Source<'_>], data: &[Source<'_>]) -> Result<Ruleset, RuleError> {
    let mut reading = reading::Reading::new(data);
    for source in configuration {
        reading.begin_file(source.name);
        let failed = |line, problem| RuleError { file: source.name.to_owned(), line, problem };
        for directive in lexer::directives(source.text).map_err(|(line, problem)| failed(line, problem))? {
            reading.take(&directive).map_err(|problem| failed(directive.line, problem))?;
        }
        reading.end_of_file().map_err(|(line, problem)| failed(line, problem))?;
    }
    Ok(reading.finish())
}
