//! One rule: its targets' values, its operator, what a match does.

use std::borrow::Cow;

use super::{
    Finding, Transaction, Ways, Withdrawn,
    memory::{self, Matched, Written},
    survey::Candidate,
};
use crate::{
    operator::Effort,
    prefilter::BitSet,
    rule::{Chosen, Control, Disruption, Link, Rule, Selector, Target},
    value::{Collection, Request, Response, Value, owners},
};

/// The work of transforming a byte, in bytes that an automaton looks at.
const TRANSFORMING: u64 = 2;

/// What `ctl` took away while this request is judged.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// By their places.
    rules: BitSet,
    targets: Vec<Withdrawn>,
    /// Whether one of the targets is of what rules keep.
    kept: bool,
}

/// A value that an operator found something in.
struct Hit {
    /// Itself, when that is of interest.
    matched: Option<Matched>,
    /// The groups that were captured, when rules want them.
    captures: Vec<Vec<u8>>,
}

/// The hits of a link.
struct Hits {
    list: Vec<Hit>,
    /// Whether they are kept themselves, not only their number.
    kept: bool,
}

/// Whose values a rule looks at.
#[derive(Clone, Copy)]
struct Sides<'a> {
    request: &'a Request,
    response: &'a Response,
}

impl Removed {
    pub(super) fn removes(&self, rule: &Rule) -> bool {
        self.rules.contains(rule.plan.place)
    }

    fn add(&mut self, chosen: &Chosen) {
        // All that a `ctl` chooses is known by places once the rules are read.
        let Chosen::Places(places) = chosen else { return };
        if self.rules.is_empty() {
            self.rules.copy(places);
        } else {
            self.rules.add_all(places);
        }
    }

    /// Whether a rule that only compares what rules keep is asked as if nothing was taken away.
    pub(super) fn spares(&self, rule: &Rule) -> bool {
        !self.kept && !self.removes(rule)
    }

    fn targets<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(|withdrawn| withdrawn.rules.chooses(rule)).map(|withdrawn| &withdrawn.target)
    }
}

