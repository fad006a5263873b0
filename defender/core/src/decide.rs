//! The one place where the Defender decides.
use crate::{CompiledPolicy, Effect, Event, Reason};

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Let it happen, say nothing.
    Allow,
    /// Let it happen and report it.
    Alert(Violation),
    /// Stop it and report it.
    Prevent(Violation),
}

/// What a policy objected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the rule.
    pub rule: String,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    pub matched: Option<String>,
}

impl Violation {
    fn with(self, effect: Effect) -> Decision {
        match effect {
            Effect::Disable => Decision::Allow,
            Effect::Alert => Decision::Alert(self),
            Effect::Prevent => Decision::Prevent(self),
        }
    }
}

/// Judges one event by the policy of its workload. Total: never fails, never blocks.
#[must_use]
pub fn decide(policy: &CompiledPolicy, event: &Event) -> Decision {
    // The LINK helper completes this: deny list, then allow list, per section (see the contract).
    let source = policy.source();
    let Event::Process(process) = event else { return Decision::Allow };
    let name = process.path.rsplit('/').next().unwrap_or_default();
    match source.processes.deny.iter().find(|entry| crate::glob::matches(entry, name)) {
        Some(entry) => Violation {
            rule: source.rule.clone().unwrap_or_default(),
            reason: Reason::DeniedProcess,
            matched: Some(entry.clone()),
        }
        .with(source.processes.effect),
        None => Decision::Allow,
    }
}
