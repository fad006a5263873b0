//! Look-ups, and what they mean for the addresses that they give.
use crate::{
    arena::{Arena, FAR_RESOLVER, FOREIGN_RESOLVER, RESOLVER, STUB_RESOLVER, policy, with_names},
    patience::tries,
};

const REFUSED: &str = "111";
/// Where nobody listens the kernel says the same, so these connect to ports on which something does.
const EVIL: &str = r#""*.evil.test""#;

fn denying(effect: &str) -> String {
    with_names(&policy("disable", "", ""), effect, EVIL)
}

/// A denied name does not exist, in whichever way it is asked for; in alert mode it is only reported.
#[test]
fn denied_names_do_not_exist() {
    let arena = Arena::new("denied-names");
    for (how, stopped, unhindered) in [
        ("udp", "3 false true", "0 false true 203.0.113.66"),
        ("any", "3 false true", "0 false true 203.0.113.66"),
        ("tcp", "20 3 false true", "20 0 false true 203.0.113.66"),
        ("pair", "2 2", "2 2"),
        ("fast", "3 false true", "0 false true 203.0.113.66"),
        ("unconnected", "3 false false", "0 false true 203.0.113.66"),
    ] {
        let attack = ["lookup", how, "A.evil.TEST", RESOLVER];
        assert_eq!(unhindered, arena.run_with_names(&denying("alert"), &attack), "{how}");
        assert!(arena.audits("deniedName") > 0, "{how}");
        assert_eq!(stopped, arena.run_with_names(&denying("prevent"), &attack), "{how}");
        assert!(arena.audits("deniedName") > 0, "{how}");
    }
}

/// The proxy passes on what a resolver would: truncation, EDNS sizes, streams, zone transfers, failures.
#[test]
fn the_proxy_is_a_faithful_one() {
    let arena = Arena::new("faithful");
    for (how, name, server, answer) in [
        ("udp", "big.test", RESOLVER, "0 true true"),
        ("tcp", "big.test", RESOLVER, "20 0 false true 203.0.113.9"),
        ("edns", "edns.test", RESOLVER, "0 false true 10.0.5.120"),
        ("udp", "spoofed.test", RESOLVER, "0 false true 203.0.113.9"),
        ("transfer", "zone.test", RESOLVER, "3 0 false true 203.0.113.9"),
        ("pair", "shop.test", RESOLVER, "2 2"),
        ("unconnected", "shop.test", RESOLVER, "0 false true 203.0.113.9"),
        ("udp", "shop.test", "10.7.0.2:53", "0 false true 203.0.113.9"),
        ("udp", "shop.test", "203.0.113.7:53", "2 false true"),
        ("udp", "dead.test", RESOLVER, "silence"),
        ("udp", "garbage.test", RESOLVER, "0 false true 203.0.113.9"),
        ("tcp", "garbage.test", RESOLVER, "20 2 false true"),
    ] {
        let said = arena.run_with_names(&denying("prevent"), &["lookup", how, name, server]);
        assert_eq!(answer, said, "{how} {name} {server}");
    }
    let huge = arena.run_with_names(&denying("prevent"), &["lookup", "tcp", "huge.test", RESOLVER]);
    assert!(huge.starts_with("20 0 false true 203.0.113.9 203.0.113.9"), "{huge}");
}

/// Who compares an answer's source with its server gets its answers, wherever the server is, and the names are judged.
#[test]
fn answers_come_from_the_server_that_was_asked() {
    let arena = Arena::new("picky");
    for server in [RESOLVER, STUB_RESOLVER] {
        let asking = |name| arena.run_with_names(&denying("prevent"), &["lookup", "picky", name, server]);
        assert_eq!("0 false true 203.0.113.9", asking("shop.test"), "{server}");
        assert_eq!("3 false true", asking("a.evil.test"), "{server}");
        assert_eq!(1, arena.audits("deniedName"), "{server}");
    }
    let far =
        |how, name| arena.run_with_far_names(&denying("prevent"), &["lookup", how, name, FAR_RESOLVER], "-sys_admin");
    assert_eq!("0 false true 203.0.113.9", far("picky", "shop.test"));
    assert_eq!("3 false true", far("picky", "a.evil.test"));
    assert_eq!(1, arena.audits("deniedName"));
    for how in ["udp", "pair", "tcp", "edns", "unconnected"] {
        assert!(!far(how, "shop.test").contains("silence"), "{how}");
    }
    let good = "0 false true 203.0.113.9";
    assert_eq!(format!("{good}; {good}; ``; {good}"), far("reused", "shop.test"));
}

/// A client that turns its socket away from the resolver in between reaches nobody who answers.
#[test]
fn nobody_gets_past_the_resolver_in_between() {
    let arena = Arena::new("past");
    for how in ["untied", "aimed"] {
        let attack = ["lookup", how, "a.evil.test", FAR_RESOLVER];
        assert_eq!(
            "0 false true 203.0.113.66",
            arena.natively_with_far_names(&attack),
            "{how} must be a way of asking"
        );
        assert_eq!("silence", arena.run_with_far_names(&denying("prevent"), &attack, "-sys_admin"), "{how}");
    }
}