impl Transaction<'_> {
    /// Asks a rule and its chain; does what each link says as soon as that holds, and records a finding if all do.
    pub(super) fn holds(&mut self, rule: &Rule, request: &Request, response: &Response) -> bool {
        self.memory.begin_rule();
        for (place, link) in rule.links.iter().enumerate() {
            if !self.link_holds(rule, link, request, response) {
                if place == 1 {
                    self.refute(rule, Sides { request, response });
                }
                return false;
            }
        }
        // What counts towards a decision is found, told or not.
        if !rule.logged && self.memory.points == 0 && rule.disruption != Disruption::Deny {
            return true;
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
        } else if let Some(holds) = self.compares(rule, link) {
            if !holds {
                return false;
            }
            self.apply_variables(link, request, response);
        } else {
            self.look(request, response);
            let hits = self.hits(rule, link, Sides { request, response });
            if hits.is_empty() {
                return false;
            }
            for hit in hits {
                self.memory.capture(hit.captures);
                self.memory.matched.extend(hit.matched);
                self.apply_variables(link, request, response);
            }
        }
        for control in &link.controls {
            self.control(control);
        }
        true
    }

    /// Whether a link that only compares numbers holds; nothing when it must be asked as others are: it is another kind of
    /// link, or what it matched is of interest.
    fn compares(&self, rule: &Rule, link: &Link) -> Option<bool> {
        let comparison = link.plan.comparison.filter(|_| self.finding != Ways::Asking && !self.removed.kept)?;
        let holds = self.memory.holds(comparison);
        (!holds || rule.plan.quiet).then_some(holds)
    }

    /// Remembers of the values of a chain that they do not make it hold.
    fn refute(&self, rule: &Rule, sides: Sides<'_>) {
        let Some((chain, ask)) = rule.plan.chain.as_ref().zip(rule.links[0].plan.ask) else { return };
        let surveyed = self.finding == Ways::Surveyed && self.survey.knows(ask) && self.removed.targets.is_empty();
        if !surveyed || self.overrun() || !self.memory.others(&chain.prefix).all(|name| chain.is_alone(name)) {
            return;
        }
        let Ok(mut memo) = self.ruleset.plan().memo.try_lock() else { return };
        let link = &rule.links[0];
        for candidate in self.survey.candidates(ask) {
            let mut values = link.targets.iter().filter_map(|target| chosen(target, candidate, sides));
            if let Some(value) = values.next()
                && !link.excluded.iter().any(|excluded| excludes(excluded, &value))
            {
                memo.refute(candidate.memo, value.value, ask);
            }
        }
    }

    fn apply_variables(&mut self, link: &Link, request: &Request, response: &Response) {
        for set in &link.variables {
            self.memory.set(set, request, response);
        }
    }

    /// Every value of the link's targets in which its operator finds something (or, negated, finds nothing).
    fn hits(&self, rule: &Rule, link: &Link, sides: Sides<'_>) -> Vec<Hit> {
        let argument =
            link.operator.template().map(|template| self.memory.fill(template, sides.request, sides.response));
        let argument = argument.as_deref().unwrap_or_default();
        let mut hits = Hits { list: Vec::new(), kept: rule.plan.watched || rule.logged };
        // Of a chain all values are told when one makes it hold.
        let asked = link.plan.ask.filter(|_| link.plan.chain.is_none());
        let asked = asked.filter(|ask| self.finding == Ways::Surveyed && self.survey.knows(*ask));
        for target in &link.targets {
            let excluded = |value: &Value<'_>| {
                link.excluded.iter().chain(self.removed.targets(rule)).any(|excluded| excludes(excluded, value))
            };
            if let Some(ask) = asked {
                for candidate in self.survey.candidates(ask) {
                    if let Some(value) = chosen(target, candidate, sides).filter(|value| !excluded(value)) {
                        let before = hits.list.len();
                        let asked = self.ask(link, argument, value, &mut hits);
                        if asked
                            && hits.list.len() == before
                            && let Ok(mut memo) = self.ruleset.plan().memo.try_lock()
                        {
                            memo.refute(candidate.memo, value.value, ask);
                        }
                    }
                }
            } else if target.counted {
                let mut count = 0;
                self.each(target, sides, |value| count += i64::from(!excluded(&value)));
                let counted = Written::new(count);
                let value = Value { collection: target.collection, name: b"", value: counted.text() };
                _ = self.ask(link, argument, value, &mut hits);
            } else {
                self.each(target, sides, |value| {
                    if !excluded(&value) {
                        _ = self.ask(link, argument, value, &mut hits);
                    }
                });
            }
        }
        hits.list
    }

    /// Shows every value of a target.
    fn each<'a>(&'a self, target: &Target, sides: Sides<'a>, mut see: impl FnMut(Value<'a>)) {
        let collection = target.collection;
        if let Some(slot) = target.slot {
            if let Some(value) = self.memory.slot(slot) {
                see(Value { collection, name: self.memory.name(slot), value });
            }
            return;
        }
        let select = |value: Value<'a>| {
            if selects(&target.selector, value.name) {
                see(value);
            }
        };
        match &self.body_processor {
            // What a rule chose is known at once, though the body is read later.
            Some(processor) if collection == Collection::ReqbodyProcessor => {
                std::iter::once(Value { collection, name: b"", value: processor.as_bytes() }).for_each(select);
            }
            _ if target.slots.is_some() => {
                self.memory.each_chosen(target.slots.as_deref().unwrap_or_default(), select);
            }
            _ if memory::is_kept(collection) => self.memory.each(collection, select),
            _ if memory::is_response(collection) => sides.response.of(collection).for_each(select),
            _ => sides.request.of(collection).for_each(select),
        }
    }

    /// Asks a link's operator of one value, after its transformations; with `multiMatch` after each that changed something.
    /// Tells whether it was asked at all: the work may be too much.
    fn ask(&self, link: &Link, argument: &[u8], value: Value<'_>, hits: &mut Hits) -> bool {
        // What rules keep is always looked at: the sum of what was found must be judged in the end.
        if !memory::is_kept(value.collection) && !self.affords(value.value.len()) {
            return false;
        }
        let (mut transformed, mut effort) = (Cow::Borrowed(value.value), Effort::default());
        if link.multi_match {
            ask_once(link, argument, value, &transformed, hits, &mut effort);
        }
        for transformation in &link.transformations {
            effort.work += TRANSFORMING * transformed.len() as u64;
            let Cow::Owned(next) = transformation.apply(&transformed) else { continue };
            transformed = Cow::Owned(next);
            if link.multi_match {
                ask_once(link, argument, value, &transformed, hits, &mut effort);
            }
        }
        if !link.multi_match {
            ask_once(link, argument, value, &transformed, hits, &mut effort);
        }
        self.spend(effort);
        true
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::Remove(chosen) => self.removed.add(chosen),
            Control::RemoveTarget(chosen, target) => {
                self.removed.kept |= memory::is_kept(target.collection);
                self.removed.targets.push(Withdrawn { rules: chosen.clone(), target: target.clone() });
            }
            Control::ForceRequestBody(forced) => self.body_forced = *forced,
            Control::BodyProcessor(name) => self.body_processor = Some(name.clone()),
            Control::Engine(mode) => self.mode = *mode,
            Control::Ignored => {}
        }
    }
}

/// A candidate's value, when it is one of the target's.
fn chosen<'a>(target: &Target, candidate: Candidate, sides: Sides<'a>) -> Option<Value<'a>> {
    let (first, second, names) = owners(target.collection);
    if candidate.name != names || candidate.response != memory::is_response(target.collection) {
        return None;
    }
    let side = if candidate.response { sides.response } else { sides.request };
    let (owner, name) = side.entry(candidate.place as usize);
    let chosen = (owner == first || owner == second) && selects(&target.selector, name);
    let value = || side.text(candidate.place as usize, names);
    chosen.then(|| Value { collection: target.collection, name, value: value() })
}

fn ask_once(link: &Link, argument: &[u8], value: Value<'_>, transformed: &[u8], hits: &mut Hits, effort: &mut Effort) {
    let groups = match (link.capture, link.negated) {
        (true, false) => link.operator.weigh(transformed, argument, effort),
        (_, negated) => (link.operator.weigh_whether(transformed, argument, effort) != negated).then(Vec::new),
    };
    let Some(groups) = groups else { return };
    let captures = groups.into_iter().map(|group| transformed[group].to_vec()).collect();
    let matched = hits.kept.then(|| Matched {
        collection: value.collection,
        name: value.name.to_vec(),
        label: label(value),
        value: transformed.to_vec(),
    });
    hits.list.push(Hit { matched, captures });
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
