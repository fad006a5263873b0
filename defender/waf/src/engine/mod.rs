//! Judges a request's values by a ruleset: rule after rule, in file order, as `ModSecurity` does.
//!
//! Every value is looked at once, for all rules together (`survey`); a rule then asks its operator of the few values for which
//! that may hold. [`Transaction::one_by_one`] goes the plain way, every rule asking of every value, and finds the same.

mod backward;
mod chain;
mod course;
mod interests;
mod judging;
mod memo;
mod memory;
mod names;
mod plan;
mod survey;

#[cfg(test)]
mod tests;

use std::{cell::Cell, sync::Arc};

pub(crate) use self::chain::Chain;
pub use self::memory::Matched;
pub(crate) use self::plan::Plan;
use self::{course::Course, memory::Memory, plan::Gate, survey::Survey};
use crate::{
    operator::Effort,
    rule::{Chosen, Disruption, EngineMode, Phase, Rule, Step, Target},
    ruleset::Ruleset,
    value::{Collection, Request, Response},
};

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its number.
    pub rule: u32,
    /// When.
    pub phase: Phase,
    /// Its message, filled in.
    pub message: String,
    /// Its log data, filled in.
    pub data: String,
    /// Its severity, 0 to 7.
    pub severity: Option<u8>,
    /// Its tags.
    pub tags: Vec<Arc<str>>,
    /// Whether the rule wants to be told of.
    pub logged: bool,
    /// Where the value that matched came from; [`Collection::Absent`] for a rule that looks at none.
    pub collection: Collection,
    /// And its name.
    pub name: Vec<u8>,
    /// All values that matched, over the rule's chain.
    pub matches: Vec<Matched>,
    /// What the rule added to the anomaly scores of the Core Rule Set (`tx.inbound_anomaly_score_pl1` and its kin).
    pub points: i64,
    /// Whether the rule itself asks for a refusal (`deny`, `drop`), be the engine allowed to or not.
    pub denies: bool,
}

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It goes on.
    #[default]
    Pass,
    /// It is refused with this status by this rule.
    Refuse {
        /// The status to answer with.
        status: u16,
        /// The rule.
        rule: u32,
    },
}

/// Bytes of automata's states that a request makes without its being work; the first of a process makes about so many.
const FREELY_MADE: u64 = 6 << 20;
/// The work of making a byte of a state, in bytes that are looked at.
const MAKING: u64 = 1;

/// The status of a refusal for which no rule names one. Source: `ModSecurity` reference manual, "deny".
const REFUSED: u16 = 403;

/// The judging of one request, phase by phase: state that the rules keep for one another.
#[derive(Debug)]
pub struct Transaction<'r> {
    ruleset: &'r Ruleset,
    /// The rules that are judged.
    course: &'r Course,
    findings: Vec<Finding>,
    memory: Memory<'r>,
    survey: Survey,
    /// How the values of this phase can be found.
    finding: Ways,
    /// See [`Transaction::work`].
    work: Cell<u64>,
    /// How much it may become.
    limit: u64,
    /// Bytes of automata's states that were made.
    made: Cell<u64>,
    overrun: Cell<bool>,
    mode: EngineMode,
    body_processor: Option<Arc<str>>,
    body_forced: bool,
    removed: judging::Removed,
    /// Until which phase, itself not included, `allow` passes everything.
    allowed_until: Option<Phase>,
}

impl<'r> Transaction<'r> {
    /// A transaction that has seen nothing.
    #[must_use]
    pub fn new(ruleset: &'r Ruleset) -> Self {
        let plan = ruleset.plan();
        match plan.interests {
            None => Self::begun(ruleset, &plan.plain, Ways::Asking),
            Some(_) if plan.is_guarded() => Self::begun(ruleset, &plan.course, Ways::Guarded),
            Some(_) => Self::begun(ruleset, &plan.course, Ways::Unsurveyed),
        }
    }

