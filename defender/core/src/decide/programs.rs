//! Program starts.
use super::{Objection, strongest};
use crate::{CompiledPolicy, Effect, ProcessEvent, Reason, detect, policy::Grant};

pub(super) fn judge(policy: &CompiledPolicy, process: &ProcessEvent) -> Option<Objection> {
    let rules = &policy.processes;
    let on = rules.effect != Effect::Disable;
    let denied = on.then(|| rules.deny.denies(process)).flatten();
    let denied = denied.map(|entry| Objection::new(rules.effect, Reason::DeniedProcess, Some(entry)));
    if denied.is_none() && rules.allow.is_empty() && policy.detections.processes.is_empty() {
        return None;
    }
    let grant = on.then(|| rules.allow.allows(process)).flatten();
    let detected = || {
        let hit = |&(reason, effect): &(Reason, Effect)| {
            let mark = detect::program_start(reason, process)?;
            (!silences(grant, reason)).then(|| Objection { effect, reason, matched: mark.into_matched() })
        };
        policy.detections.processes.iter().find_map(hit)
    };
    // The program that the workload consists of is what the user asked for; a deny list still speaks of it.
    let unlisted = || {
        let violates = on && !rules.allow.is_empty() && !process.main && grant.is_none();
        violates.then(|| Objection::new(rules.effect, Reason::ProcessNotAllowed, None))
    };
    strongest(denied, [&detected, &unlisted])
}

/// True when the allow list means a program so surely that a detection has nothing to add.
///
/// Who writes out a name expects that program to be used; who writes out a path expects it there, whatever it is; only a
/// digest says what the file holds. No entry speaks of how a program is used, so shells on a socket or under a web
/// server, code without a file, the loader's tricks and code on the command line are reported all the same: a custom
/// rule with the effect `allow` is there for those.
fn silences(grant: Option<Grant>, reason: Reason) -> bool {
    let needed = match reason {
        Reason::NotMainProcess => Grant::Glob,
        Reason::LateralMovement | Reason::SetuidUse => Grant::Name,
        Reason::TmpfsProcess | Reason::CryptoMiner => Grant::Path,
        Reason::ModifiedBinary | Reason::NewBinary | Reason::AlteredPackageBinary => Grant::Digest,
        _ => return false,
    };
    grant.is_some_and(|grant| grant >= needed)
}
