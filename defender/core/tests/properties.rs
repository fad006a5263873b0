//! Properties of decisions, over policies and events that nobody thought of.
use defender_core::{
    CompiledPolicy, ConnectionEvent, CustomEffect, CustomKind, CustomRule, Decision, DefenderPolicy, Effect, Event,
    Protocol, Reason, decide,
};
use proptest::prelude::*;

mod strategies;
use strategies::{events, policies};

/// The effects that a violation with this reason may have.
fn effect_for(policy: &DefenderPolicy, event: &Event, reason: Reason) -> Effect {
    use Reason as R;
    let listed = match (event, reason) {
        (Event::Process(_), R::DeniedProcess | R::ProcessNotAllowed) => Some(policy.processes.effect),
        (Event::Lookup(_), R::DeniedName | R::NameNotAllowed) => Some(policy.dns.effect),
        (Event::Connection(_), R::DeniedAddress | R::AddressNotAllowed | R::DeniedPort | R::PortNotAllowed)
        | (Event::Listen(_), R::DeniedListenPort | R::ListenPortNotAllowed) => Some(policy.network.effect),
        (Event::File(_), R::DeniedFile | R::FileNotAllowed) => Some(policy.files.effect),
        _ => None,
    };
    listed.or_else(|| policy.detections.get(&reason).copied()).unwrap_or_default()
}

fn decided(policy: DefenderPolicy, event: &Event) -> Decision {
    CompiledPolicy::new(policy).map_or(Decision::Allow, |policy| decide(&policy, event))
}

/// How much a decision hinders, and why.
fn strength(decision: &Decision) -> (Effect, Option<Reason>) {
    match decision {
        Decision::Allow => (Effect::Disable, None),
        Decision::Alert(violation) => (Effect::Alert, Some(violation.reason)),
        Decision::Prevent(violation) => (Effect::Prevent, Some(violation.reason)),
    }
}

proptest! {
    /// A decision never panics, and it is never another effect than that of the list or the detection that it names: under
    /// `disable`, or without a rule, everything is allowed.
    #[test]
    fn a_decision_has_the_effect_of_what_it_names(policy in policies(), event in events()) {
        let (effect, reason) = strength(&decided(policy.clone(), &event));
        prop_assert_eq!(effect != Effect::Disable, reason.is_some());
        if let Some(reason) = reason {
            prop_assert!(policy.rule.is_some());
            prop_assert_eq!(effect, effect_for(&policy, &event, reason));
        }
    }

    /// What is denied stays denied, whatever is put on the allow lists.
    #[test]
    fn a_deny_match_beats_every_allow_match(policy in policies(), other in policies(), event in events()) {
        let mut without = policy;
        without.detections.clear();
        let with = DefenderPolicy {
            processes: defender_core::ProcessPolicy { allow: other.processes.allow, ..without.processes.clone() },
            dns: defender_core::DnsPolicy { allow: other.dns.allow, ..without.dns.clone() },
            files: defender_core::FilePolicy { allow: other.files.allow, ..without.files.clone() },
            network: defender_core::NetworkPolicy {
                allow_addresses: other.network.allow_addresses,
                allow_ports: other.network.allow_ports,
                allow_listen_ports: other.network.allow_listen_ports,
                ..without.network.clone()
            },
            ..without.clone()
        };
        without.processes.allow.clear();
        without.dns.allow.clear();
        without.files.allow.clear();
        without.network.allow_addresses.clear();
        without.network.allow_ports.clear();
        without.network.allow_listen_ports.clear();
        let denied = decided(without, &event);
        if denied != Decision::Allow {
            prop_assert_eq!(decided(with, &event), denied);
        }
    }

    /// Switching a detection on never lets happen what was prevented, nor silences what was reported.
    #[test]
    fn a_detection_more_never_weakens(policy in policies(), event in events(), reason in prop::sample::select(&Reason::ALL)) {
        let mut without = policy;
        without.detections.remove(&reason);
        let mut with = without.clone();
        with.detections.insert(reason, Effect::Alert);
        prop_assert!(strength(&decided(with, &event)).0 >= strength(&decided(without, &event)).0);
    }

    /// A custom rule that holds decides alone, whatever else objects.
    #[test]
    fn a_custom_rule_decides_alone(
        policy in policies(), event in events(),
        effect in prop::sample::select(&[CustomEffect::Allow, CustomEffect::Alert, CustomEffect::Prevent]),
    ) {
        let (kind, script) = match &event {
            Event::Process(_) => (CustomKind::Processes, "proc.user = 0"),
            Event::File(_) => (CustomKind::Filesystem, "proc.user = 0"),
            _ => (CustomKind::NetworkOutgoing, "net.domain != \"-\" or net.outgoing_port >= 0"),
        };
        let judged = policy.rule.is_some() && !matches!(event, Event::Listen(_));
        let rule = CustomRule { name: "mine".into(), kind, script: script.into(), effect };
        let with = DefenderPolicy { custom: vec![rule], ..policy.clone() };
        let (decision, without) = (decided(with, &event), decided(policy, &event));
        match (judged, effect) {
            (false, _) => prop_assert_eq!(decision, without),
            (true, CustomEffect::Allow) => prop_assert_eq!(decision, Decision::Allow),
            (true, CustomEffect::Alert) => prop_assert_eq!(strength(&decision), (Effect::Alert, Some(Reason::CustomRule))),
            (true, CustomEffect::Prevent) => prop_assert_eq!(strength(&decision), (Effect::Prevent, Some(Reason::CustomRule))),
        }
    }

    /// What the agent is told that it need not watch is never objected to.
    #[test]
    fn what_need_not_be_watched_is_allowed(policy in policies(), event in events()) {
        let compiled = CompiledPolicy::new(policy).unwrap();
        let decision = decide(&compiled, &event);
        match event {
            Event::File(_) if !compiled.judges_files() => prop_assert_eq!(decision, Decision::Allow),
            Event::File(_) if !compiled.prevents_files() => prop_assert!(!matches!(decision, Decision::Prevent(_))),
            Event::Listen(_) if !compiled.judges_listening() => prop_assert_eq!(decision, Decision::Allow),
            Event::Process(mut process) if !compiled.wants_hashes() => {
                process.sha256 = None;
                process.facts.script_sha256 = None;
                process.facts.loaded_sha256 = None;
                prop_assert_eq!(decide(&compiled, &Event::Process(process)), decision);
            }
            _ => {}
        }
    }

    /// An IPv4 address is judged the same when it comes as IPv4-mapped IPv6.
    #[test]
    fn mapped_addresses_are_judged_alike(policy in policies(), bytes: [u8; 4], port: u16) {
        let address = std::net::Ipv4Addr::from(bytes);
        let event = |address| Event::Connection(ConnectionEvent {
            protocol: Protocol::Udp, address, port, pid: 1, path: String::new(), resolver: false, domain: None,
        });
        let mapped = decided(policy.clone(), &event(address.to_ipv6_mapped().into()));
        prop_assert_eq!(mapped, decided(policy, &event(address.into())));
    }
}
