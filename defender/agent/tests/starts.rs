//! Ways of starting a program: none goes round the judge, and none that works without the Defender fails with it.
#![allow(clippy::unwrap_used)] // a test fails by panicking
mod arena;

use std::{fs, os::unix::fs::PermissionsExt};

use arena::{Arena, KILLED, LOADER, RAN, REFUSED, content_of, denying, detecting, effects_of, example};
use serde_json::Value;

#[test]
fn the_dynamic_loader_does_not_hide_a_denied_program() {
    let arena = Arena::new("loaded");
    let line = [&arena.good, "start", LOADER, "--argv0", "innocent", "/bin/sh", "-c", "exit 77"];

    for entry in ["sh", "/bin/sh", "/usr/bin/dash"] {
        assert_eq!(REFUSED, arena.run(&denying(entry, "prevent"), &line).0, "{entry}");
        let (said, audits) = arena.run(&denying(entry, "alert"), &line);
        assert_eq!((RAN, vec!["alert"]), (said.as_str(), effects_of(&audits, "deniedProcess")), "{entry}");
    }
}

#[test]
fn a_denied_content_does_not_run_under_any_name() {
    let arena = Arena::new("content");
    let renamed = arena.program("renamed");
    let entry = content_of(&renamed);
    let attack = [&arena.good, "start", &renamed, "ran"];

    let (said, audits) = arena.run(&denying(&entry, "prevent"), &attack);
    assert_eq!((REFUSED, vec!["prevent"]), (said.as_str(), effects_of(&audits, "deniedProcess")));
    assert_eq!(RAN, arena.run(&denying(&entry, "alert"), &attack).0);
    assert_eq!(REFUSED, arena.run(&denying(&entry, "prevent"), &[&arena.good, "memory", &renamed]).0);
}

#[test]
fn other_names_and_modes_do_not_hide_a_denied_program() {
    let arena = Arena::new("names");
    for (way, rest) in [("unreadable", vec![]), ("leaderless", vec![])] {
        let evil = arena.program("evil");
        let attack = [vec![arena.good.as_str(), way, &evil], rest].concat();

        assert_eq!(RAN, arena.run(&denying("evil", "alert"), &attack).0, "{way}");
        assert_eq!(REFUSED, arena.run(&denying("evil", "prevent"), &attack).0, "{way}");
        fs::remove_file(&evil).unwrap();
    }
}

#[test]
fn a_hard_link_is_another_name_that_only_contents_see_through() {
    let arena = Arena::new("hard");
    let evil = arena.program("evil");
    let link = arena.folder.join("innocent").to_string_lossy().into_owned();
    let attack = [&arena.good, "linked", &evil, &link];
    let by_content = content_of(&evil);

    assert_eq!(RAN, arena.run(&denying("evil", "prevent"), &attack).0);
    assert_eq!(REFUSED, arena.run(&denying(&by_content, "prevent"), &attack).0);
    assert_eq!(REFUSED, arena.run(&detecting("newBinary", "prevent"), &attack).0);
}

#[test]
fn many_starts_at_once_are_all_judged() {
    let arena = Arena::new("parallel");
    let evil = arena.program("evil");

    let (said, audits) = arena.run(&denying("evil", "prevent"), &[&arena.good, "parallel", &evil]);
    // On a very slow machine some are refused unjudged, and that is recorded.
    let late = audits.iter().filter(|audit| audit["event"]["notice"] == "answeredLate");
    let late: usize = late.map(|audit| audit["event"]["count"].as_u64().unwrap() as usize).sum();
    assert_eq!(("0", 32), (said.as_str(), effects_of(&audits, "deniedProcess").len() + late), "{audits:?}");
    assert_eq!("32", arena.run(&denying("evil", "alert"), &[&arena.good, "parallel", &evil]).0);
}

#[test]
fn a_script_between_a_script_and_its_interpreter_is_judged() {
    let arena = Arena::new("chain");
    let inner = arena.script("inner", "/bin/sh");
    let outer = arena.script("outer", &inner);
    let attack = [&arena.good, "start", &outer];

    assert_eq!(RAN, arena.run(&denying(&inner, "alert"), &attack).0);
    let (said, audits) = arena.run(&denying(&inner, "prevent"), &attack);
    assert_eq!((KILLED, vec!["prevent"]), (said.as_str(), effects_of(&audits, "deniedProcess")));
}

