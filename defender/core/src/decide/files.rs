//! Writes to files.
use super::{Objection, strongest};
use crate::{CompiledPolicy, Effect, FileEvent, Reason, detect};

pub(super) fn judge(policy: &CompiledPolicy, event: &FileEvent) -> Option<Objection> {
    let (rules, path) = (&policy.files, event.file.as_str());
    let on = rules.effect != Effect::Disable;
    let denied = || rules.deny.first(path).map(|place| policy.source().files.deny[place].as_str());
    let denied = on.then(denied).flatten().map(|entry| Objection::new(rules.effect, Reason::DeniedFile, Some(entry)));
    let detected = || {
        let hit = |&(reason, effect): &(Reason, Effect)| {
            let mark = detect::path(reason, path)?;
            (!expects(policy, path)).then(|| Objection::new(effect, reason, Some(mark)))
        };
        policy.detections.files.iter().find_map(hit)
    };
    let unlisted = || {
        let violates = on && !rules.allow.is_empty() && rules.allow.first(path).is_none();
        violates.then(|| Objection::new(rules.effect, Reason::FileNotAllowed, None))
    };
    strongest(denied, [&detected, &unlisted])
}

/// Who writes out the very file expects it to be written.
pub(super) fn expects(policy: &CompiledPolicy, path: &str) -> bool {
    policy.files.effect != Effect::Disable && policy.files.allow.names(path)
}
