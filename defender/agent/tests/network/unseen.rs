//! Connections that were made without asking.
use crate::arena::{Arena, in_background, policy};

/// Whoever holds a connection that the Defender was not asked about is reported, and killed where that is prevented.
/// Without the detection it lives.
#[test]
fn a_connection_from_elsewhere_is_noticed() {
    let arena = Arena::new("unseen");
    let give = [
        String::from("rm -f door; "),
        in_background("serve 10.7.0.1:53", "server"),
        in_background("give door 10.7.0.1:53", "giver"),
    ]
    .concat();
    let run = |detections: &str, seconds: &str| {
        arena.run_beside(&give, &policy("disable", detections, ""), &["receive", "door", seconds])
    };

    assert_eq!((Some(0), "unnoticed".into()), run("", "3"));
    assert_eq!((Some(0), "noticed".into()), run(r#""unseenConnection":"alert""#, "30"));
    assert_eq!((Some(137), String::new()), run(r#""unseenConnection":"prevent""#, "30"));
    let lines = arena.lines();
    assert!(lines.iter().all(|line| line.contains("10.7.0.1") && line.contains("attacker_network")), "{lines:?}");
}

/// Accepted connections, connections that were asked about, and those of other containers in the same namespace are nobody's
/// fault, also when their listener is gone.
#[test]
fn honest_connections_are_not_accused() {
    let arena = Arena::new("honest");
    let beside = [in_background("serve 10.7.0.1:53", "server"), in_background("stay 10.7.0.1:7000", "client")].concat();
    let preventing = policy("disable", r#""unseenConnection":"prevent""#, "");

    let said = arena.run_beside(&beside, &preventing, &["accept", "6"]);

    assert_eq!(((Some(0), "alive".into()), Vec::<String>::new()), (said, arena.lines()));
}

/// A descriptor that is exchanged between check and use does not reach a forbidden server.
#[test]
fn an_exchanged_descriptor_does_not_connect() {
    let arena = Arena::new("swap");
    let denying = r#""denyPorts":[{"start":6666,"end":6666}]"#;

    assert_ne!("0", arena.run(&policy("alert", "", denying), &["swap-descriptor", "2000"]), "it must be a real race");
    assert_eq!("0", arena.run(&policy("prevent", "", denying), &["swap-descriptor", "4000"]));
}

/// Who exchanges descriptors and addresses gives itself away long before it gets through.
#[test]
fn exchanging_descriptors_is_noticed() {
    let arena = Arena::new("exchange");
    let on = |effect: &str| {
        policy("prevent", &format!(r#""unseenConnection":"{effect}""#), r#""denyPorts":[{"start":6666,"end":6666}]"#)
    };

    arena.run(&on("alert"), &["swap", "2000"]);
    assert_eq!(1, arena.audits("exchanged descriptor"));
    assert_eq!((Some(137), String::new()), arena.run_beside("", &on("prevent"), &["swap", "100000"]));
}
