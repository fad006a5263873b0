//! Every tier on a platform that allows no more, and Linux 5.10 where newer features are refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tiers/process_one.rs"]
mod process_one;
mod stage;

use std::{fs, os::unix::fs::PermissionsExt};

use stage::{Arena, FORBIDDING, Place, alerting, complained, example, said};

/// EACCES, as exit status of an attacker whose execve was refused.
const REFUSED: &str = "13";
const KILLED: &str = "137";
const EVIL_RAN: &str = "77";

fn on(limits: &'static str) -> Place {
    Place { trace: true, limits, ..Place::default() }
}

/// Programs are stopped at their start wherever a tier says that it prevents, in every way of starting them, and the same
/// ways work when the policy only looks.
#[test]
fn programs_are_stopped_in_every_tier_that_prevents() {
    let arena = Arena::new("attacker_guard");
    let asked = [REFUSED, REFUSED];
    for (limits, [plain, from_thread]) in [
        ("", asked),
        ("linux-5.10", asked),
        ("no-copies", asked),
        ("no-remote-memory,no-copies", asked),
        ("linux-5.10,no-remote-memory", asked),
        ("no-listener", [KILLED, KILLED]),
    ] {
        for (way, stopped) in [("run", plain), ("thread", from_thread)] {
            assert_eq!(
                stopped,
                said(&arena.run(on(limits), Some(FORBIDDING), &[&arena.good, way, &arena.evil])),
                "{limits}"
            );
            assert_eq!(
                EVIL_RAN,
                said(&arena.run(on(limits), Some(&alerting()), &[&arena.good, way, &arena.evil])),
                "{limits}"
            );
            assert_eq!(
                "0",
                said(&arena.run(on(limits), Some(FORBIDDING), &[&arena.good, way, &arena.good])),
                "{limits}"
            );
        }
    }
}

/// The tier that is reported is the one that the platform allows.
#[test]
fn the_tier_is_what_was_found() {
    let arena = Arena::new("attacker_guard");
    for (limits, said) in [
        ("no-copies", "tier 2: descriptors of the workload cannot be copied"),
        ("no-listener", "tier 4: this platform does not allow a seccomp listener"),
        ("no-trace", "tier 5: processes cannot be watched"),
        ("no-trace,no-listener", "tier 0: this platform does not allow"),
    ] {
        let output = arena.run(on(limits), Some(FORBIDDING), &[&arena.good, "nothing"]);
        assert!(complained(&output).contains(said), "{limits}: {}", complained(&output));
    }
    for limits in ["", "linux-5.10", "no-remote-memory"] {
        let output = arena.run(on(limits), Some(FORBIDDING), &[&arena.good, "nothing"]);
        assert_eq!("", complained(&output), "{limits}");
    }
}

/// Where nothing can be prevented, fail mode `closed` starts nothing, and `open` looks on.
#[test]
fn where_nothing_can_be_prevented_the_fail_mode_decides() {
    let arena = Arena::new("attacker_guard");
    for limits in ["no-trace", "no-trace,no-listener"] {
        let closed = arena.run(on(limits), Some(FORBIDDING), &[&arena.good, "nothing"]);
        let open = arena.command(on(limits), Some(FORBIDDING), &[&arena.good, "run", &arena.good]);
        let open = { open }.env("SUPERVISE_OPEN", "1").output().unwrap();

        assert_eq!((Some(78), ""), (closed.status.code(), said(&closed).as_str()), "{limits}");
        assert_eq!((Some(0), "0"), (open.status.code(), said(&open).as_str()), "{limits}: {}", complained(&open));
    }
    assert!(arena.reported().contains("notEnforcing"));
}

/// Tiers that trace for life leave signals and job control as they are.
#[test]
fn traced_workloads_keep_their_signals() {
    let arena = Arena::new("attacker_guard");
    for (mode, expected) in [("job-control", "50"), ("signals", "1000"), ("vfork", "137")] {
        let output = arena.run(on("no-listener"), Some(FORBIDDING), &[&arena.good, mode, &arena.evil]);
        assert_eq!(expected, said(&output), "{mode}");
    }
}

/// A process that no tracer is told about cannot be made where a filter is allowed.
#[test]
fn no_process_escapes_the_tracer_of_tier_four() {
    let arena = Arena::new("attacker_guard");

    assert_eq!("-1", said(&arena.run(on("no-listener"), Some(FORBIDDING), &[&arena.good, "untraced", &arena.evil])));
}

fn in_compat(arena: &Arena, place: Place, words: &[&str]) -> std::process::Output {
    arena.command(place, Some(FORBIDDING), words).env("SUPERVISE_COMPAT", "1").output().unwrap()
}

