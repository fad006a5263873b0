//! Connections that were made without asking.
use crate::arena::{Arena, attacker, policy};

/// Whoever holds a connection that the Defender was not asked about is reported, and killed where that is prevented.
/// Without the detection it lives.
#[test]
fn a_connection_from_elsewhere_is_noticed() {
    let arena = Arena::new("unseen");
    let give = format!(
        "{0} serve 10.7.0.1:53 > served & while ! grep -q ready served; do :; done; rm -f door given; \
         {0} give door 10.7.0.1:53 > given & while ! grep -q ready given; do :; done;",
        attacker()
    );
    let run = |detections: &str| arena.run_beside(&give, &policy("disable", detections, ""), &["receive", "door"]);

    assert_eq!((Some(0), "alive true".into()), run(""));
    assert_eq!(0, arena.audits("unseenConnection"));
    assert_eq!((Some(0), "alive true".into()), run(r#""unseenConnection":"alert""#));
    assert_eq!(1, arena.audits("unseenConnection"), "{:?}", arena.lines());
    assert_eq!((Some(137), String::new()), run(r#""unseenConnection":"prevent""#));
    assert!(arena.lines().iter().any(|line| line.contains("10.7.0.1") && line.contains("attacker_network")));
}
