//! What of the rules' course is settled before any request comes.
//!
//! The Core Rule Set begins with some forty rules that give `TX` its defaults, and two hundred of its rules lead past others by a
//! paranoia level that nothing changes afterwards. All of that comes to the same end for every request, so it is done once.

use std::sync::Arc;

use super::{
    memory::{Kept, Memory, is_kept, is_score},
    names::Names,
    plan::{Asks, Gate, Guard, gate},
};
use crate::{
    prefilter::BitSet,
    rule::{
        Change, Chosen, Comparison, Control, Disruption, Link, Number, Piece, Rule, SetVariable, Step, Target, Template,
    },
    value::Request,
};

/// With what each request begins, and which steps are left to be judged.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// What `TX` holds at the beginning, by the number of its name.
    pub before: Vec<Kept>,
    /// By the number of a name of `TX`: a rule that is left may change what it holds.
    changing: Vec<bool>,
    ways: [Way; 5],
}

/// The steps of a phase that are left.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub stops: Vec<Stop>,
    /// By step: the first stop that is not before it.
    first: Vec<u32>,
}

/// A step that is judged: always a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub step: u32,
    pub gate: Gate,
}

impl Course {
    /// Every rule, as it stands.
    pub(super) fn plain(phases: &[Vec<Step>; 5]) -> Self {
        let every = |steps: &Vec<Step>| Way::of(steps, &vec![Gate::Open; steps.len()], &vec![true; steps.len()]);
        Self { ways: std::array::from_fn(|phase| every(&phases[phase])), ..Self::default() }
    }

    /// What is left when all is done that is the same for every request.
    pub(super) fn settled(phases: &[Vec<Step>; 5], names: &Names) -> Self {
        let mut beginning = Beginning::new(names, phases);
        beginning.run(&phases[0]);
        let before = beginning.memory.all();
        let outlook = Outlook::new(phases, &beginning, names);
        let ways = std::array::from_fn(|phase| {
            let steps = &phases[phase];
            let gates: Vec<Gate> = steps.iter().map(gate).collect();
            let done: &[bool] = if phase == 0 { &beginning.done } else { &[] };
            Way::of(steps, &gates, &outlook.left(steps, &gates, done))
        });
        Self { changing: outlook.changing, before, ways }
    }

    /// Whether a name of `TX`, by its number, holds the same for every request.
    pub(super) fn is_constant(&self, slot: u16) -> bool {
        !self.changing.get(usize::from(slot)).copied().unwrap_or(true)
    }

    /// The places of all rules that are left.
    pub(super) fn rules(&self, phases: &[Vec<Step>; 5]) -> BitSet {
        let left = self.ways.iter().zip(phases).flat_map(|(way, steps)| {
            let steps = way.stops.iter().map(|stop| &steps[stop.step as usize]);
            steps.filter_map(rule_of).map(|rule| rule.plan.place)
        });
        left.collect()
    }

    /// Notes what rules ask of a request's values: they are passed over when that holds for none.
    pub(super) fn note_asks(&mut self, phases: &[Vec<Step>; 5]) {
        for (way, steps) in self.ways.iter_mut().zip(phases) {
            for stop in way.stops.iter_mut().filter(|stop| stop.gate == Gate::Open) {
                let asks = rule_of(&steps[stop.step as usize]).and_then(Asks::of);
                stop.gate = asks.map_or(Gate::Open, Gate::Ask);
            }
        }
    }

    /// The steps of a phase, from 0.
    pub(super) fn way(&self, phase: usize) -> &Way {
        &self.ways[phase]
    }
}

impl Way {
    fn of(steps: &[Step], gates: &[Gate], left: &[bool]) -> Self {
        let mut way = Self::default();
        for (place, step) in steps.iter().enumerate() {
            way.first.push(way.stops.len() as u32);
            if left[place] && rule_of(step).is_some() {
                way.stops.push(Stop { step: place as u32, gate: gates[place] });
            }
        }
        way.first.push(way.stops.len() as u32);
        for place in 0..way.stops.len() {
            if let Gate::Guard(guard) = way.stops[place].gate {
                let to = way.stop_at(guard.to as usize) as u32;
                way.stops[place].gate = Gate::Guard(Guard { to, ..guard });
            }
        }
        way
    }

    /// The first stop that is not before a step.
    pub(super) fn stop_at(&self, step: usize) -> usize {
        self.first.get(step).map_or(self.stops.len(), |stop| *stop as usize)
    }
}

/// The first rules of the first phase, as far as they ask nothing of requests.
struct Beginning<'n> {
    memory: Memory<'n>,
    /// By step of the first phase: it is done, or led past.
    done: Vec<bool>,
    /// By the rules' places: those that a `ctl` took away.
    removed: BitSet,
}

