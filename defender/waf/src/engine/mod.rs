//! Judges a request's values by a ruleset: rule after rule, in file order, as `ModSecurity` does.

mod judging;
mod memory;

use std::sync::Arc;

pub use self::memory::Matched;
use self::memory::Memory;
use crate::{
    rule::{Disruption, EngineMode, Phase, Rule, Step, Target},
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

/// The status of a refusal for which no rule names one. Source: `ModSecurity` reference manual, "deny".
const REFUSED: u16 = 403;

/// The judging of one request, phase by phase: state that the rules keep for one another.
#[derive(Debug)]
pub struct Transaction<'r> {
    ruleset: &'r Ruleset,
    findings: Vec<Finding>,
    memory: Memory,
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
        Self {
            ruleset,
            findings: Vec::new(),
            memory: Memory::default(),
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

    /// Judges a phase. Call it once for each, in order; the response is looked at from phase 3 on.
    pub fn judge(&mut self, phase: Phase, request: &Request, response: &Response) -> Verdict {
        let mut steps = self.ruleset.steps(phase).iter();
        let mut ignored = 0;
        while self.mode != EngineMode::Off && self.allowed_until.is_none_or(|until| phase >= until) {
            let Some(step) = steps.next() else { break };
            let Step::Rule(rule) = step else { continue };
            if ignored > 0 {
                ignored -= 1;
                continue;
            }
            if self.removed.removes(rule) || !self.holds(rule, request, response) {
                continue;
            }
            if let Some(verdict) = self.disrupt(rule) {
                return verdict;
            }
            ignored = rule.skip;
            if let Some(marker) = &rule.skip_after {
                // A marker that is nowhere ends the phase, as it does in ModSecurity.
                steps.by_ref().find(|step| matches!(step, Step::Marker(name) if name == marker));
            }
            if rule.disruption == Disruption::AllowPhase {
                break;
            }
        }
        Verdict::Pass
    }

    /// The rules that matched so far, in order.
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

/// A target that a `ctl` took away from some rules.
#[derive(Debug)]
struct Withdrawn {
    rules: judging::Chosen,
    target: Target,
}
