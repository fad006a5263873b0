//! What is found out about rules before any request comes: which names `TX` has, which links the prefilter can answer for,
//! which rules only lead past others, and which links only compare numbers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{
    backward::Backward,
    chain,
    course::{Course, Stop},
    interests::Interests,
    memo::Memo,
    names::Names,
    survey::Room,
};

/// So many are kept: a proxy has few threads.
const MOST_ROOMS: usize = 8;

use crate::{
    operator::{self, Operator},
    prefilter::BitSet,
    rule::{Chosen, Comparison, Control, Disruption, Link, Number, Piece, Rule, Selector, Step, Target, Template},
    value::Collection,
};

/// What is known of all rules.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The names of `TX` that rules spell out.
    pub(super) names: Names,
    /// What is asked of a request's values; nothing when the rules are too many for the prefilter.
    pub(super) interests: Option<Interests>,
    /// What rules of the response look at of the request.
    backward: Backward,
    /// What is remembered of values of earlier requests.
    pub(super) memo: Mutex<Memo>,
    /// Where values are looked at, when nobody does.
    rooms: Mutex<Vec<Room>>,
    /// What is judged of the rules, and how each may be passed over.
    pub(super) course: Course,
    /// The same, with every rule asked as it stands.
    pub(super) plain: Course,
    /// For each phase, what is asked between the rules that lead past others.
    parts: [Vec<Part>; 5],
}

/// How a step may be passed over without looking at its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may not.
    Open,
    /// It is passed when one of these questions has no candidate.
    Ask(Asks),
    /// It leads to another stop when the number is below another, and does nothing else.
    Guard(Guard),
}

/// Questions that must each hold for some value before a rule does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asks([Option<u16>; 3]);

impl Asks {
    /// Those of a rule's first links; nothing if there is none.
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        // What a link does as soon as it holds is done even when the next does not.
        let idle = |link: &Link| link.variables.is_empty() && link.controls.is_empty();
        let before = rule.links.iter().take_while(|link| idle(link)).count();
        let mut asks = rule.links.iter().take(before + 1).filter_map(|link| link.plan.ask);
        let asks = [asks.next(), asks.next(), asks.next()];
        asks[0].is_some().then_some(Self(asks))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().map_while(|ask| *ask)
    }
}

/// `SecRule TX:PARANOIA "@lt 2" "skipAfter:END"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard {
    pub comparison: Comparison,
    pub to: u32,
}

/// A part of a phase.
#[derive(Debug)]
enum Part {
    Guard(Guard),
    Asks(BitSet),
}

impl Plan {
    /// Finds out about the rules, and notes in each what concerns it.
    pub(crate) fn new(phases: &mut [Vec<Step>; 5]) -> Self {
        for (place, rule) in rules_of(phases).enumerate() {
            rule.plan.place = place;
        }
        let names = Names::of(phases);
        let chosen = Choices::of(phases);
        rules_of(phases).for_each(|rule| settle(rule, &names, &chosen));
        for steps in phases.iter_mut() {
            find_markers(steps);
        }
        let mut course = Course::settled(phases, &names);
        let left = course.rules(phases);
        chain::note(phases, &left, &names, |slot| course.is_constant(slot));
        let interests = Interests::of(phases, &left);
        course.note_asks(phases);
        let parts = std::array::from_fn(|phase| parts(&phases[phase], &course.way(phase).stops));
        Self {
            names,
            interests,
            backward: Backward::of(phases, &left),
            memo: Mutex::default(),
            rooms: Mutex::default(),
            plain: Course::plain(phases),
            course,
            parts,
        }
    }

    /// Whether a rule of the response looks at a value that one of these collections owns.
    pub(crate) fn looks_back(&self, owners: impl Iterator<Item = Collection>) -> bool {
        self.backward.looks_at(owners)
    }

    /// Room to look at values in; a new one when all are in use.
    pub(super) fn lent_room(&self) -> Room {
        self.rooms.try_lock().ok().and_then(|mut rooms| rooms.pop()).unwrap_or_default()
    }

    pub(super) fn take_back(&self, room: Room) {
        if room.is_small()
            && let Ok(mut rooms) = self.rooms.try_lock()
            && rooms.len() < MOST_ROOMS
        {
            rooms.push(room);
        }
    }

