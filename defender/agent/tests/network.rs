//! The network as a hostile workload uses it, with the real supervisor on real processes in network namespaces of their own.
//!
//! Attack tests come in pairs: what is stopped under the policy works under the same one as an alert, or without it.
#![allow(clippy::unwrap_used)] // a test fails by panicking

#[path = "network/arena.rs"]
mod arena;
#[path = "network/connecting.rs"]
mod connecting;
#[path = "network/looking_up.rs"]
mod looking_up;
#[cfg(target_arch = "x86_64")] // other machines have no such table
#[path = "network/narrow.rs"]
mod narrow;
#[path = "../../sys/examples/patience/mod.rs"]
mod patience;
#[path = "network/unseen.rs"]
mod unseen;

use serde_json::json;

use self::arena::{Arena, policy};

const LISTENING: &str =
    r#""allowListenPorts":[{"start":7000,"end":7999}],"denyListenPorts":[{"start":7666,"end":7666}]"#;
const EACCES: &str = "13";

/// Listening on a port that is not allowed, in every way there is, is refused in prevent mode, happens in alert mode, and
/// is reported in both.
#[test]
fn ports_that_are_not_allowed_are_not_listened_on() {
    let arena = Arena::new("listen");
    for (attack, reason) in [
        (["listen", "0.0.0.0:6666"], "listenPortNotAllowed"),
        (["listen", "[::]:6666"], "listenPortNotAllowed"),
        (["listen", "[::ffff:10.7.0.1]:6666"], "listenPortNotAllowed"),
        (["listen", "0.0.0.0:7666"], "deniedListenPort"),
        (["listen-unbound", ""], "listenPortNotAllowed"),
        (["bind-udp", "0.0.0.0:6666"], "listenPortNotAllowed"),
        (["bind-udp-nameless", "0.0.0.0:6666"], "listenPortNotAllowed"),
        (["bind-udp", "[::]:6666"], "listenPortNotAllowed"),
    ] {
        assert_eq!("0", arena.run(&policy("alert", "", LISTENING), &attack), "{attack:?} must work unhindered");
        assert_eq!(1, arena.audits(reason), "{attack:?}");
        assert_eq!(EACCES, arena.run(&policy("prevent", "", LISTENING), &attack), "{attack:?}");
        assert_eq!(1, arena.audits(reason), "{attack:?}");
    }
}

/// Ports that are allowed, clients' own ports and loopback work as without a Defender, and nothing is reported.
#[test]
fn ports_that_are_allowed_are_listened_on() {
    let arena = Arena::new("listen-allowed");
    for attack in [
        ["listen", "0.0.0.0:7001"],
        ["listen", "[::]:7001"],
        ["bind-udp", "0.0.0.0:7001"],
        ["bind-udp", "0.0.0.0:0"],
        ["bind-as-nobody", "7001"],
    ] {
        assert_eq!("0", arena.run(&policy("prevent", "", LISTENING), &attack), "{attack:?}");
        assert_eq!(0, arena.audits("isten"), "{attack:?}");
    }
}

/// An address that changes between check and use binds nothing that was not judged.
#[test]
fn flipping_the_port_after_the_check_binds_nothing() {
    let arena = Arena::new("race-bind");

    assert_ne!("0", arena.run(&policy("alert", "", LISTENING), &["race-bind", "500"]), "the race must be a real one");
    assert_eq!("0", arena.run(&policy("prevent", "", LISTENING), &["race-bind", "1500"]));
}

/// The Defender may bind low ports; a workload that may not gets none through it.
#[test]
fn nobody_gets_a_low_port_through_the_defender() {
    let arena = Arena::new("low-port");

    assert_eq!(EACCES, arena.run(&policy("prevent", "", ""), &["bind-as-nobody", "80"]));
    assert_eq!("0", arena.run(&policy("prevent", "", ""), &["listen", "127.0.0.1:80"]));
}

/// A datagram to an address without a family, which the kernel sends all the same, is judged by where it goes.
#[test]
fn an_address_without_a_family_is_judged() {
    let arena = Arena::new("nameless");
    let denying = r#""denyPorts":[{"start":6666,"end":6666}]"#;

    assert_eq!("true", arena.run(&policy("alert", "", denying), &["nameless", "6666"]));
    assert_eq!("false", arena.run(&policy("prevent", "", denying), &["nameless", "6666"]));
    assert_eq!("true", arena.run(&policy("prevent", "", denying), &["nameless", "6667"]));
}