impl<'n> Beginning<'n> {
    fn new(names: &'n Names, phases: &[Vec<Step>; 5]) -> Self {
        let rules = phases.iter().flatten().filter_map(rule_of).count();
        Self { memory: Memory::new(names, &[]), done: Vec::new(), removed: BitSet::new(rules.max(1)) }
    }

    /// Does all that comes before the first rule which only a request can settle. Rules that only choose how a body is read are
    /// left where they are: neither do they see what the others do, nor the others what they do.
    fn run(&mut self, steps: &[Step]) {
        self.done = vec![false; steps.len()];
        let mut place = 0;
        while let Some(step) = steps.get(place) {
            let next = place + 1;
            let Some(rule) = rule_of(step) else {
                place = next;
                continue;
            };
            let ended = if self.removed.contains(rule.plan.place) { Some(false) } else { self.ended(rule) };
            let next = if ended == Some(true) && rule.leads() { rule.plan.skip_to.max(next) } else { next };
            match ended {
                Some(_) => self.done[place..next].fill(true),
                None if is_apart(rule) => {}
                None => break,
            }
            place = next;
        }
    }

    /// How a rule ends for every request, once that is done; nothing, with nothing done, when a request must be asked.
    fn ended(&mut self, rule: &Rule) -> Option<bool> {
        let mut memory = self.memory.clone();
        let mut removed = self.removed.clone();
        let none = Request::new();
        for link in &rule.links {
            if !link.targets.is_empty() && !holds(link, &memory)? {
                (self.memory, self.removed) = (memory, removed);
                return Some(false);
            }
            if !is_plain(link) {
                return None;
            }
            link.variables.iter().for_each(|set| memory.set(set, &none, &none));
            for control in &link.controls {
                if let Control::Remove(Chosen::Places(places)) = control {
                    removed.add_all(places);
                }
            }
        }
        if !rule.plan.quiet || rule.disruption != Disruption::Pass {
            return None;
        }
        (self.memory, self.removed) = (memory, removed);
        Some(true)
    }
}

/// What is known of all phases once the beginning is done.
struct Outlook<'b> {
    memory: &'b Memory<'b>,
    removed: &'b BitSet,
    /// By the number of a name of `TX`: a rule that is left may change it.
    changing: Vec<bool>,
    /// By the rules' places: those that a rule which is left may take away together.
    removals: Vec<Arc<BitSet>>,
}

impl<'b> Outlook<'b> {
    fn new(phases: &[Vec<Step>; 5], beginning: &'b Beginning<'_>, names: &Names) -> Self {
        let mut outlook = Self {
            memory: &beginning.memory,
            removed: &beginning.removed,
            changing: vec![false; names.len()],
            removals: Vec::new(),
        };
        for (phase, steps) in phases.iter().enumerate() {
            for (place, rule) in steps.iter().enumerate().filter_map(|(place, step)| Some((place, rule_of(step)?))) {
                let done = phase == 0 && beginning.done.get(place).copied().unwrap_or(false);
                if !done && !outlook.removed.contains(rule.plan.place) {
                    rule.links.iter().for_each(|link| outlook.note(link, names));
                }
            }
        }
        outlook
    }

    /// Notes what a link may change.
    fn note(&mut self, link: &Link, names: &Names) {
        for set in &link.variables {
            if let Some(slot) = set.slot {
                self.changing[usize::from(slot)] = true;
                continue;
            }
            let prefix = match set.name.0.first() {
                Some(Piece::Text(text)) => &text[..],
                _ => b"",
            };
            let slots = (0..names.len()).filter(|slot| names.name(*slot).starts_with(prefix));
            slots.for_each(|slot| self.changing[slot] = true);
        }
        for control in &link.controls {
            match control {
                Control::Remove(Chosen::Places(places)) => self.removals.push(Arc::clone(places)),
                // Then no comparison is what it seems.
                Control::RemoveTarget(_, target) if is_kept(target.collection) => self.changing.fill(true),
                _ => {}
            }
        }
    }

    /// How a comparison ends for every request; nothing when that differs.
    fn known(&self, comparison: Comparison) -> Option<bool> {
        let changes = |slot: u16| self.changing[usize::from(slot)];
        let other = matches!(comparison.with, Number::Slot(slot) if changes(slot));
        (!changes(comparison.slot) && !other).then(|| self.memory.holds(comparison))
    }

