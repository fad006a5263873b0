//! The compiled lists decide exactly as a walk through the lists does.
//!
//! The walk is the definition: one entry after the other, each compared in the plainest way there is.
#![allow(clippy::unwrap_used, reason = "a broken entry fails the test")]
use std::{collections::BTreeMap, net::IpAddr};

use defender_core::{
    CompiledPolicy, ConnectionEvent, Decision, DefenderPolicy, Effect, Event, FileEvent, ListenEvent, LookupEvent,
    PortRange, ProcessEvent, Protocol, Reason, Violation, decide,
};
use proptest::prelude::*;

mod strategies;
use strategies::{events, policies};

type Objection = Option<(Reason, Option<String>)>;

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|cut| glob(rest, &text[cut..])),
        (Some(('?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((letter, rest)), Some((first, tail))) => letter == first && glob(rest, tail),
        _ => false,
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    glob(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn holds_port(range: PortRange, port: u16) -> bool {
    range.start <= port && port <= range.end
}

/// Bit by bit, on the address in the form that the kernel uses.
fn holds_address(block: &str, address: IpAddr) -> bool {
    let (network, prefix) = block.split_once('/').map_or((block, None), |(network, prefix)| (network, Some(prefix)));
    let network: IpAddr = network.parse().unwrap();
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let mut prefix = prefix.map_or(bits(network).1, |prefix| prefix.parse().unwrap());
    let mapped = matches!(network, IpAddr::V6(inner) if prefix >= 96 && inner.to_ipv4_mapped().is_some());
    let network = if mapped {
        prefix -= 96;
        network.to_canonical()
    } else {
        network
    };
    let ((one, _), (other, _)) = (bits(network), bits(address));
    network.is_ipv4() == address.is_ipv4() && (0..prefix).all(|at| (one ^ other) >> (127 - at) & 1 == 0)
}

/// Entries by name first, then by path, then by content, each kind in the order of the list.
fn first_program(list: &[String], names: &[&str], paths: &[&str], digests: &[Option<&str>]) -> Option<String> {
    let hashed = |entry: &&String| entry.starts_with("sha256:");
    let by_names = list.iter().filter(|entry| !hashed(entry) && !entry.contains('/'));
    let by_paths = list.iter().filter(|entry| !hashed(entry) && entry.contains('/'));
    let fits = |entry: &&String, texts: &[&str]| texts.iter().any(|text| !text.is_empty() && matches(entry, text));
    let by_name = by_names.clone().find(|entry| fits(entry, names));
    let by_path = || by_paths.clone().find(|entry| fits(entry, paths));
    let by_digest =
        || digests.iter().flatten().find_map(|digest| list.iter().find(|entry| **entry == format!("sha256:{digest}")));
    by_name.or_else(by_path).or_else(by_digest).cloned()
}

fn process(policy: &DefenderPolicy, event: &ProcessEvent) -> Objection {
    let (lists, facts) = (&policy.processes, &event.facts);
    let exe = event.path.strip_suffix(" (deleted)").unwrap_or(&event.path);
    let argument = |at: usize| event.arguments.get(at).map_or("", |text| base(text));
    let told = argument(0).strip_prefix('-').unwrap_or(argument(0));
    let applet = if ["busybox", "toybox", "coreutils"].contains(&base(exe)) { argument(1) } else { "" };
    let loaded = facts.loaded.as_deref().unwrap_or_default();
    let names = [base(exe), base(&event.invoked), told, applet, base(loaded)];
    let digests = [event.sha256.as_deref(), facts.script_sha256.as_deref(), facts.loaded_sha256.as_deref()];
    if let Some(entry) = first_program(&lists.deny, &names, &[exe, &event.path, &event.invoked, loaded], &digests) {
        return Some((Reason::DeniedProcess, Some(entry)));
    }
    let allow = |names: &[&str], paths: &[&str], digest: Option<&str>| {
        first_program(&lists.allow, names, paths, &[digest]).is_some()
    };
    let itself = allow(&[base(&event.path)], &[&event.path], event.sha256.as_deref())
        || (event.invoked_is_exe && allow(&[base(&event.invoked)], &[&event.invoked], None))
        || (event.interpreted && allow(&[], &[&event.invoked], facts.script_sha256.as_deref()));
    let both = itself
        && facts
            .loaded
            .as_deref()
            .is_none_or(|loaded| allow(&[base(loaded)], &[loaded], facts.loaded_sha256.as_deref()));
    (!lists.allow.is_empty() && !event.main && !both).then_some((Reason::ProcessNotAllowed, None))
}

fn lookup(policy: &DefenderPolicy, event: &LookupEvent) -> Objection {
    let normal = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let fits = |entry: &&String| matches(&normal(entry), &normal(&event.name));
    if let Some(entry) = policy.dns.deny.iter().find(fits) {
        return Some((Reason::DeniedName, Some(entry.clone())));
    }
    let allow = &policy.dns.allow;
    (!allow.is_empty() && !allow.iter().any(|entry| fits(&entry))).then_some((Reason::NameNotAllowed, None))
}

fn connection(policy: &DefenderPolicy, event: &ConnectionEvent) -> Objection {
    let lists = &policy.network;
    let canonical = event.address.to_canonical();
    let address: IpAddr = match canonical {
        address if !address.is_unspecified() => address,
        IpAddr::V4(_) => [127, 0, 0, 1].into(),
        IpAddr::V6(_) => "::1".parse().unwrap(),
    };
    let fits = |entry: &&String| holds_address(entry, address) || holds_address(entry, canonical);
    if let Some(entry) = lists.deny_addresses.iter().find(fits) {
        return Some((Reason::DeniedAddress, Some(entry.clone())));
    }
    if let Some(range) = lists.deny_ports.iter().find(|range| holds_port(**range, event.port)) {
        return Some((Reason::DeniedPort, Some(range.to_string())));
    }
    if address.is_loopback() || event.resolver {
        return None;
    }
    if !lists.allow_addresses.is_empty() && !lists.allow_addresses.iter().any(|entry| holds_address(entry, address)) {
        return Some((Reason::AddressNotAllowed, None));
    }
    let ports = &lists.allow_ports;
    (!ports.is_empty() && !ports.iter().any(|range| holds_port(*range, event.port)))
        .then_some((Reason::PortNotAllowed, None))
}

fn listen(policy: &DefenderPolicy, event: &ListenEvent) -> Objection {
    let lists = &policy.network;
    if let Some(range) = lists.deny_listen_ports.iter().find(|range| holds_port(**range, event.port)) {
        return Some((Reason::DeniedListenPort, Some(range.to_string())));
    }
    let client = event.protocol == Protocol::Udp && event.port == 0;
    let ports = &lists.allow_listen_ports;
    let exempt = ports.is_empty() || client || event.address.to_canonical().is_loopback();
    (!exempt && !ports.iter().any(|range| holds_port(*range, event.port)))
        .then_some((Reason::ListenPortNotAllowed, None))
}

fn file(policy: &DefenderPolicy, event: &FileEvent) -> Objection {
    let fits = |entry: &&String| {
        let entry = entry.strip_suffix('/').unwrap_or(entry);
        matches(entry, &event.file) || matches(&format!("{entry}/*"), &event.file)
    };
    if let Some(entry) = policy.files.deny.iter().find(fits) {
        return Some((Reason::DeniedFile, Some(entry.clone())));
    }
    let allow = &policy.files.allow;
    (!allow.is_empty() && !allow.iter().any(|entry| fits(&entry))).then_some((Reason::FileNotAllowed, None))
}

fn naive(policy: &DefenderPolicy, event: &Event) -> Decision {
    let Some(rule) = policy.rule.clone() else { return Decision::Allow };
    let (effect, objection) = match event {
        Event::Process(event) => (policy.processes.effect, process(policy, event)),
        Event::Lookup(event) => (policy.dns.effect, lookup(policy, event)),
        Event::Connection(event) => (policy.network.effect, connection(policy, event)),
        Event::Listen(event) => (policy.network.effect, listen(policy, event)),
        Event::File(event) => (policy.files.effect, file(policy, event)),
        Event::Request(_) | Event::Defender(_) => return Decision::Allow,
    };
    let Some((reason, matched)) = objection else { return Decision::Allow };
    let violation = Violation { rule, reason, matched };
    match effect {
        Effect::Disable | Effect::Allow => Decision::Allow,
        Effect::Alert => Decision::Alert(violation),
        Effect::Prevent | Effect::Ban => Decision::Prevent(violation),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The same effect for the same reason, with the same entry of the list.
    #[test]
    fn compiled_lists_decide_as_the_walk_does(policy in policies(), event in events()) {
        let policy = DefenderPolicy { detections: BTreeMap::new(), ..policy };
        prop_assert_eq!(decide(&CompiledPolicy::new(policy.clone()).unwrap(), &event), naive(&policy, &event));
    }
}