    /// What may be asked in any phase, given what the guards say now.
    pub(super) fn live(&self, asks: usize, guarded: impl Fn(Comparison) -> bool) -> BitSet {
        let mut live = BitSet::new(asks.max(1));
        for parts in &self.parts {
            let mut place = 0;
            while let Some(part) = parts.get(place) {
                place += 1;
                match part {
                    Part::Asks(asks) => live.add_all(asks),
                    Part::Guard(guard) if guarded(guard.comparison) => place = guard.to as usize,
                    Part::Guard(_) => {}
                }
            }
        }
        live
    }

    /// Whether any rule leads past others in the first phase: what it compares is set by the rules before it.
    pub(super) fn is_guarded(&self) -> bool {
        self.course.way(0).stops.iter().any(|stop| matches!(stop.gate, Gate::Guard(_)))
    }
}

fn rules_of(phases: &mut [Vec<Step>; 5]) -> impl Iterator<Item = &mut Rule> {
    phases.iter_mut().flatten().filter_map(|step| match step {
        Step::Rule(rule) => Some(&mut **rule),
        Step::Marker(_) => None,
    })
}

/// The rules that every `ctl` chooses, by the rule and what stands in its `ctl`s, in order.
struct Choices(BTreeMap<usize, Vec<Arc<BitSet>>>);

impl Choices {
    fn of(phases: &[Vec<Step>; 5]) -> Self {
        let rules: Vec<&Rule> = phases
            .iter()
            .flatten()
            .filter_map(|step| match step {
                Step::Rule(rule) => Some(&**rule),
                Step::Marker(_) => None,
            })
            .collect();
        let places = |chosen: &Chosen| {
            let mut places = BitSet::new(rules.len());
            rules.iter().filter(|rule| chosen.chooses(rule)).for_each(|rule| places.insert(rule.plan.place));
            Arc::new(places)
        };
        let of_rule = |rule: &&Rule| {
            let controls = rule.links.iter().flat_map(|link| &link.controls);
            let chosen: Vec<_> = controls.filter_map(chosen_by).map(places).collect();
            (rule.plan.place, chosen)
        };
        Self(rules.iter().map(of_rule).collect())
    }
}

fn chosen_by(control: &Control) -> Option<&Chosen> {
    match control {
        Control::Remove(chosen) | Control::RemoveTarget(chosen, _) => Some(chosen),
        _ => None,
    }
}

/// Notes in a rule what its names, its `ctl`s and its comparisons come to.
fn settle(rule: &mut Rule, names: &Names, choices: &Choices) {
    names.settle(rule);
    let mut chosen = choices.0.get(&rule.plan.place).into_iter().flatten();
    for link in &mut rule.links {
        for control in &mut link.controls {
            if let Control::Remove(now) | Control::RemoveTarget(now, _) = control
                && let Some(places) = chosen.next()
            {
                *now = Chosen::Places(Arc::clone(places));
            }
        }
        link.plan.comparison = comparison(link);
    }
    rule.plan.watched = rule.links.iter().any(looks_at_matches);
    rule.plan.quiet = !rule.logged && !rule.plan.watched;
}

/// The comparison that is all of a link.
fn comparison(link: &Link) -> Option<Comparison> {
    let [Target { slot: Some(slot), counted, .. }] = link.targets[..] else { return None };
    if !link.excluded.is_empty() || !link.transformations.is_empty() || link.multi_match {
        return None;
    }
    let (holds, argument) = match &link.operator {
        Operator::Equal(argument) => ([false, true, false], argument),
        Operator::AtLeast(argument) => ([false, true, true], argument),
        Operator::Above(argument) => ([false, false, true], argument),
        Operator::AtMost(argument) => ([true, true, false], argument),
        Operator::Below(argument) => ([true, false, false], argument),
        _ => return None,
    };
    let with = match (&argument.0[..], argument.constant()) {
        (_, Some(constant)) => Number::Constant(operator::number(constant)),
        ([Piece::Kept(slot)], _) => Number::Slot(*slot),
        _ => return None,
    };
    Some(Comparison { slot, counted, holds: holds.map(|holds| holds != link.negated), with })
}

