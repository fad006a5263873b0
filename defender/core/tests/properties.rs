//! Properties of decisions, over policies and events that nobody thought of.
use std::net::IpAddr;

use defender_core::{
    CompiledPolicy, ConnectionEvent, Decision, DefenderPolicy, DnsPolicy, Effect, Event, LookupEvent, NetworkPolicy,
    PortRange, ProcessEvent, ProcessFacts, ProcessPolicy, Protocol, decide,
};
use proptest::prelude::*;

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::Disable), Just(Effect::Alert), Just(Effect::Prevent)]
}

fn globs() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c/.*?]{0,6}|\\PC{0,6}", 0..4)
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    let block = prop_oneof![
        any::<IpAddr>().prop_map(|address| address.to_string()),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(bytes, prefix)| format!("{}/{prefix}", IpAddr::from(bytes))),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(bytes, prefix)| format!("{}/{prefix}", IpAddr::from(bytes))),
    ];
    prop::collection::vec(block, 0..4)
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range =
        (any::<u16>(), any::<u16>()).prop_map(|(one, other)| PortRange { start: one.min(other), end: one.max(other) });
    prop::collection::vec(range, 0..3)
}

prop_compose! {
    fn policies()(
        rule in prop::option::of("[a-z]{0,4}"),
        effects in [effects(), effects(), effects()],
        globs in [globs(), globs(), globs(), globs()],
        addresses in [addresses(), addresses()],
        ports in [ports(), ports()],
    ) -> DefenderPolicy {
        let [allow, deny, allow_names, deny_names] = globs;
        let [allow_addresses, deny_addresses] = addresses;
        let [allow_ports, deny_ports] = ports;
        DefenderPolicy {
            version: 1,
            revision: 1,
            rule,
            processes: ProcessPolicy { effect: effects[0], allow, deny },
            dns: DnsPolicy { effect: effects[1], allow: allow_names, deny: deny_names },
            network: NetworkPolicy { effect: effects[2], allow_addresses, deny_addresses, allow_ports, deny_ports, ..NetworkPolicy::default() },
            ..DefenderPolicy::default()
        }
    }
}

fn events() -> impl Strategy<Value = Event> {
    let text = || "(/?[a-c.]{0,3}){0,3}|\\PC{0,8}";
    let process = (text(), text(), prop::collection::vec(text(), 0..3), any::<[bool; 3]>()).prop_map(
        |(path, invoked, arguments, [main, interpreted, invoked_is_exe])| {
            let parent_path = String::new();
            let (pid, parent_pid, user) = (1, 1, 0);
            Event::Process(ProcessEvent {
                path,
                invoked,
                arguments,
                pid,
                parent_pid,
                parent_path,
                user,
                main,
                interpreted,
                invoked_is_exe,
                sha256: None,
                facts: ProcessFacts::default(),
            })
        },
    );
    let lookup = text()
        .prop_map(|name| Event::Lookup(LookupEvent { name, record_type: "A".into(), pid: 1, path: String::new() }));
    let connection = (any::<IpAddr>(), any::<u16>(), any::<bool>()).prop_map(|(address, port, resolver)| {
        Event::Connection(ConnectionEvent {
            protocol: Protocol::Tcp,
            address,
            port,
            pid: 1,
            path: String::new(),
            resolver,
            domain: None,
        })
    });
    prop_oneof![process, lookup, connection]
}

fn effect_for(policy: &DefenderPolicy, event: &Event) -> Effect {
    match event {
        Event::Process(_) => policy.processes.effect,
        Event::Lookup(_) => policy.dns.effect,
        Event::Connection(_) => policy.network.effect,
        Event::Listen(_) | Event::File(_) | Event::Defender(_) => Effect::Disable,
    }
}

fn decided(policy: DefenderPolicy, event: &Event) -> Decision {
    CompiledPolicy::new(policy).map_or(Decision::Allow, |policy| decide(&policy, event))
}

proptest! {
    /// A decision never panics, and it is never another effect than its section's: under `disable`, or without a rule,
    /// everything is allowed.
    #[test]
    fn a_decision_is_allow_or_the_sections_effect(policy in policies(), event in events()) {
        let effect = if policy.rule.is_some() { effect_for(&policy, &event) } else { Effect::Disable };
        let fits = match decided(policy, &event) {
            Decision::Allow => true,
            Decision::Alert(_) => effect == Effect::Alert,
            Decision::Prevent(_) => effect == Effect::Prevent,
        };
        prop_assert!(fits);
    }

    /// What is denied stays denied, whatever is put on the allow lists.
    #[test]
    fn a_deny_match_beats_every_allow_match(policy in policies(), other in policies(), event in events()) {
        let mut without = policy.clone();
        without.processes.allow.clear();
        without.dns.allow.clear();
        without.network.allow_addresses.clear();
        without.network.allow_ports.clear();
        let mut with = without.clone();
        with.processes.allow = other.processes.allow;
        with.dns.allow = other.dns.allow;
        with.network.allow_addresses = other.network.allow_addresses;
        with.network.allow_ports = other.network.allow_ports;
        let denied = decided(without, &event);
        if denied != Decision::Allow {
            prop_assert_eq!(decided(with, &event), denied);
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