    fn begun(ruleset: &'r Ruleset, course: &'r Course, finding: Ways) -> Self {
        Self {
            ruleset,
            course,
            findings: Vec::new(),
            memory: Memory::new(&ruleset.plan().names, &course.before),
            survey: Survey::default(),
            finding,
            work: Cell::new(0),
            limit: ruleset.settings.work_limit,
            made: Cell::new(0),
            overrun: Cell::new(false),
            mode: ruleset.settings.mode,
            body_processor: None,
            body_forced: false,
            removed: judging::Removed::default(),
            allowed_until: None,
        }
    }

    /// A transaction in which no rule refuses anything: the findings tell which would have.
    #[must_use]
    pub fn observing(ruleset: &'r Ruleset) -> Self {
        let mut transaction = Self::new(ruleset);
        if transaction.mode == EngineMode::On {
            transaction.mode = EngineMode::DetectionOnly;
        }
        transaction
    }

    /// As [`Transaction::new`], but every rule is asked of every value, as it stands in the file: what the faster way is
    /// compared with.
    #[must_use]
    pub fn one_by_one(ruleset: &'r Ruleset) -> Self {
        Self::begun(ruleset, &ruleset.plan().plain, Ways::Asking)
    }

    /// Judges a phase. Call it once for each, in order; the response is looked at from phase 3 on.
    pub fn judge(&mut self, phase: Phase, request: &Request, response: &Response) -> Verdict {
        let (settings, bytes) = (&self.ruleset.settings, request.bytes() + response.bytes());
        let limit = settings.work_limit.saturating_add(settings.work_for_byte.saturating_mul(bytes as u64));
        self.limit = self.limit.max(limit);
        let steps = self.ruleset.steps(phase);
        let way = self.course.way(phase as usize - 1);
        if self.finding == Ways::Surveyed || (self.finding == Ways::Guarded && phase != Phase::RequestHead) {
            self.finding = Ways::Unsurveyed;
        }
        let mut place = 0;
        while self.mode != EngineMode::Off && self.allowed_until.is_none_or(|until| phase >= until) {
            let Some(stop) = way.stops.get(place) else { break };
            place += 1;
            let Some(Step::Rule(rule)) = steps.get(stop.step as usize) else { continue };
            if let Some(next) = self.passed(stop.gate, rule, request, response) {
                place = next.max(place);
                continue;
            }
            if self.removed.removes(rule) || !self.holds(rule, request, response) {
                continue;
            }
            if let Some(verdict) = self.disrupt(rule) {
                return verdict;
            }
            if rule.leads() {
                place = way.stop_at(rule.plan.skip_to);
            }
            if rule.disruption == Disruption::AllowPhase {
                break;
            }
        }
        Verdict::Pass
    }

    /// Whether a rule is passed over, and to which stop; 0 for the next.
    fn passed(&mut self, gate: Gate, rule: &Rule, request: &Request, response: &Response) -> Option<usize> {
        match gate {
            Gate::Guard(guard) if self.removed.spares(rule) => {
                if self.finding == Ways::Guarded {
                    self.finding = Ways::Unsurveyed;
                }
                Some(if self.memory.holds(guard.comparison) { guard.to as usize } else { 0 })
            }
            Gate::Ask(asks) => {
                self.look(request, response);
                let cannot = |ask| self.survey.knows(ask) && self.survey.is_clear(ask);
                // What a chain remembers is about its own names, not about those that another rule keeps for it.
                let alone = rule.plan.chain.is_none() || self.memory.has_no_others();
                (self.finding == Ways::Surveyed && alone && asks.iter().any(cannot)).then_some(0)
            }
            _ => None,
        }
    }

    /// Looks at all values that are new, once for each phase.
    fn look(&mut self, request: &Request, response: &Response) {
        let Some(interests) = self.ruleset.plan().interests.as_ref().filter(|_| self.finding == Ways::Unsurveyed)
        else {
            return;
        };
        self.finding = Ways::Surveyed;
        if !self.survey.has_begun() {
            let live = self.ruleset.plan().live(interests.len(), |comparison| self.memory.holds(comparison));
            self.survey.begin(interests.table(&live), interests.len());
        }
        let plan = self.ruleset.plan();
        let mut memo = plan.memo.try_lock().ok();
        let mut room = plan.lent_room();
        let left = self.limit.saturating_sub(self.work.get());
        room.most = left;
        let looked = self.survey.look(interests, [request, response], memo.as_deref_mut(), &mut room);
        plan.take_back(room);
        self.work.set(self.work.get() + looked);
        self.overrun.set(self.overrun.get() || looked > left);
    }

