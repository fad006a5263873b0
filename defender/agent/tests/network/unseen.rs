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
