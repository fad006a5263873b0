//! Chains that keep each value of their first link under a name of its own and look at those in their second.
//!
//! So the Core Rule Set compares the names of header fields with lists (920450). Each value counts by itself there: what did not
//! make the chain hold once never will, and need not be kept and looked at in every request.

use std::sync::Arc;

use regex_automata::meta::Regex;

use super::names::Names;
use crate::{
    prefilter::BitSet,
    rule::{Change, Link, Piece, Rule, Selector, SetVariable, Step, Target, Template},
    transformation::Transformation,
    value::Collection,
};

/// What is known of a rule whose values count each by itself.
#[derive(Debug)]
pub(crate) struct Chain {
    /// With what the names begin that it keeps.
    pub prefix: Arc<[u8]>,
    /// Which names other rules look at.
    others: Vec<Regex>,
}

impl Chain {
    /// Whether no other rule looks at a name.
    pub(super) fn is_alone(&self, name: &[u8]) -> bool {
        !self.others.iter().any(|pattern| pattern.is_match(name))
    }
}

/// Notes the chains among the rules that are left, by their places. `constant` tells whether a name of `TX` always holds the same.
/// A rule whose names another spells out is none.
pub(super) fn note(phases: &mut [Vec<Step>; 5], left: &BitSet, names: &Names, constant: impl Fn(u16) -> bool) {
    let patterns: Vec<(usize, Regex)> = targets(phases, left)
        .filter_map(|(place, target)| match &target.selector {
            Selector::Matching(pattern) => Some((place, (**pattern).clone())),
            _ => None,
        })
        .collect();
    if targets(phases, left).any(|(_, target)| matches!(target.selector, Selector::All)) {
        return;
    }
    let rules = phases.iter_mut().flatten().filter_map(|step| match step {
        Step::Rule(rule) if left.contains(rule.plan.place) => Some(rule),
        _ => None,
    });
    for rule in rules {
        let others = || patterns.iter().filter(|(place, _)| *place != rule.plan.place).map(|(_, other)| other.clone());
        let spelt = |prefix: &[u8]| (0..names.len()).any(|slot| names.name(slot).starts_with(prefix));
        let chain = prefix(rule, &constant)
            .filter(|prefix| !spelt(prefix))
            .map(|prefix| Arc::new(Chain { prefix, others: others().collect() }));
        rule.links[0].plan.chain = chain.is_some().then_some(rule.plan.place);
        rule.plan.chain = chain;
    }
}

/// What is looked at of `TX`, each with the place of its rule.
fn targets<'p>(phases: &'p [Vec<Step>; 5], left: &'p BitSet) -> impl Iterator<Item = (usize, &'p Target)> {
    let rules = phases.iter().flatten().filter_map(|step| match step {
        Step::Rule(rule) if left.contains(rule.plan.place) => Some(rule),
        _ => None,
    });
    rules.flat_map(|rule| {
        let targets = rule.links.iter().flat_map(|link| &link.targets);
        targets.filter(|target| target.collection == Collection::Tx).map(|target| (rule.plan.place, target))
    })
}

/// With what the names begin that a chain keeps; nothing for a rule that is no such chain.
fn prefix(rule: &Rule, constant: impl Fn(u16) -> bool) -> Option<Arc<[u8]>> {
    let [first, second] = &rule.links[..] else { return None };
    let keeps = keeps_each(first)?;
    // Of values that differ in case alone, which have one name, one must be as good as the other.
    let folded = first.transformations.last() == Some(&Transformation::Lowercase)
        || second.transformations.first() == Some(&Transformation::Lowercase);
    (folded && looks_at_each(second, constant) && !rule.plan.watched).then_some(keeps)
}

/// `SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "capture,setvar:'tx.header_%{tx.0}=/%{tx.0}/',chain"`.
fn keeps_each(link: &Link) -> Option<Arc<[u8]>> {
    let [SetVariable { name, change: Change::Set(value), .. }] = &link.variables[..] else { return None };
    let [Piece::Text(prefix), captured] = &name.0[..] else { return None };
    let is_captured = |piece: &Piece| matches!(piece, Piece::Variable(Collection::Tx, name) if **name == *b"0");
    let whole = |value: &Template| value.0.iter().all(|piece| matches!(piece, Piece::Text(_)) || is_captured(piece));
    let plain = link.capture && !link.negated && !link.multi_match && link.controls.is_empty();
    (plain && is_captured(captured) && whole(value)).then(|| Arc::clone(prefix))
}

/// `SecRule TX:/^header_/ "@within %{tx.restricted}"`.
fn looks_at_each(link: &Link, constant: impl Fn(u16) -> bool) -> bool {
    let [Target { collection: Collection::Tx, selector: Selector::Matching(_), counted: false, .. }] =
        &link.targets[..]
    else {
        return false;
    };
    let known = |piece: &Piece| match piece {
        Piece::Text(_) => true,
        Piece::Kept(slot) => constant(*slot),
        Piece::Variable(..) => false,
    };
    // Names that rules spell out are not its own.
    link.targets[0].slots.as_ref().is_none_or(|slots| slots.is_empty())
        && !link.multi_match
        && link.excluded.is_empty()
        && link.operator.template().is_none_or(|template| template.0.iter().all(known))
}