/// Where the Defender cannot have the server's address, who compares it gets no answers while names are prevented, and asks
/// the server itself otherwise. Either way that is reported.
#[test]
fn who_takes_no_answers_is_reported() {
    let arena = Arena::new("unheard");
    let without = "-sys_admin,-net_raw,-net_admin";
    for (effect, said) in [("prevent", "silence"), ("alert", "0 false true 203.0.113.9")] {
        let attack = ["lookup", "picky", "shop.test", FAR_RESOLVER];
        assert_eq!(said, arena.run_with_far_names(&denying(effect), &attack, without), "{effect}");
        assert_eq!(1, arena.audits("takes no answers but from"), "{effect}");
    }
    let attack = ["lookup", "udp", "a.evil.test", FAR_RESOLVER];
    assert_eq!("3 false true", arena.run_with_far_names(&denying("prevent"), &attack, without));
    assert_eq!(0, arena.audits("takes no answers"));
}

/// A message that another parser could read as a question is not sent past ours.
#[test]
fn what_two_parsers_read_differently_is_not_sent() {
    let arena = Arena::new("two-in-one");
    let attack = ["lookup", "two-in-one", "a.evil.test", RESOLVER];

    let unhindered = arena.run_with_names(&denying("alert"), &attack);
    assert!(!unhindered.starts_with("refused"), "{unhindered}");
    assert_eq!("refused 1", arena.run_with_names(&denying("prevent"), &attack));
}

/// Tens of thousands of names, each with an address of its own, and questions that nobody answers beside them: everybody
/// else is answered, and the Defender forgets the oldest instead of growing.
#[test]
fn a_storm_of_names_is_bounded() {
    let arena = Arena::new("storm");
    let detecting = with_names(&policy("prevent", r#""unresolvedAddress":"alert""#, ""), "prevent", EVIL);
    let said = arena.run_with_names(&detecting, &["storm", RESOLVER, "20000"]);
    assert_storm(tries(20_000), &said);
    let said = arena.run_with_names(&detecting, &["storm-of-connections", "10000"]);
    assert_storm(tries(10_000), &said);
}

fn assert_storm(count: u32, said: &str) {
    let (done, grown) = said.split_once(' ').unwrap();
    assert_eq!(count.to_string(), done, "{said}");
    // 4096 addresses with a name each take a megabyte; the rest is what an allocator keeps.
    assert!(grown.parse::<u32>().unwrap() < 4096, "grew by {grown} KiB");
}

/// A fast open that does not wait reaches no server that a connect does not.
#[test]
fn fast_open_is_judged() {
    let arena = Arena::new("fast");
    let attack = ["lookup", "fast", "shop.test", RESOLVER];
    let denying = r#""denyPorts":[{"start":53,"end":53}]"#;

    assert_eq!("0 false true 203.0.113.9", arena.run_with_names(&policy("alert", "", denying), &attack));
    assert_eq!("refused 111", arena.run_with_names(&policy("prevent", "", denying), &attack));
}

/// What cannot be read is refused where look-ups are prevented, and passed on where they are reported.
#[test]
fn what_is_no_question_is_refused() {
    let arena = Arena::new("update");
    let attack = ["lookup", "update", "shop.test", RESOLVER];

    assert_eq!("4 false true", arena.run_with_names(&denying("prevent"), &attack));
    assert_eq!("0 false true 203.0.113.9", arena.run_with_names(&denying("alert"), &attack));
}

/// A rule on a name governs connections to the addresses that only this name gave, also when it comes after the look-up.
#[test]
fn an_address_is_judged_as_its_name() {
    let arena = Arena::new("binding");
    let mut talk = arena.talk(&denying("alert"));
    let connect = "connect 203.0.113.66:8053";
    assert_eq!("0 false true 203.0.113.66", talk.say(&format!("lookup udp a.evil.test {RESOLVER}")));
    assert_eq!("0", talk.say(connect));
    let reported = |line: &&String| line.contains("connection") && line.contains(r#""domain":"a.evil.test""#);
    assert_eq!(1, arena.lines().iter().filter(reported).count(), "{:?}", arena.lines());

    assert_eq!(REFUSED, talk.reload(&denying("prevent"), connect, "0"));
    assert_eq!("0", talk.say("connect 203.0.113.9:8053"));
}

/// An address that an allowed name has too stays reachable.
#[test]
fn a_shared_address_is_not_denied() {
    let arena = Arena::new("shared");
    let mut talk = arena.talk(&denying("prevent"));

    talk.say(&format!("lookup udp shop.test {RESOLVER}"));
    assert_eq!("3 false true", talk.say(&format!("lookup udp b.evil.test {RESOLVER}")));
    assert_eq!("0", talk.say("connect 203.0.113.9:8053"));
}

/// An address that no allowed look-up gave is refused; after one it is not. What another resolver says does not count.
#[test]
fn unresolved_addresses_are_noticed() {
    let arena = Arena::new("unresolved");
    let detecting = policy("disable", r#""unresolvedAddress":"prevent""#, "");
    let connect = "connect 203.0.113.9:8053";
    let mut talk = arena.talk(&detecting);

    assert_eq!(REFUSED, talk.say(connect));
    assert_eq!(1, arena.audits("unresolvedAddress"));
    talk.say(&format!("lookup udp shop.test {FOREIGN_RESOLVER}"));
    assert_eq!(REFUSED, talk.say(connect));
    assert_eq!(2, arena.audits("unresolvedAddress"));
    talk.say(&format!("lookup udp shop.test {RESOLVER}"));
    assert_eq!("0", talk.say(connect));
    assert_eq!(2, arena.audits("unresolvedAddress"));
    assert_eq!("0", talk.say(&format!("connect {FOREIGN_RESOLVER}")), "private addresses are nobody's");
}