    /// By step of a phase, whether it is left. All that are not done yet are, when a request may jump to one that is led past.
    fn left(&self, steps: &[Step], gates: &[Gate], done: &[bool]) -> Vec<bool> {
        let is_done = |place: usize| done.get(place).copied().unwrap_or(false);
        // Up to the last that is done, what was removed was removed by those before it.
        let begun = done.iter().rposition(|done| *done).map_or(0, |last| last + 1);
        let (mut left, mut reached) = (vec![false; steps.len()], vec![false; steps.len() + 1]);
        reached[steps.len()] = true;
        let mut place = 0;
        while let Some(step) = steps.get(place) {
            reached[place] = true;
            let next = place + 1;
            let rule = rule_of(step).filter(|_| !is_done(place));
            let gone = |rule: &Rule| place >= begun && self.removed.contains(rule.plan.place);
            let Some(rule) = rule.filter(|rule| !gone(rule) && !self.never_holds(rule)) else {
                place = next;
                continue;
            };
            match gates[place] {
                Gate::Guard(guard)
                    if self.leads_on(rule, guard, steps.get(next..guard.to as usize).unwrap_or_default()) =>
                {
                    place = next.max(guard.to as usize);
                }
                _ => {
                    left[place] = true;
                    place = next;
                }
            }
        }
        let jumps = steps.iter().zip(&left).filter(|(_, left)| **left).filter_map(|(step, _)| rule_of(step));
        let mut jumps = jumps.filter(|rule| rule.leads()).map(|rule| rule.plan.skip_to);
        if jumps.all(|to| reached.get(to).copied().unwrap_or(true)) {
            return left;
        }
        (0..steps.len()).map(|place| !is_done(place)).collect()
    }

    /// Whether a guard leads past the rules behind it for every request, or is taken away together with all of them.
    fn leads_on(&self, rule: &Rule, guard: Guard, passed: &[Step]) -> bool {
        let whole =
            |removal: &Arc<BitSet>| passed.iter().filter_map(rule_of).all(|rule| removal.contains(rule.plan.place));
        let mut removals = self.removals.iter().filter(|removal| removal.contains(rule.plan.place));
        self.known(guard.comparison) == Some(true) && removals.all(whole)
    }

    /// Whether the first link of a rule fails for every request.
    fn never_holds(&self, rule: &Rule) -> bool {
        let first = rule.links.first().and_then(|link| link.plan.comparison);
        first.is_some_and(|comparison| self.known(comparison) == Some(false))
    }
}

fn rule_of(step: &Step) -> Option<&Rule> {
    match step {
        Step::Rule(rule) => Some(rule),
        Step::Marker(_) => None,
    }
}

/// Whether a link holds that asks for one name of `TX` and nothing else; nothing for another.
fn holds(link: &Link, memory: &Memory<'_>) -> Option<bool> {
    if let Some(comparison) = link.plan.comparison {
        return Some(memory.holds(comparison));
    }
    let [Target { slot: Some(slot), counted: false, .. }] = link.targets[..] else { return None };
    let argument = link.operator.template();
    if link.multi_match || link.capture || !link.excluded.is_empty() || !argument.is_none_or(keeps) {
        return None;
    }
    let Some(value) = memory.slot(slot) else { return Some(false) };
    let none = Request::new();
    let argument = argument.map(|template| memory.fill(template, &none, &none)).unwrap_or_default();
    let value = link.transformations.iter().fold(value.to_vec(), |value, next| next.apply(&value).into_owned());
    Some(link.operator.holds(&value, &argument) != link.negated)
}

/// Whether a text has nothing to fill in but what `TX` keeps under names.
fn keeps(template: &Template) -> bool {
    !template.0.iter().any(|piece| matches!(piece, Piece::Variable(..)))
}

/// Whether what a link does when it holds is the same for every request.
fn is_plain(link: &Link) -> bool {
    let plain = |set: &SetVariable| {
        // What is added to a score counts for the rule that adds it.
        let counts = matches!(set.change, Change::Add(_)) && set.name.constant().is_none_or(is_score);
        set.slot.is_some() && !counts && set.change.template().is_none_or(keeps)
    };
    link.variables.iter().all(plain)
        && link.controls.iter().all(|control| matches!(control, Control::Remove(Chosen::Places(_)) | Control::Ignored))
}

/// Whether a rule neither sees what rules keep for one another nor changes it, and leads nowhere.
fn is_apart(rule: &Rule) -> bool {
    let apart = |link: &Link| {
        link.variables.is_empty()
            && !link.targets.iter().chain(&link.excluded).any(|target| is_kept(target.collection))
            && link.operator.template().is_none_or(|template| template.constant().is_some())
            && link.controls.iter().all(|control| {
                matches!(control, Control::BodyProcessor(_) | Control::ForceRequestBody(_) | Control::Ignored)
            })
    };
    rule.links.iter().all(apart) && !rule.logged && !rule.leads() && rule.disruption == Disruption::Pass
}
