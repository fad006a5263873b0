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
    let run = |detections: &str| arena.run_beside(&give, &policy("disable", detections, ""), &["receive", "door"]);

    assert_eq!((Some(0), "alive true".into()), run(""));
    assert_eq!(0, arena.audits("unseenConnection"));
    assert_eq!((Some(0), "alive true".into()), run(r#""unseenConnection":"alert""#));
    assert_eq!(1, arena.audits("unseenConnection"), "{:?}", arena.lines());
    assert_eq!((Some(137), String::new()), run(r#""unseenConnection":"prevent""#));
    assert!(arena.lines().iter().any(|line| line.contains("10.7.0.1") && line.contains("attacker_network")));
}
