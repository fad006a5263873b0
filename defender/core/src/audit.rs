//! What is reported: one judged event. Field names are those of `contract/audit.schema.json`.
use serde::{Deserialize, Serialize};

use crate::{DefenderEvent, Effect, Event, Notice, bounds};

/// Why a policy objected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The program is on the deny list.
    DeniedProcess,
    /// There is an allow list, and the program is not on it.
    ProcessNotAllowed,
    /// The name is on the deny list.
    DeniedName,
    /// There is an allow list, and the name is not on it.
    NameNotAllowed,
    /// The address is on the deny list.
    DeniedAddress,
    /// There is an allow list of addresses, and this one is not on it.
    AddressNotAllowed,
    /// The port is on the deny list.
    DeniedPort,
    /// There is an allow list of ports, and this one is not on it.
    PortNotAllowed,
    /// A notice of the Defender about itself.
    Defender,
}

/// An audit before the spool has given it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    /// Unix milliseconds.
    pub time: u64,
    /// Name of the rule that matched; none for notices.
    pub rule: Option<String>,
    /// What was done: `alert` or `prevent`.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    pub matched: Option<String>,
    /// What happened.
    pub event: Event,
}

/// A numbered audit, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Counts from 1 for each Defender process; (source, seq) is unique.
    #[serde(deserialize_with = "bounds::sequence")]
    pub seq: u64,
    /// Unix milliseconds.
    #[serde(deserialize_with = "bounds::time")]
    pub time: u64,
    /// Name of the rule that matched; none for notices.
    #[serde(deserialize_with = "bounds::nullable")]
    pub rule: Option<String>,
    /// What was done: `alert` or `prevent`.
    #[serde(deserialize_with = "bounds::audited_effect")]
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    #[serde(deserialize_with = "bounds::nullable")]
    pub matched: Option<String>,
    /// What happened.
    pub event: Event,
}

impl AuditDraft {
    /// The audit with its number.
    #[must_use]
    pub fn numbered(self, seq: u64) -> Audit {
        let Self { time, rule, effect, reason, matched, event } = self;
        Audit { seq, time, rule, effect, reason, matched, event }
    }

    /// A notice of the Defender about itself at `time`.
    #[must_use]
    pub fn notice(time: u64, notice: Notice, detail: impl Into<String>, count: u64) -> Self {
        let event = Event::Defender(DefenderEvent { notice, detail: detail.into(), count });
        Self { time, rule: None, effect: Effect::Alert, reason: Reason::Defender, matched: None, event }
    }
}