/// Whether a link looks at what its rule matched before, or tells of it.
fn looks_at_matches(link: &Link) -> bool {
    let is_match = |collection: Collection| {
        use Collection as C;
        matches!(collection, C::MatchedVar | C::MatchedVarName | C::MatchedVars | C::MatchedVarsNames)
    };
    let tells = |template: &Template| {
        template.0.iter().any(|piece| matches!(piece, Piece::Variable(collection, _) if is_match(*collection)))
    };
    link.targets.iter().any(|target| is_match(target.collection))
        || link.operator.template().is_some_and(tells)
        || link.variables.iter().any(|set| tells(&set.name) || set.change.template().is_some_and(tells))
}

/// Notes where `skipAfter` leads, and `skip`, which counts rules from there on. A marker that is nowhere ends the phase, as it
/// does in `ModSecurity`.
fn find_markers(steps: &mut [Step]) {
    let mut markers = BTreeMap::new();
    let end = steps.len();
    // The steps of the rules behind, the nearest last.
    let mut behind = Vec::new();
    for (place, step) in steps.iter_mut().enumerate().rev() {
        match step {
            Step::Marker(name) => _ = markers.insert(Arc::clone(name), place + 1),
            Step::Rule(rule) => {
                let marker = rule.skip_after.as_ref().map(|name| markers.get(name).copied().unwrap_or(end));
                rule.plan.skip_to = past(&behind, marker.unwrap_or(place + 1), rule.skip as usize, end);
                behind.push(place);
            }
        }
    }
}

/// The step behind so many rules that are not before a step. `behind` has the steps of rules, the nearest last.
fn past(behind: &[usize], start: usize, rules: usize, end: usize) -> usize {
    match rules.checked_sub(1) {
        None => start,
        Some(last) => behind.iter().rev().filter(|step| **step >= start).nth(last).map_or(end, |step| step + 1),
    }
}

/// How a rule may be passed over before anything is known of a request's values.
pub(super) fn gate(step: &Step) -> Gate {
    match step {
        Step::Rule(rule) => guard(rule).map_or(Gate::Open, Gate::Guard),
        Step::Marker(_) => Gate::Open,
    }
}

fn guard(rule: &Rule) -> Option<Guard> {
    let [link] = &rule.links[..] else { return None };
    let comparison = link.plan.comparison.filter(|comparison| !comparison.counted)?;
    let leads_only = rule.skip_after.is_some()
        && !rule.logged
        && rule.skip == 0
        && matches!(rule.disruption, Disruption::Pass)
        && link.variables.is_empty()
        && link.controls.is_empty()
        && matches!(link.targets[0].selector, Selector::Named(_));
    leads_only.then_some(Guard { comparison, to: rule.plan.skip_to as u32 })
}

/// Parts a phase where guards stand and lead.
fn parts(rules: &[Step], stops: &[Stop]) -> Vec<Part> {
    let guard = |stop: &Stop| if let Gate::Guard(guard) = stop.gate { Some(guard) } else { None };
    let aims: Vec<u32> = stops.iter().filter_map(guard).map(|guard| guard.to).collect();
    let mut parts = Vec::new();
    // For each stop, the part that begins there or goes on there.
    let mut part_of = Vec::new();
    let mut asks = Vec::new();
    let close = |parts: &mut Vec<Part>, asks: &mut Vec<u16>| {
        if !asks.is_empty() {
            parts.push(Part::Asks(asks.drain(..).map(usize::from).collect()));
        }
    };
    for (place, stop) in stops.iter().enumerate() {
        if aims.contains(&(place as u32)) {
            close(&mut parts, &mut asks);
        }
        if let Gate::Guard(guard) = stop.gate {
            close(&mut parts, &mut asks);
            part_of.push(parts.len());
            parts.push(Part::Guard(guard));
            continue;
        }
        part_of.push(parts.len());
        if let Step::Rule(rule) = &rules[stop.step as usize] {
            asks.extend(rule.links.iter().filter_map(|link| link.plan.ask));
        }
    }
    close(&mut parts, &mut asks);
    let end = parts.len();
    for part in &mut parts {
        if let Part::Guard(guard) = part {
            guard.to = part_of.get(guard.to as usize).map_or(end, |part| *part) as u32;
        }
    }
    parts
}
