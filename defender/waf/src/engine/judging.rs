//! One rule: its targets' values, its operator, what a match does.

use std::borrow::Cow;

use regex_automata::meta::Regex;

use super::{
    Finding, Transaction, Withdrawn,
    memory::{self, Matched},
};
use crate::{
    operator::{Captures, Operator},
    rule::{Control, Disruption, Link, Rule, Selector, Target},
    value::{Collection, Request, Response, Value},
};

/// Rules that a `ctl` names.
#[derive(Debug)]
pub(super) enum Chosen {
    Ids(u32, u32),
    Tag(Box<Regex>),
}

/// What `ctl` took away while this request is judged.
#[derive(Debug, Default)]
pub(super) struct Removed {
    rules: Vec<Chosen>,
    targets: Vec<Withdrawn>,
}

/// A value that an operator found something in.
struct Hit {
    matched: Matched,
    captures: Captures,
}

impl Removed {
    pub(super) fn removes(&self, rule: &Rule) -> bool {
        self.rules.iter().any(|chosen| chosen.chooses(rule))
    }

    fn targets<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(|withdrawn| withdrawn.rules.chooses(rule)).map(|withdrawn| &withdrawn.target)
    }
}

impl Chosen {
    fn chooses(&self, rule: &Rule) -> bool {
        match self {
            Self::Ids(first, last) => (*first..=*last).contains(&rule.id),
            Self::Tag(pattern) => rule.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())),
        }
    }
}

impl Transaction<'_> {
    /// Asks a rule and its chain; does what each link says as soon as that holds, and records a finding if all do.
    pub(super) fn holds(&mut self, rule: &Rule, request: &Request, response: &Response) -> bool {
        self.memory.begin_rule();
        for link in &rule.links {
            if !self.link_holds(rule, link, request, response) {
                return false;
            }
        }
        let last = self.memory.matched.last();
        let text = |template| String::from_utf8_lossy(&self.memory.fill(template, request, response)).into_owned();
        self.findings.push(Finding {
            rule: rule.id,
            phase: rule.phase,
            message: text(&rule.message),
            data: text(&rule.log_data),
            severity: rule.severity,
            tags: rule.tags.clone(),
            logged: rule.logged,
            collection: last.map_or(Collection::Absent, |matched| matched.collection),
            name: last.map(|matched| matched.name.clone()).unwrap_or_default(),
            matches: self.memory.matched.clone(),
            points: self.memory.points,
            denies: rule.disruption == Disruption::Deny,
        });
        true
    }

    fn link_holds(&mut self, rule: &Rule, link: &Link, request: &Request, response: &Response) -> bool {
        if link.targets.is_empty() {
            self.apply_variables(link, request, response);
        } else {
            let hits = self.hits(rule, link, request, response);
            if hits.is_empty() {
                return false;
            }
            for hit in hits {
                if link.capture {
                    let groups = hit.captures.iter().map(|group| &hit.matched.value[group.clone()]);
                    self.memory.capture(groups);
                }
                self.memory.matched.push(hit.matched);
                self.apply_variables(link, request, response);
            }
        }
        for control in &link.controls {
            self.control(control);
        }
        true
    }

    fn apply_variables(&mut self, link: &Link, request: &Request, response: &Response) {
        for set in &link.variables {
            self.memory.set(set, request, response);
        }
    }

    /// Every value of the link's targets in which its operator finds something (or, negated, finds nothing).
    fn hits(&self, rule: &Rule, link: &Link, request: &Request, response: &Response) -> Vec<Hit> {
        let argument = link.operator.argument().map(|template| self.memory.fill(template, request, response));
        let argument = argument.as_deref().unwrap_or_default();
        let mut hits = Vec::new();
        for target in &link.targets {
            let chosen = self.values(target, request, response).into_iter().filter(|value| {
                !link.excluded.iter().chain(self.removed.targets(rule)).any(|excluded| excludes(excluded, value))
            });
            if target.counted {
                let number = chosen.count().to_string();
                let counted = Value { collection: target.collection, name: b"", value: number.as_bytes() };
                ask(link, argument, counted, &mut hits);
            } else {
                chosen.for_each(|value| ask(link, argument, value, &mut hits));
            }
        }
        hits
    }

    fn values<'a>(&'a self, target: &Target, request: &'a Request, response: &'a Response) -> Vec<Value<'a>> {
        let all: Vec<Value<'a>> = if memory::is_kept(target.collection) {
            self.memory.of(target.collection)
        } else if memory::is_response(target.collection) {
            response.of(target.collection).collect()
        } else {
            match &self.body_processor {
                // What a rule chose is known at once, though the body is read later.
                Some(chosen) if target.collection == Collection::ReqbodyProcessor => {
                    vec![Value { collection: target.collection, name: b"", value: chosen.as_bytes() }]
                }
                _ => request.of(target.collection).collect(),
            }
        };
        all.into_iter().filter(|value| selects(&target.selector, value.name)).collect()
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::RemoveById(first, last) => self.removed.rules.push(Chosen::Ids(*first, *last)),
            Control::RemoveByTag(pattern) => self.removed.rules.push(Chosen::Tag(pattern.clone())),
            Control::RemoveTargetById(first, last, target) => {
                self.removed.targets.push(Withdrawn { rules: Chosen::Ids(*first, *last), target: target.clone() });
            }
            Control::RemoveTargetByTag(pattern, target) => {
                self.removed.targets.push(Withdrawn { rules: Chosen::Tag(pattern.clone()), target: target.clone() });
            }
            Control::ForceRequestBody(forced) => self.body_forced = *forced,
            Control::BodyProcessor(name) => self.body_processor = Some(name.clone()),
            Control::Engine(mode) => self.mode = *mode,
            Control::Ignored => {}
        }
    }
}