    /// Whether more work than the settings allow was asked for: values were no longer looked at from then on, while rules
    /// went on to judge what had been found.
    #[must_use]
    pub fn overrun(&self) -> bool {
        self.overrun.get()
    }

    /// Bytes of automata's states that were made for it.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.get()
    }

    /// How much work it was so far: bytes that were looked at, once for each operator that looked, and more for what takes
    /// longer than a look.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work.get()
    }

    /// Lets go of what is known of the request's entries but the first ones, which are no longer there, and of what its
    /// findings matched. To be called when the request's phases are over, unless a later rule looks at those entries
    /// ([`Ruleset::looks_back`]).
    pub(crate) fn forget_from(&mut self, entries: usize) {
        self.survey.forget_from(entries);
        self.memory.begin_rule();
        self.memory.matched = Vec::new();
        for finding in &mut self.findings {
            finding.matches = Vec::new();
        }
    }

    /// Bytes of memory that it takes beyond a small request's.
    pub(crate) fn size(&self) -> usize {
        let matched = self.findings.iter().flat_map(|finding| &finding.matches);
        self.survey.size() + matched.map(Matched::size).sum::<usize>()
    }

    /// Whether there is work left for a value of so many bytes; then it counts as done.
    fn affords(&self, bytes: usize) -> bool {
        let work = self.work.get() + bytes as u64 + 1;
        let afforded = work <= self.limit;
        if afforded {
            self.work.set(work);
        } else {
            self.overrun.set(true);
        }
        afforded
    }

    /// Counts what asking an operator took. States of automata count only as far as no ordinary request needs them, however few
    /// came before it: the same request comes to the same end.
    fn spend(&self, effort: Effort) {
        let before = self.made.get();
        let now = before + effort.made;
        self.made.set(now);
        let beyond = now.saturating_sub(before.max(FREELY_MADE));
        self.work.set(self.work.get() + effort.work + MAKING * beyond);
    }

    /// The rules that matched and want to be told of (`log`), in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What `TX` holds under a name, such as `blocking_inbound_anomaly_score`.
    #[must_use]
    pub fn kept(&self, name: &str) -> Option<&[u8]> {
        self.memory.kept(name.as_bytes())
    }

    /// The parser that a rule chose for the body (`ctl:requestBodyProcessor`), once phase 1 is judged.
    #[must_use]
    pub fn body_processor(&self) -> Option<&str> {
        self.body_processor.as_deref()
    }

    /// Whether a rule wants the raw body as `REQUEST_BODY` whatever its kind (`ctl:forceRequestBodyVariable`).
    #[must_use]
    pub fn body_forced(&self) -> bool {
        self.body_forced
    }

    /// What a rule that holds does to the request.
    fn disrupt(&mut self, rule: &Rule) -> Option<Verdict> {
        match rule.disruption {
            Disruption::Deny if self.mode == EngineMode::On => {
                Some(Verdict::Refuse { status: rule.status.unwrap_or(REFUSED), rule: rule.id })
            }
            Disruption::Allow => {
                self.allowed_until = Some(Phase::Logging);
                None
            }
            Disruption::AllowRequest => {
                self.allowed_until = Some(Phase::ResponseHead);
                None
            }
            _ => None,
        }
    }
}

/// How a rule finds the values for which it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ways {
    /// It asks of every value.
    Asking,
    /// As yet as with [`Ways::Asking`]: which rules are led past is not settled.
    Guarded,
    /// The values of this phase were not looked at yet.
    Unsurveyed,
    /// The survey knows.
    Surveyed,
}

/// A target that a `ctl` took away from some rules.
#[derive(Debug)]
struct Withdrawn {
    rules: Chosen,
    target: Target,
}