#[test]
fn what_the_kernel_would_refuse_fails_as_it_would_alone() {
    let arena = Arena::new("refused");
    let (nonsense, plain) = (arena.folder.join("nonsense"), arena.folder.join("plain"));
    for (path, mode) in [(&nonsense, 0o755), (&plain, 0o644)] {
        fs::write(path, "\x01\x02").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let folder = arena.folder.to_string_lossy().into_owned();
    let beneath = format!("{}/x", nonsense.display());
    let (nonsense, plain) = (nonsense.to_string_lossy().into_owned(), plain.to_string_lossy().into_owned());

    // ENOEXEC, EACCES twice, ENOENT, ENOTDIR.
    for (path, errno) in [(&*nonsense, "8"), (&plain, "13"), (&folder, "13"), ("/nothing/here", "2"), (&beneath, "20")]
    {
        let (said, audits) = arena.run(&denying("evil", "prevent"), &[&arena.good, "start", path, "ran"]);
        assert_eq!((errno, 0), (said.as_str(), audits.len()), "{path}");
    }
}

#[test]
fn a_name_along_path_is_found_and_judged() {
    let arena = Arena::new("path");
    let evil = arena.program("evil");
    let search = |effect| {
        let line = format!("PATH=/nothing:/usr/bin:{}; evil ran; echo $?", arena.folder.display());
        arena.run(&denying("evil", effect), &["/bin/sh", "-c", &line]).0
    };

    assert_eq!([RAN, "126"], ["alert", "prevent"].map(search).each_ref().map(String::as_str), "{evil}");
}

#[test]
fn exchanging_a_link_after_the_check_hides_no_fact() {
    let arena = Arena::new("race");
    let (good, evil) = (arena.program("innocent"), arena.folder.join("evil").to_string_lossy().into_owned());
    for path in [&good, &evil] {
        fs::copy(example("attacker"), path).unwrap();
    }
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o4755)).unwrap();
    let race = |effect, tries| arena.run(&detecting("setuidUse", effect), &[&good, "race-link", &good, &evil, tries]).0;

    assert_ne!("0", race("alert", "200"), "the race must be a real one");
    assert_eq!("0", race("prevent", "600"));
}

#[test]
fn a_start_under_a_debugger_is_denied_where_it_cannot_be_judged() {
    let arena = Arena::new("launch");
    let attack = [&arena.good, "launch", &arena.good];
    let told = |audits: &[Value]| audits.iter().filter(|audit| audit["event"]["notice"] == "notEnforcing").count();

    let (said, audits) = arena.run(&denying("evil", "alert"), &attack);
    assert_eq!((RAN, 1), (said.as_str(), told(&audits)));
    let (said, audits) = arena.run(&denying("evil", "prevent"), &attack);
    assert_eq!((REFUSED, 1), (said.as_str(), told(&audits)));
    assert_eq!((RAN.to_owned(), vec![]), arena.run(&denying("evil", "disable"), &attack));
}

#[test]
fn a_debugger_may_attach_to_a_running_program() {
    let arena = Arena::new("attach");

    assert_eq!("seen", arena.run(&denying("evil", "prevent"), &[&arena.good, "attach"]).0);
}

/// A call that waits in the kernel's queue can still be interrupted before the supervisor takes it; once taken it cannot be
/// (`WAIT_KILLABLE_RECV`). Each of 400 starts gets one signal, at all moments around the call and the stop.
#[test]
fn a_signal_at_any_moment_leaves_no_start_undone() {
    let arena = Arena::new("storm");

    for effect in ["alert", "prevent"] {
        let (undone, audits) = arena.run(&denying("evil", effect), &[&arena.good, "storm", &arena.good]);
        assert_eq!(("0", 0), (undone.as_str(), audits.len()), "{effect}");
    }
}

#[test]
fn an_audit_tells_who_led_to_it() {
    let arena = Arena::new("ancestry");
    let evil = arena.program("evil");

    let (_, audits) = arena.run(&denying("evil", "alert"), &[&arena.good, "start", &evil, "ran"]);

    let paths: Vec<&str> =
        audits[0]["ancestry"].as_array().unwrap().iter().filter_map(|one| one["path"].as_str()).collect();
    assert_eq!(vec![arena.good.as_str()], paths);
}
