//! What a policy wants to know about a program start. What nobody asks for is not looked up, and costs nothing.
use defender_core::{CompiledPolicy, CustomEffect, CustomKind, Effect, Reason};

/// Which facts are gathered, and what hangs on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own, and every combination is possible
pub struct Needs {
    /// Anything at all is judged about program starts.
    pub judged: bool,
    /// Something may be prevented, so a start that cannot be judged must not happen.
    pub prevents: bool,
    /// Somebody looks at more than the first arguments.
    pub arguments: bool,
    /// Where the file lies.
    pub origin: bool,
    /// What happens to a changed program.
    pub modified: Effect,
    /// What happens to a new program.
    pub new: Effect,
    /// What happens to a program that its package did not install so.
    pub altered: Effect,
    /// Foreign libraries.
    pub preloads: bool,
    /// Setuid, setgid and file capabilities.
    pub privileged: bool,
    /// Connections as input or output.
    pub terminal: bool,
    /// The processes above it.
    pub ancestors: bool,
    /// SHA-256 of the file.
    pub hash: bool,
    /// A copy of the dynamic loader under another name is recognised.
    pub loader: bool,
}

impl Needs {
    /// What this policy needs.
    #[must_use]
    pub fn of(policy: &CompiledPolicy) -> Self {
        let source = policy.source();
        let lists = if source.rule.is_none() { Effect::Disable } else { source.processes.effect };
        let effect = |reason| policy.detection(reason);
        let on = |reason| effect(reason) != Effect::Disable;
        let mut custom =
            source.custom.iter().filter(|rule| source.rule.is_some() && rule.kind == CustomKind::Processes);
        let customs = custom.clone().next().is_some();
        let detections = STARTS.map(effect);
        let detects = detections.iter().any(|effect| *effect != Effect::Disable);
        Self {
            judged: lists != Effect::Disable || detects || customs,
            prevents: lists == Effect::Prevent
                || detections.contains(&Effect::Prevent)
                || custom.any(|rule| rule.effect == CustomEffect::Prevent),
            arguments: detects || customs,
            origin: on(Reason::TmpfsProcess) || on(Reason::MemoryProcess) || on(Reason::NewBinary),
            modified: effect(Reason::ModifiedBinary),
            new: effect(Reason::NewBinary),
            altered: effect(Reason::AlteredPackageBinary),
            preloads: on(Reason::Preload),
            privileged: on(Reason::SetuidUse),
            terminal: on(Reason::ReverseShell),
            ancestors: on(Reason::WebShell) || on(Reason::ReverseShell) || customs,
            hash: policy.wants_hashes(),
            loader: on(Reason::LoaderInvocation) || lists != Effect::Disable || customs,
        }
    }
}

/// Detections that are decided at a program start.
const STARTS: [Reason; 14] = [
    Reason::ModifiedBinary,
    Reason::NewBinary,
    Reason::AlteredPackageBinary,
    Reason::CryptoMiner,
    Reason::ReverseShell,
    Reason::WebShell,
    Reason::TmpfsProcess,
    Reason::MemoryProcess,
    Reason::LoaderInvocation,
    Reason::Preload,
    Reason::SetuidUse,
    Reason::LateralMovement,
    Reason::InlineCode,
    Reason::NotMainProcess,
];

#[cfg(test)]
mod tests {
    use defender_core::{CustomRule, DefenderPolicy, ProcessPolicy};

    use super::*;

    fn needs(change: impl FnOnce(&mut DefenderPolicy)) -> Needs {
        let mut policy = DefenderPolicy { version: 1, rule: Some("rule".to_owned()), ..DefenderPolicy::default() };
        change(&mut policy);
        Needs::of(&CompiledPolicy::new(policy).unwrap())
    }

    #[test]
    fn a_policy_that_asks_nothing_costs_nothing() {
        assert_eq!(Needs::default(), needs(|_| ()));
        assert_eq!(
            Needs::default(),
            needs(|policy| {
                policy.rule = None;
                policy.processes.effect = Effect::Prevent;
                policy.detections.extend(STARTS.map(|reason| (reason, Effect::Prevent)));
            })
        );
    }

    #[test]
    fn lists_ask_only_for_what_they_go_by() {
        let lists = needs(|policy| {
            policy.processes =
                ProcessPolicy { effect: Effect::Alert, deny: vec!["evil".to_owned()], ..ProcessPolicy::default() };
        });

        assert_eq!(Needs { judged: true, loader: true, ..Needs::default() }, lists);
    }

    #[test]
    fn whatever_may_be_prevented_makes_the_policy_one_that_prevents() {
        for reason in STARTS {
            let (prevents, alerts) = (Effect::Prevent, Effect::Alert);
            let of = |effect| needs(|policy| policy.detections.extend([(reason, effect)]));

            assert!(of(prevents).prevents && of(prevents).judged, "{reason:?}");
            assert!(!of(alerts).prevents && of(alerts).judged, "{reason:?}");
        }
        let custom = needs(|policy| {
            policy.custom.push(CustomRule {
                name: "shells".to_owned(),
                kind: CustomKind::Processes,
                script: "proc.name = \"sh\"".to_owned(),
                effect: CustomEffect::Prevent,
            });
        });
        assert!(custom.judged && custom.prevents && custom.ancestors && !custom.hash);
    }
}