/// Asks a link's operator of one value, after its transformations; with `multiMatch` after each that changed something.
fn ask(link: &Link, argument: &[u8], value: Value<'_>, hits: &mut Vec<Hit>) {
    let mut transformed = Cow::Borrowed(value.value);
    if link.multi_match {
        ask_once(link, argument, value, &transformed, hits);
    }
    for transformation in &link.transformations {
        let Cow::Owned(next) = transformation.apply(&transformed) else { continue };
        let changed = *next != *transformed;
        transformed = Cow::Owned(next);
        if link.multi_match && changed {
            ask_once(link, argument, value, &transformed, hits);
        }
    }
    if !link.multi_match {
        ask_once(link, argument, value, &transformed, hits);
    }
}

fn ask_once(link: &Link, argument: &[u8], value: Value<'_>, transformed: &[u8], hits: &mut Vec<Hit>) {
    let captures = match (link.operator.ask(transformed, argument), link.negated) {
        (Some(captures), false) => captures,
        (None, true) => Vec::new(),
        _ => return,
    };
    let label = label(value);
    let matched =
        Matched { collection: value.collection, name: value.name.to_vec(), label, value: transformed.to_vec() };
    hits.push(Hit { matched, captures });
}

/// `ARGS:id`, or `REQUEST_METHOD` where there are no names.
fn label(value: Value<'_>) -> Vec<u8> {
    // What matched before keeps the label that it had.
    if value.collection == Collection::MatchedVars || value.collection == Collection::MatchedVarsNames {
        return value.name.to_vec();
    }
    let mut label = value.collection.name().as_bytes().to_vec();
    if !value.name.is_empty() {
        label.push(b':');
        label.extend_from_slice(value.name);
    }
    label
}

fn excludes(excluded: &Target, value: &Value<'_>) -> bool {
    excluded.collection == value.collection && selects(&excluded.selector, value.name)
}

fn selects(selector: &Selector, name: &[u8]) -> bool {
    match selector {
        Selector::All => true,
        Selector::Named(wanted) => name.eq_ignore_ascii_case(wanted),
        Selector::Matching(pattern) => pattern.is_match(name),
    }
}

impl Operator {
    /// The argument that has places to fill in before the operator is asked.
    fn argument(&self) -> Option<&crate::rule::Template> {
        match self {
            Self::Equals(argument)
            | Self::Contains(argument)
            | Self::BeginsWith(argument)
            | Self::EndsWith(argument)
            | Self::Within(argument)
            | Self::Equal(argument)
            | Self::AtLeast(argument)
            | Self::Above(argument)
            | Self::AtMost(argument)
            | Self::Below(argument) => Some(argument),
            _ => None,
        }
    }
}
