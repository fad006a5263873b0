//! Rules checked and ordered: what `SecRuleUpdateTargetById`, `SecDefaultAction` and chains mean is settled here, once.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    engine::Plan,
    rule::{EngineMode, Phase, Step},
    value::Collection,
};

/// Settings that `SecLang` files make (`SecRequestBodyLimit` and others) and that the embedding program may overrule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `SecRuleEngine`.
    pub mode: EngineMode,
    /// Bytes of a body that are looked at as a whole.
    pub body_limit: usize,
    /// How deep JSON and XML may be nested.
    pub depth_limit: usize,
    /// How much work one request may make, in bytes looked at, each once for each operator that looks at it, and more for what
    /// takes longer than a look. It is a count and no time, so that a busy machine changes nothing; only a request for which
    /// automata make megabytes of states costs less when one like it came before.
    pub work_limit: u64,
    /// How much more it may make for each byte of its values: a long text may take longer than a short one.
    pub work_for_byte: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: EngineMode::On, body_limit: 1 << 20, depth_limit: 512, work_limit: 16 << 20, work_for_byte: 256 }
    }
}

/// Rules by phase, in the order in which they are judged.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    /// Settings made by the rules' files.
    pub settings: Settings,
    /// Rules of the files that are not judged, in the order of the files.
    pub left_out: Vec<LeftOut>,
    phases: [Vec<Step>; 5],
    plan: Arc<Plan>,
}

impl Ruleset {
    /// A ruleset from steps in file order, each with its phase (a marker belongs to every phase).
    #[must_use]
    pub fn new(settings: Settings, mut phases: [Vec<Step>; 5]) -> Self {
        let plan = Arc::new(Plan::new(&mut phases));
        Self { settings, left_out: Vec::new(), phases, plan }
    }

    /// The steps of a phase.
    #[must_use]
    pub fn steps(&self, phase: Phase) -> &[Step] {
        &self.phases[phase as usize - 1]
    }

    /// What was found out about the rules as a whole.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether a rule of the phases that follow a request's looks at a value that one of these collections owns.
    pub(crate) fn looks_back(&self, owners: impl Iterator<Item = Collection>) -> bool {
        self.plan.looks_back(owners)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.phases.iter().flatten().filter(|step| matches!(step, Step::Rule(_))).count()
    }

    /// True without any rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A rule that makes sense and that is not judged here, with all that is chained to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its number.
    pub rule: u32,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Why, in words.
    pub reason: String,
}

/// Why rules could not be loaded: where, what, and what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct RuleError {
    /// Which file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}
