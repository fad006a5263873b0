//! Custom rules: conditions that users write (`docs/reference/custom-rules.md`).
//!
//! The first rule whose condition surely holds ends the judging. What is not known of an event makes a condition on it
//! neither hold nor fail, so that nothing is allowed, and nothing prevented, on a guess.
use std::collections::HashMap;

use crate::{
    Context, CustomEffect, CustomKind, CustomRule, Event, PolicyError,
    custom::{
        facts::Facts,
        tree::{Field, Test, Tree, Value},
    },
};

mod facts;
mod parse;
mod tokens;
mod tree;

#[cfg(test)]
mod tests;

pub use tokens::ScriptError;

/// Reads a script as a rule of a kind would have it, and gives it back in the one form in which scripts are printed.
///
/// # Errors
/// [`ScriptError`] for the first thing that is wrong, with its column.
pub fn check_script(kind: CustomKind, script: &str) -> Result<String, ScriptError> {
    parse::parse(kind, script).map(|tree| tree.to_string())
}

/// The custom rules of a policy, by what they are about.
#[derive(Debug, Clone, Default)]
pub(crate) struct CustomRules {
    processes: Rules,
    files: Rules,
    connections: Rules,
}

/// Rules of one kind, in their order.
#[derive(Debug, Clone, Default)]
struct Rules {
    all: Vec<Rule>,
    /// Rules that can only hold when a field is one of some texts, under these; so that many of them cost no more than a
    /// few.
    guarded: HashMap<Field, HashMap<Box<str>, Vec<usize>>>,
    /// The others.
    open: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    condition: Tree,
    effect: CustomEffect,
}

impl CustomRules {
    /// # Errors
    /// [`PolicyError::Script`] for the first script that cannot be understood.
    pub(crate) fn new(rules: &[CustomRule]) -> Result<Self, PolicyError> {
        let mut compiled = Self::default();
        for CustomRule { name, kind, script, effect } in rules {
            let condition = parse::parse(*kind, script);
            let condition = condition.map_err(|error| PolicyError::Script { rule: name.clone(), error })?;
            let rule = Rule { name: name.clone(), condition, effect: *effect };
            match kind {
                CustomKind::Processes => compiled.processes.push(rule),
                CustomKind::Filesystem => compiled.files.push(rule),
                CustomKind::NetworkOutgoing => compiled.connections.push(rule),
            }
        }
        Ok(compiled)
    }

    /// The first rule that holds for an event, by name, with its effect. A look-up is judged by those rules on connections
    /// that speak of names.
    pub(crate) fn first_match(&self, event: &Event, context: Context<'_>) -> Option<(&str, CustomEffect)> {
        let (rules, lookup) = match event {
            Event::Process(_) => (&self.processes, false),
            Event::File(_) => (&self.files, false),
            Event::Connection(_) => (&self.connections, false),
            Event::Lookup(_) => (&self.connections, true),
            Event::Listen(_) | Event::Request(_) | Event::Defender(_) => return None,
        };
        if rules.all.is_empty() {
            return None;
        }
        rules.first_match(&Facts::new(event, context), lookup)
    }

    /// True when there are rules of a kind.
    pub(crate) fn judges(&self, kind: CustomKind) -> bool {
        !self.of(kind).all.is_empty()
    }

    /// True when a rule of a kind may prevent something.
    pub(crate) fn prevents(&self, kind: CustomKind) -> bool {
        self.of(kind).all.iter().any(|rule| rule.effect == CustomEffect::Prevent)
    }

    /// True when a rule goes by contents.
    pub(crate) fn wants_hashes(&self) -> bool {
        self.processes.all.iter().any(|rule| rule.condition.mentions(Field::Sha256))
    }

    /// True when a rule goes by the names that gave an address.
    pub(crate) fn wants_names(&self) -> bool {
        self.connections.all.iter().any(|rule| rule.condition.mentions(Field::Domain))
    }

    fn of(&self, kind: CustomKind) -> &Rules {
        match kind {
            CustomKind::Processes => &self.processes,
            CustomKind::Filesystem => &self.files,
            CustomKind::NetworkOutgoing => &self.connections,
        }
    }
}

impl Rules {
    fn push(&mut self, rule: Rule) {
        let index = self.all.len();
        match rule.condition.guard() {
            None => self.open.push(index),
            Some((field, texts)) => {
                let places = self.guarded.entry(field).or_default();
                for text in texts {
                    places.entry(text.into()).or_default().push(index);
                }
            }
        }
        self.all.push(rule);
    }

    fn first_match(&self, facts: &Facts<'_>, lookup: bool) -> Option<(&str, CustomEffect)> {
        let mut candidates = self.open.clone();
        for (&field, places) in &self.guarded {
            facts.texts(field).any(|text| {
                candidates.extend(places.get(text).into_iter().flatten());
                false
            });
        }
        candidates.sort_unstable();
        let matches = |rule: &&Rule| {
            (!lookup || rule.condition.mentions(Field::Domain)) && facts.hold(&rule.condition) == Some(true)
        };
        let rule = candidates.into_iter().map(|index| &self.all[index]).find(matches)?;
        Some((&rule.name, rule.effect))
    }
}

impl Tree {
    /// A field and the texts one of which it must be, if the condition cannot hold otherwise.
    fn guard(&self) -> Option<(Field, Vec<&str>)> {
        match self {
            Self::All(parts) => parts.iter().find_map(Self::guard),
            Self::Term(field, test) if field.is_guard() => {
                let values = match test {
                    Test::Equal(value) => std::slice::from_ref(value),
                    Test::In(values) => values.as_slice(),
                    _ => return None,
                };
                let texts =
                    values.iter().map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None });
                Some((*field, texts.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    fn mentions(&self, wanted: Field) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().any(|part| part.mentions(wanted)),
            Self::Not(part) => part.mentions(wanted),
            Self::Term(field, _) => *field == wanted,
        }
    }
}
