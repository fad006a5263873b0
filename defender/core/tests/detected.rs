//! What the agent found out by watching longer than one event.
#![allow(clippy::unwrap_used, reason = "a broken policy fails the test")]
use std::net::IpAddr;

use defender_core::{
    CompiledPolicy, ConnectionEvent, Context, CustomEffect, CustomKind, CustomRule, Decision, DefenderPolicy, Effect,
    Event, FileEvent, FileOperation, FilePolicy, NetworkPolicy, Protocol, Reason, detected,
};

fn file() -> Event {
    Event::File(FileEvent {
        operation: FileOperation::Write,
        file: "/opt/tool".into(),
        pid: 12,
        path: "/usr/bin/curl".into(),
        user: 0,
    })
}

fn connection() -> Event {
    let address = IpAddr::from([203, 0, 113, 9]);
    let (protocol, path) = (Protocol::Tcp, "/usr/bin/curl".into());
    Event::Connection(ConnectionEvent { protocol, address, port: 443, pid: 12, path, resolver: false, domain: None })
}

/// A policy with one detection that prevents.
fn policy(reason: Reason) -> DefenderPolicy {
    let detections = [(reason, Effect::Prevent)].into();
    DefenderPolicy { version: 1, rule: Some("shop".into()), detections, ..DefenderPolicy::default() }
}

fn found(policy: DefenderPolicy, reason: Reason, event: &Event) -> Decision {
    detected(&CompiledPolicy::new(policy).unwrap(), reason, Some("mark".into()), event, Context::default())
}

fn custom(kind: CustomKind, script: &str, effect: CustomEffect) -> Vec<CustomRule> {
    vec![CustomRule { name: "mine".into(), kind, script: script.into(), effect }]
}

/// The effect is that of the detection, with the mark as it was found.
#[test]
fn a_finding_has_the_effect_of_its_detection() {
    let decision = found(policy(Reason::PackedBinary), Reason::PackedBinary, &file());

    let Decision::Prevent(violation) = decision else { panic!("{decision:?}") };
    assert_eq!((violation.reason, violation.matched.as_deref()), (Reason::PackedBinary, Some("mark")));
}

/// A detection that is off, or a workload without a rule, has no findings.
#[test]
fn what_is_off_finds_nothing() {
    let unruled = DefenderPolicy { rule: None, ..policy(Reason::PackedBinary) };

    assert_eq!(found(policy(Reason::SuspiciousElf), Reason::PackedBinary, &file()), Decision::Allow);
    assert_eq!(found(unruled, Reason::PackedBinary, &file()), Decision::Allow);
}

/// A custom rule that holds has ended the judging, so nothing more is found; one that does not hold has not.
#[test]
fn a_custom_rule_ends_the_judging() {
    let with = |script| DefenderPolicy {
        custom: custom(CustomKind::Filesystem, script, CustomEffect::Allow),
        ..policy(Reason::PackedBinary)
    };

    assert_eq!(found(with("file.path = \"/opt/tool\""), Reason::PackedBinary, &file()), Decision::Allow);
    assert!(matches!(found(with("file.path = \"/opt\""), Reason::PackedBinary, &file()), Decision::Prevent(_)));
}

/// No custom rule hides an attack on the Defender.
#[test]
fn custom_rules_do_not_hide_tampering() {
    let policy = DefenderPolicy {
        custom: custom(CustomKind::Filesystem, "proc.user = 0", CustomEffect::Allow),
        ..policy(Reason::Tampering)
    };

    assert!(matches!(found(policy, Reason::Tampering, &file()), Decision::Prevent(_)));
}

/// A file that is written out on the allow list is expected, a folder is not enough.
#[test]
fn a_file_that_is_written_out_is_expected() {
    let with = |entry: &str| DefenderPolicy {
        files: FilePolicy { effect: Effect::Alert, allow: vec![entry.into()], deny: Vec::new() },
        ..policy(Reason::BinaryWritten)
    };

    assert_eq!(found(with("/opt/tool"), Reason::BinaryWritten, &file()), Decision::Allow);
    assert!(matches!(found(with("/opt"), Reason::BinaryWritten, &file()), Decision::Prevent(_)));
}

/// An address that the allow list holds needs no look-up; a scan of ports is one all the same.
#[test]
fn an_allowed_address_needs_no_lookup() {
    let with = |reason, entry: &str| DefenderPolicy {
        network: NetworkPolicy {
            effect: Effect::Alert,
            allow_addresses: vec![entry.into()],
            ..NetworkPolicy::default()
        },
        ..policy(reason)
    };
    let unresolved = Reason::UnresolvedAddress;

    assert_eq!(found(with(unresolved, "203.0.113.0/24"), unresolved, &connection()), Decision::Allow);
    assert!(matches!(found(with(unresolved, "192.0.2.0/24"), unresolved, &connection()), Decision::Prevent(_)));
    let scan = Reason::PortScan;
    assert!(matches!(found(with(scan, "203.0.113.0/24"), scan, &connection()), Decision::Prevent(_)));
}