/// The compat tier stops programs, too, and finds a process that was started behind its tracer's back.
#[test]
fn the_compat_tier_stops_programs() {
    let arena = Arena::new("attacker_guard");

    let stopped = in_compat(&arena, on(""), &[&arena.good, "run", &arena.evil]);
    assert_eq!(KILLED, said(&stopped));
    assert!(complained(&stopped).contains("tier 3: `compat` was asked for"), "{}", complained(&stopped));
    assert_eq!("0", said(&in_compat(&arena, on(""), &[&arena.good, "run", &arena.good])));
    assert_eq!(KILLED, said(&in_compat(&arena, on(""), &[&arena.good, "untraced", &arena.evil])));
    assert!(arena.reported().contains("CLONE_UNTRACED"), "{}", arena.reported());
}

/// A setuid program keeps its privilege in the compat tier, and loses it in the others.
#[test]
fn setuid_programs_keep_their_user_in_the_compat_tier_only() {
    let arena = Arena::new("attacker_guard");
    let program = arena.folder.join("setuid");
    fs::copy(example("attacker_guard"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let drop = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", program.to_str().unwrap(), "user"];

    assert_eq!("0", said(&in_compat(&arena, on(""), &drop)));
    assert_eq!("1000", said(&arena.run(on(""), Some(FORBIDDING), &drop)));
}

/// Without `SYS_PTRACE` the compat tier cannot keep its promise, so it is not chosen.
#[test]
fn compat_without_the_capability_is_not_claimed() {
    let arena = Arena::new("attacker_guard");
    let output = in_compat(&arena, Place { limits: "no-copies", ..Place::default() }, &[&arena.good, "nothing"]);

    assert!(
        complained(&output).contains("tier 2: `compat` was asked for and needs SYS_PTRACE"),
        "{}",
        complained(&output)
    );
}

/// Runs an attack in a tier without questions: `compat`, or the one of a platform without a listener.
fn unasked(arena: &Arena, tier: u8, policy: &str, words: &[&str]) -> String {
    let limits = if tier == 3 { "" } else { "no-listener" };
    let mut command = arena.command(on(limits), Some(policy), &[&[arena.good.as_str()], words].concat());
    if tier == 3 {
        command.env("SUPERVISE_COMPAT", "1");
    }
    fs::write(arena.audits(), "").unwrap();
    said(&command.output().unwrap())
}

/// A forbidden connection or port is refused at the call in tier 4 and costs its holder's life in tier 3; both are reported
/// once. As an alert, or with the section disabled, it works.
#[test]
fn the_network_is_judged_where_nobody_is_asked() {
    let arena = Arena::new("attacker_guard");
    let denying = r#""effect":"prevent","denyListenPorts":[{"start":6667,"end":6667}],"allowAddresses""#;
    let prevent = FORBIDDING.replace(r#""effect":"prevent","allowAddresses""#, denying);
    let with = |effect: &str| prevent.replace(denying, &denying.replace("prevent", effect));
    for (way, port, reason) in
        [("tcp", "6666", "deniedPort"), ("udp", "6666", "deniedPort"), ("listen", "6667", "deniedListenPort")]
    {
        // Where only the tables tell, it must be there long enough to be found on a busy machine.
        for (tier, stopped, held) in [(3, KILLED, "5"), (4, REFUSED, "1")] {
            assert_eq!(stopped, unasked(&arena, tier, &prevent, &["socket", way, port, "60"]), "{way} in {tier}");
            assert_eq!(1, arena.reported().matches(reason).count(), "{way} in {tier}: {}", arena.reported());
            assert_eq!("0", unasked(&arena, tier, &with("alert"), &["socket", way, port, held]), "{way} in {tier}");
            assert_eq!(1, arena.reported().matches(reason).count(), "{way} in {tier}: {}", arena.reported());
            assert_eq!("0", unasked(&arena, tier, &with("disable"), &["socket", way, port, "1"]), "{way} in {tier}");
            assert_eq!(0, arena.reported().matches(reason).count(), "{}", arena.reported());
            assert_eq!("0", unasked(&arena, tier, &prevent, &["socket", way, "6668", "1"]), "{way} in {tier}");
        }
    }
    assert_eq!(REFUSED, unasked(&arena, 4, &prevent, &["socket", "send", "6666", "0"]));
    assert_eq!("0", unasked(&arena, 4, &with("alert"), &["socket", "send", "6666", "0"]));
}

/// An address that is exchanged between the look and the call gets through tier 4, and its holder is found and killed.
#[test]
fn a_raced_connection_is_found_where_nobody_is_asked() {
    let arena = Arena::new("attacker_guard");
    let disabled = FORBIDDING.replace(r#""network":{"effect":"prevent""#, r#""network":{"effect":"disable""#);

    assert_eq!("0", unasked(&arena, 4, &disabled, &["race-connect", "1"]));
    assert_eq!(KILLED, unasked(&arena, 4, FORBIDDING, &["race-connect", "60"]));
}
