//! Judges a request's values by a ruleset.

use std::sync::Arc;

use crate::{
    rule::Phase,
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
    /// Where the value that matched came from.
    pub collection: Collection,
    /// And its name.
    pub name: Vec<u8>,
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

/// The judging of one request, phase by phase: state that the rules keep for one another.
#[derive(Debug)]
pub struct Transaction<'r> {
    ruleset: &'r Ruleset,
    findings: Vec<Finding>,
}

impl<'r> Transaction<'r> {
    /// A transaction that has seen nothing.
    #[must_use]
    pub fn new(ruleset: &'r Ruleset) -> Self {
        Self { ruleset, findings: Vec::new() }
    }

    /// Judges a phase. Call it once for each, in order; `response` from phase 3 on.
    pub fn judge(&mut self, phase: Phase, request: &mut Request, response: &Response) -> Verdict {
        let _ = (self.ruleset.steps(phase), request, response);
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
        let _ = name;
        None
    }
}
