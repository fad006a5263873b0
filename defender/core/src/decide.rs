//! The one place where the Defender decides.
//!
//! Custom rules are asked first, in their order: the first that matches ends the judging. Then per section: with effect
//! `disable` its lists say nothing. Otherwise the deny list is looked at first, then, when there is one, the allow list:
//! whatever is not on it is a violation, which takes the section's effect. Detections have effects of their own. Where
//! several object the strongest effect wins; of equals first the deny list, then detections by severity, then the allow
//! list.
use crate::{
    CompiledPolicy, CustomEffect, Effect, Event, LookupEvent, ProcessEvent, Reason, Section, detect,
    policy::{NameRules, normal_name},
};

mod files;
mod network;
mod programs;

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
    /// The list entry that matched, for deny lists; for detections the mark that gave it away; for a custom rule its
    /// name.
    pub matched: Option<String>,
}

/// What is known beyond the event itself; whatever is not given is unknown, and a condition of a custom rule on it does
/// not hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The program start of the process that makes a connection or writes a file.
    pub process: Option<&'a ProcessEvent>,
    /// The names that gave the address of a connection, lower-case, without trailing dot.
    pub names: &'a [String],
}

/// Judges one event by the policy of its workload. Total: never fails, never blocks.
#[must_use]
pub fn decide(policy: &CompiledPolicy, event: &Event) -> Decision {
    decide_in(policy, event, Context::default())
}

/// Judges one event as [`decide`] does, with what is known beyond it.
#[must_use]
pub fn decide_in(policy: &CompiledPolicy, event: &Event, context: Context<'_>) -> Decision {
    // No rule applies to this workload, so nothing is judged.
    let Some(rule) = &policy.rule else { return Decision::Allow };
    let Some(Objection { effect, reason, matched }) = objection(policy, event, context) else { return Decision::Allow };
    Decision::new(effect, Violation { rule: rule.clone(), reason, matched })
}

/// Judges what the agent found out about an event by watching longer than one event (port scans, what a file holds, a
/// process from outside …): the effect is that of the detection.
///
/// A custom rule that holds has ended the judging of the event already, in [`decide_in`]; attacks on the Defender are no
/// matter of custom rules. A file that is written out on the allow list is expected, and so is an address that the allow
/// list holds when the finding is that no look-up gave it.
#[must_use]
pub fn detected(
    policy: &CompiledPolicy,
    reason: Reason,
    matched: Option<String>,
    event: &Event,
    context: Context<'_>,
) -> Decision {
    let Some(rule) = &policy.rule else { return Decision::Allow };
    let ruled = || reason.section() != Section::Defender && policy.custom.first_match(event, context).is_some();
    let expected = || match event {
        Event::File(file) => files::expects(policy, &file.file),
        Event::Connection(connection) if reason == Reason::UnresolvedAddress => network::allows(policy, connection),
        _ => false,
    };
    let effect = policy.detection(reason);
    if effect == Effect::Disable || ruled() || expected() {
        return Decision::Allow;
    }
    Decision::new(effect, Violation { rule: rule.clone(), reason, matched })
}

impl Decision {
    fn new(effect: Effect, violation: Violation) -> Self {
        match effect {
            Effect::Disable | Effect::Allow => Self::Allow,
            Effect::Alert => Self::Alert(violation),
            Effect::Prevent | Effect::Ban => Self::Prevent(violation),
        }
    }
}

/// What objects to an event, and with which effect.
struct Objection {
    effect: Effect,
    reason: Reason,
    matched: Option<String>,
}

impl Objection {
    fn new(effect: Effect, reason: Reason, matched: Option<&str>) -> Self {
        Self { effect, reason, matched: matched.map(str::to_owned) }
    }
}

fn objection(policy: &CompiledPolicy, event: &Event, context: Context<'_>) -> Option<Objection> {
    if let Some((name, effect)) = policy.custom.first_match(event, context) {
        let effect = match effect {
            CustomEffect::Allow => return None,
            CustomEffect::Alert => Effect::Alert,
            CustomEffect::Prevent => Effect::Prevent,
        };
        return Some(Objection::new(effect, Reason::CustomRule, Some(name)));
    }
    match event {
        Event::Process(process) => programs::judge(policy, process),
        Event::Lookup(lookup) => judge_lookup(policy, lookup),
        Event::Connection(connection) => network::judge_connection(policy, connection),
        Event::Listen(listen) => network::judge_listen(policy, listen),
        Event::File(file) => files::judge(policy, file),
        Event::Request(_) | Event::Defender(_) => None,
    }
}

/// The strongest of what objects; of equals the first. What comes later is only asked when it could be stronger.
fn strongest(denied: Option<Objection>, others: [&dyn Fn() -> Option<Objection>; 2]) -> Option<Objection> {
    others.into_iter().fold(denied, |best, other| match &best {
        Some(objection) if objection.effect == Effect::Prevent => best,
        Some(objection) => {
            let effect = objection.effect;
            other().filter(|later| later.effect > effect).or(best)
        }
        None => other(),
    })
}

fn judge_lookup(policy: &CompiledPolicy, lookup: &LookupEvent) -> Option<Objection> {
    let (rules, name) = (&policy.dns, normal_name(&lookup.name));
    let on = rules.effect != Effect::Disable;
    let denied = || rules.deny.first(&name).map(|place| policy.source().dns.deny[place].as_str());
    let denied = on.then(denied).flatten().map(|entry| Objection::new(rules.effect, Reason::DeniedName, Some(entry)));
    let detected = || {
        let hit = |&(reason, effect): &(Reason, Effect)| {
            let mark = detect::lookup(reason, &name)?;
            (!rules.names(&name)).then(|| Objection::new(effect, reason, Some(mark)))
        };
        policy.detections.network.iter().find_map(hit)
    };
    let unlisted = || {
        let violates = on && !rules.allow.is_empty() && rules.allow.first(&name).is_none();
        violates.then(|| Objection::new(rules.effect, Reason::NameNotAllowed, None))
    };
    strongest(denied, [&detected, &unlisted])
}

impl NameRules {
    /// True when the name is written out on the allow list.
    fn names(&self, name: &str) -> bool {
        self.effect != Effect::Disable && self.allow.names(name)
    }
}