/// Raw, packet and SCTP sockets are refused where the detection prevents, and nobody's netlink sockets are.
#[test]
fn raw_sockets_are_detected() {
    let arena = Arena::new("raw");
    let native = arena.natively(&["raw"]);

    assert_eq!(native, arena.run(&policy("disable", r#""rawSocket":"alert""#, ""), &["raw"]));
    assert_eq!(3, arena.audits("rawSocket"));
    assert!(native.starts_with("0 0 0 "), "{native}");
    assert_eq!("1 1 0 93", arena.run(&policy("disable", r#""rawSocket":"prevent""#, ""), &["raw"]));
    assert_eq!(native, arena.run(&policy("prevent", "", ""), &["raw"]));
}

/// The cloud's metadata service and encrypted look-ups are detected by where they go, and refused where that is prevented.
#[test]
fn metadata_and_encrypted_look_ups_are_detected() {
    let arena = Arena::new("destinations");
    for (detection, address) in
        [("cloudMetadata", "169.254.169.254:80"), ("encryptedDns", "203.0.113.9:853"), ("encryptedDns", "1.1.1.1:443")]
    {
        let on = |effect: &str| policy("disable", &format!(r#""{detection}":"{effect}""#), "");
        let attack = ["open-and-connect", address];
        assert_eq!("0", arena.run(&on("disable"), &attack), "{address}");
        assert_eq!("0", arena.run(&on("alert"), &attack), "{address}");
        assert_eq!(1, arena.audits(detection), "{address}");
        assert_eq!("111", arena.run(&on("prevent"), &attack), "{address}");
    }
}

/// A policy whose only rule refuses the connections that `script` speaks of.
fn refusing(script: &str) -> String {
    let rule = json!([{"name": "who", "kind": "network-outgoing", "effect": "prevent", "script": script}]);
    policy("disable", "", "").replacen('{', &format!(r#"{{"custom":{rule},"#), 1)
}

/// Custom rules on connections know who connects: its user and its arguments. Of the Defender, which started it, they
/// know nothing.
#[test]
fn custom_rules_know_who_connects() {
    let arena = Arena::new("custom-connections");
    let attack = ["open-and-connect", "203.0.113.9:853"];
    assert_eq!("0", arena.natively(&attack));
    for script in [
        r#"proc.user = "root" and net.outgoing_port = 853"#,
        r#"proc.args contains "open-and-connect""#,
        r#"proc.cmdline contains "203.0.113.9:853""#,
        r#"not proc.args contains "another""#,
    ] {
        assert_eq!("111", arena.run(&refusing(script), &attack), "{script}");
        assert_eq!(1, arena.audits(r#""matched":"who""#), "{script}");
    }
    for script in [
        r#"proc.user != "root""#,
        r#"proc.args contains "another""#,
        r#"proc.pname = "supervise""#,
        r#"not proc.pname = "supervise""#,
        r#"proc.ancestors contains "supervise""#,
        r#"not proc.ancestors contains "supervise""#,
    ] {
        assert_eq!("0", arena.run(&refusing(script), &attack), "{script}");
    }
}

/// Custom rules on connections know what is above the process that connects: its parent, and all up to the workload's first
/// process, where it ends.
#[test]
fn custom_rules_know_what_is_above_who_connects() {
    let arena = Arena::new("custom-ancestors");
    let (attacker, script) = (arena::attacker(), arena.folder.join("connect"));
    // The shell stays between the two: it still has to say that it is done.
    std::fs::write(&script, format!("#!/bin/sh\n{attacker} open-and-connect 203.0.113.9:853\nexit 7\n")).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    let (name, attack) = (shell.file_name().unwrap().to_string_lossy(), ["run", script.to_str().unwrap()]);
    assert_eq!("0\n7", arena.natively(&attack));
    for condition in [
        r#"proc.ancestors contains "attacker_network""#.to_owned(),
        format!(r#"proc.ancestors contains "{attacker}""#),
        format!(r#"proc.ancestors contains "{name}" and proc.pname = "{name}""#),
        r#"not proc.ancestors contains "supervise""#.to_owned(),
    ] {
        assert_eq!("111\n7", arena.run(&refusing(&condition), &attack), "{condition}");
        assert_eq!(1, arena.audits(r#""matched":"who""#), "{condition}");
    }
    for condition in [r#"proc.ancestors contains "supervise""#, r#"proc.pname = "attacker_network""#] {
        assert_eq!("0\n7", arena.run(&refusing(condition), &attack), "{condition}");
    }
}

/// Trying many ports is noticed, and in prevent mode the scan finds nothing more.
#[test]
fn port_scans_are_detected() {
    let arena = Arena::new("scan");

    assert_eq!("true", arena.run(&policy("disable", r#""portScan":"alert""#, ""), &["scan", "40"]));
    assert_eq!(1, arena.audits("portScan"));
    assert_eq!("false", arena.run(&policy("disable", r#""portScan":"prevent""#, ""), &["scan", "40"]));
    assert_eq!("true", arena.run(&policy("disable", r#""portScan":"prevent""#, ""), &["scan", "5"]));
    assert_eq!(0, arena.audits("portScan"));
}

/// The 32-bit and x32 tables, which would go round the filter, do not exist.
#[test]
fn connect_by_a_foreign_table_does_not_exist() {
    assert_eq!("-38 -38 38", Arena::new("tables").run(&policy("prevent", "", ""), &["tables"]));
}
