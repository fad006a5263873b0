//! Custom rules at program starts, with the real supervisor on real processes.
#![allow(clippy::unwrap_used)] // a test fails by panicking
mod arena;

use arena::{Arena, RAN, REFUSED, denying, detecting, effects_of};
use serde_json::{Value, json};

fn with_rule(mut policy: Value, script: &str, effect: &str) -> Value {
    policy["custom"] = json!([{"name": "mine", "kind": "processes", "script": script, "effect": effect}]);
    policy
}

/// A rule with nothing beside it, under an attack that it speaks of.
fn holds(script: &str, words: &[&str], arena: &Arena) {
    let nothing = || detecting("inlineCode", "disable");
    for (effect, outcome, reported) in [("alert", RAN, vec!["alert"]), ("prevent", REFUSED, vec!["prevent"])] {
        let (said, audits) = arena.run(&with_rule(nothing(), script, effect), words);

        assert_eq!(outcome, said, "{script} {effect} {audits:#?}");
        assert_eq!(reported, effects_of(&audits, "customRule"), "{script} {effect}: {audits:#?}");
        assert_eq!(json!("mine"), audits[0]["matched"]);
    }
    assert_eq!((RAN.to_owned(), Vec::new()), arena.run(&nothing(), words));
}

/// A program is stopped by what it is told, by who starts it and by what it holds, also where the vendor only alerts.
#[test]
fn a_program_is_stopped_by_what_a_rule_says() {
    let arena = Arena::new("custom-starts");
    let tool = arena.program("tool");
    let content = arena::content_of(&tool).replace("sha256:", "");
    let start = [&arena.good, "start", &tool, "ran"];

    for script in [
        "proc.cmdline contains \" ran\" and proc.name = \"tool\"",
        "proc.args contains \"ran\" and proc.pname = \"good\" and proc.user = 0",
        &format!("proc.ancestors contains \"{}\" and not proc.path = \"{}\"", arena.good, arena.good),
        &format!("proc.sha256 = \"{content}\""),
    ] {
        holds(script, &start, &arena);
    }
}

/// A rule that allows comes before the deny list, and speaks of nothing but what it says.
#[test]
fn a_rule_allows_what_a_list_denies() {
    let arena = Arena::new("custom-allow");
    let (tool, other) = (arena.program("tool"), arena.program("other"));
    // The main program needs it too: both have the letter that is denied.
    let script = format!("proc.path in (\"{tool}\", \"{}\")", arena.good);
    let policy = with_rule(denying("*o*", "prevent"), &script, "allow");

    assert_eq!(RAN, arena.run(&policy, &[&arena.good, "start", &tool, "ran"]).0);
    assert_eq!(REFUSED, arena.run(&policy, &[&arena.good, "start", &other, "ran"]).0);
}
