//! Attacks on the Defender from inside the workload, with the real supervisor on real processes.
//!
//! Each attack would succeed without the defence that it tests: the same attacker is tried first under a policy that only
//! alerts, where that is not plain from the attack itself.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const FORBIDDING: &str = r#"{"version":1,"revision":1,"rule":"attack",
    "processes":{"effect":"prevent","allow":[],"deny":["evil"]},
    "dns":{"effect":"prevent","allow":[],"deny":[]},
    "network":{"effect":"prevent","allowAddresses":[],"denyAddresses":[],"allowPorts":[],"denyPorts":[{"start":6666,"end":6666}]}}"#;
const EVIL_RAN: &str = "77";
/// EACCES, as exit status of an attacker whose execve was refused.
const REFUSED: &str = "13";

struct Arena {
    folder: PathBuf,
    good: String,
    evil: String,
}

impl Arena {
    /// A folder with two programs: the attacker itself as `good`, and a copy of it as `evil`.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("defender-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let place = |file: &str| {
            let path = folder.join(file);
            fs::copy(example("attacker"), &path).unwrap();
            path.to_string_lossy().into_owned()
        };
        Self { good: place("good"), evil: place("evil"), folder: folder.clone() }
    }

    fn run(&self, policy: &str, attack: &[&str]) -> Output {
        let file = self.folder.join("policy.json");
        fs::write(&file, policy).unwrap();
        // A network namespace of its own, and no more of root's capabilities than a container gives.
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        command.args(["setpriv", "--bounding-set", "-sys_admin,-perfmon"]);
        command.arg(example("supervise")).arg(&file).arg(&self.good).args(attack);
        let output = command.current_dir(&self.folder).env("SUPERVISE_AUDITS", self.audits()).output().unwrap();
        assert_ne!(Some(64), output.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What the attack printed under a policy that forbids the program `evil` and port 6666.
    fn attack(&self, attack: &[&str]) -> String {
        said(&self.run(FORBIDDING, attack))
    }

    /// What it printed under the same policy as an alert.
    fn unhindered(&self, attack: &[&str]) -> String {
        said(&self.run(&FORBIDDING.replace("prevent", "alert"), attack))
    }

    fn audits(&self) -> PathBuf {
        self.folder.join("audits.jsonl")
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Examples are built beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

#[test]
fn a_denied_program_is_refused_and_reported() {
    let arena = Arena::new("exec");

    assert_eq!(Some(13), arena.run(FORBIDDING, &["exec", &arena.evil]).status.code());
    assert!(fs::read_to_string(arena.audits()).unwrap().contains("deniedProcess"));
    assert_eq!(Some(77), arena.run(&FORBIDDING.replace("prevent", "alert"), &["exec", &arena.evil]).status.code());
}

#[test]
fn flipping_the_path_after_the_check_starts_nothing() {
    let arena = Arena::new("buffer");

    assert_ne!("0", arena.unhindered(&["race-buffer", &arena.good, &arena.evil, "200"]), "the race must be a real one");
    assert_eq!("0", arena.attack(&["race-buffer", &arena.good, &arena.evil, "600"]));
}

#[test]
fn exchanging_a_link_after_the_check_starts_nothing() {
    let arena = Arena::new("link");

    assert_ne!("0", arena.unhindered(&["race-link", &arena.good, &arena.evil, "200"]), "the race must be a real one");
    assert_eq!("0", arena.attack(&["race-link", &arena.good, &arena.evil, "600"]));
}

#[test]
fn a_script_does_not_smuggle_its_interpreter_in() {
    let arena = Arena::new("script");
    let script = arena.folder.join("innocent");
    fs::write(&script, format!("#!{}\n", arena.evil)).unwrap();
    Command::new("chmod").arg("755").arg(&script).status().unwrap();

    assert_eq!(Some(137), arena.run(FORBIDDING, &["exec", &script.to_string_lossy()]).status.code());
}

#[test]
fn no_way_of_starting_a_program_goes_round_the_judge() {
    let arena = Arena::new("ways");
    for (way, stopped) in [("vfork", "1"), ("thread", REFUSED), ("untraced", REFUSED), ("memfd", "1")] {
        assert_eq!(EVIL_RAN, arena.unhindered(&[way, &arena.evil]), "{way} must work when it is only reported");
        assert_eq!(stopped, arena.attack(&[way, &arena.evil]), "{way}");
    }
}

#[test]
fn foreign_tables_and_rings_do_not_exist() {
    let arena = Arena::new("tables");

    assert_eq!("-38", arena.attack(&["foreign"]));
    assert_eq!("38", arena.attack(&["uring"]));
}

#[test]
fn flipping_the_address_after_the_check_reaches_nothing() {
    let arena = Arena::new("address");

    assert_ne!("0", arena.unhindered(&["race-address", "1000"]), "the race must be a real one");
    assert_eq!("0", arena.attack(&["race-address", "3000"]));
}

#[test]
fn a_forbidden_message_among_many_is_not_sent() {
    let arena = Arena::new("many");

    assert_eq!("1", arena.attack(&["many", "6666"]));
    assert_eq!("2", arena.attack(&["many", "6667"]));
}

#[test]
fn fast_open_sends_nothing_unjudged() {
    assert_eq!("95", Arena::new("fastopen").attack(&["fastopen", "6666"]));
}

#[test]
fn the_defender_cannot_be_reached_into() {
    assert_eq!("worked:", Arena::new("defender").attack(&["defender"]));
}

#[test]
fn a_connection_that_waits_makes_nobody_else_wait() {
    let arena = Arena::new("waiting");

    assert_eq!("0", arena.attack(&["waiting", &arena.good]));
}

#[test]
fn local_sockets_keep_the_callers_credentials() {
    assert_eq!("true", Arena::new("credentials").attack(&["credentials"]));
}

#[test]
fn another_root_does_not_make_another_program_an_allowed_one() {
    let arena = Arena::new("chroot");
    let allowing =
        FORBIDDING.replace(r#""allow":[],"deny":["evil"]"#, &format!(r#""allow":["{}"],"deny":[]"#, arena.good));
    let attack = ["chroot", &arena.good, &arena.evil];

    assert_eq!("0", said(&arena.run(&allowing.replace("prevent", "alert"), &attack)), "the program must be a real one");
    assert_eq!("137", said(&arena.run(&allowing, &attack)));
}
