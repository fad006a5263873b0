//! Attacks on the Defender itself: the table of the threat model, as the first process and not, as root and as user 1000,
//! with and without `SYS_PTRACE`. Each attack is also made on an ordinary parent, where it must work.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stage;

use std::{fs, os::unix::process::ExitStatusExt, process::Output};

use stage::{Arena, FORBIDDING, Place, Running, eventually, example, said};

const SURVIVED: Option<i32> = Some(42);

fn places() -> impl Iterator<Item = Place> {
    (0..8).map(|bits| Place { first: bits & 1 != 0, user: bits & 2 != 0, trace: bits & 4 != 0, limits: "" })
}

/// The attack on an ordinary parent, which nothing defends.
fn undefended(arena: &Arena, place: Place, attack: &[&str]) -> Output {
    let words = [&[arena.good.as_str(), "victim", arena.good.as_str()], attack].concat();
    arena.run(place, None, &words)
}

fn defended(arena: &Arena, place: Place, attack: &[&str]) -> Output {
    arena.run(place, Some(FORBIDDING), &[&[arena.good.as_str()], attack].concat())
}

/// What an attacker achieved, in words that can be compared.
fn outcome(output: &Output) -> String {
    // `unshare` passes a death by signal on as exit code.
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) | (_, Some(137)) => "killed".into(),
        (None, Some(42)) if said(output).is_empty() => "nothing".into(),
        _ => format!("{:?} {}", output.status.code(), said(output)),
    }
}

/// Nothing that reaches into the Defender works, wherever it runs; root may write its score for the out-of-memory killer.
#[test]
fn the_defender_is_closed_in_every_place() {
    let arena = Arena::new("attacker_protection");
    for place in places() {
        let plain = said(&undefended(&arena, place, &["harmless"]));
        let guarded = said(&defended(&arena, place, &["harmless"]));

        let score = if place.user { "" } else { "score" };
        assert_eq!(score, guarded, "{place:?}");
        for attack in ["memory-write", "memory-file", "environment", "maps", "descriptors", "handle", "limits"] {
            assert!(plain.contains(attack), "{attack} must work on an ordinary parent in {place:?}: {plain}");
        }
        for attack in ["trace", "threads", "scheduler", "affinity", "priority", "io-priority", "score", "listener"] {
            assert!(plain.contains(attack), "{attack} must work on an ordinary parent in {place:?}: {plain}");
        }
    }
    let reported = arena.reported();
    for call in ["ptrace", "process_vm_writev", "prlimit64", "sched_setscheduler", "pidfd_open", "tkill"] {
        assert!(reported.contains(&format!(r#""matched":"{call}""#)), "{call} is not reported");
    }
}

/// No signal ends or stops the Defender, on whatever way it is sent.
#[test]
fn no_signal_reaches_the_defender() {
    let arena = Arena::new("attacker_protection");
    let ways = [
        "kill",
        "stop",
        "kill-thread",
        "kill-threads",
        "stop-threads",
        "kill-old",
        "kill-group",
        "kill-own-group",
        "kill-by-handle",
        "kill-by-folder",
        "kill-by-queue",
        "kill-by-io",
        "stop-by-io",
    ];
    for place in places() {
        for way in ways {
            assert_eq!("nothing", outcome(&defended(&arena, place, &[way])), "{way} {place:?}");
        }
    }
    for way in ways {
        let place = Place { first: false, user: true, trace: false, limits: "" };
        assert_ne!("nothing", outcome(&undefended(&arena, place, &[way])), "{way} must work on an ordinary parent");
    }
}

/// Without `SYS_PTRACE` the Defender takes on the ids of a worker that gave up root to look at it. The worker gains nothing.
#[test]
fn a_worker_cannot_use_the_moment_in_which_it_is_looked_at() {
    let arena = Arena::new("attacker_protection");
    let ways = ["kill", "stop", "kill-thread", "kill-by-handle", "kill-by-queue", "kill-by-io"];
    for first in [true, false] {
        let place = Place { first, ..Place::default() };
        assert_eq!("", said(&defended(&arena, place, &["worker", "harmless"])), "{place:?}");
        for way in ways {
            assert_eq!("nothing", outcome(&defended(&arena, place, &["worker", way])), "{way} {place:?}");
        }
    }
    let reported = arena.reported();
    assert!(reported.contains("deniedPort"), "it was not looked at: {reported}");
    assert!(!reported.contains("unjudged"), "{reported}");
    // An ordinary parent that has the worker's ids can be attacked.
    let place = Place { user: true, ..Place::default() };
    assert!(said(&undefended(&arena, place, &["worker", "harmless"])).contains("memory-write"));
    for way in ways {
        assert_ne!("nothing", outcome(&undefended(&arena, place, &["worker", way])), "{way}");
    }
}

/// A signal to everybody does not end a Defender that is not the first process. It is tried in a namespace of its own.
#[test]
fn a_signal_to_everybody_spares_the_defender() {
    let arena = Arena::new("attacker_protection");
    let place = Place { first: true, ..Place::default() };
    // A shell is the first process, and the Defender its child.
    let policy = arena.folder.join("policy.json");
    let guarded = format!("{} {} {} kill-all; echo $?", example("supervise").display(), policy.display(), arena.good);
    fs::write(&policy, FORBIDDING).unwrap();
    let plain = format!("{0} victim {0} kill-all; echo $?", arena.good);

    assert_eq!("42", said(&arena.run(place, None, &["sh", "-c", &guarded])));
    assert_eq!("137", said(&arena.run(place, None, &["sh", "-c", &plain])));
}

/// An application that ends its container with a signal to process 1 can still do so; the Defender passes it on.
#[test]
fn signals_to_the_first_process_reach_the_application() {
    let arena = Arena::new("attacker_protection");
    let place = Place { first: true, ..Place::default() };
    let script = "trap 'echo told; exit 3' TERM; kill -0 1 && kill -TERM 1; while :; do :; done";

    let output = arena.run(place, Some(FORBIDDING), &["sh", "-c", script]);

    assert_eq!((Some(3), "told".to_owned()), (output.status.code(), said(&output)));
    assert!(!arena.reported().contains("tampering"), "{}", arena.reported());
}

/// The workload has `CAP_SYS_PTRACE` in no set, whatever the container was given.
#[test]
fn the_workload_cannot_trace_with_privilege() {
    let arena = Arena::new("attacker_protection");
    let place = Place { trace: true, ..Place::default() };

    assert_eq!("false", said(&defended(&arena, place, &["capability"])));
    assert_eq!("true", said(&undefended(&arena, place, &["capability"])));
}

/// Being made the first to be killed when memory runs out is noticed within a second or two, undone and reported.
#[test]
fn the_score_for_the_memory_killer_is_set_back() {
    let arena = Arena::new("attacker_protection");

    assert_eq!("true true true", said(&defended(&arena, Place::default(), &["score"])));
    assert!(arena.reported().contains(r#""matched":"oom_score_adj""#), "{}", arena.reported());
    assert_eq!("true true false", said(&undefended(&arena, Place::default(), &["score"])));
}

/// Hundreds of connects that wait use up no descriptor that judging needs, even where few are allowed.
#[test]
fn filling_the_defenders_descriptors_blinds_nobody() {
    let arena = Arena::new("attacker_protection");
    let command = format!(
        "ulimit -Sn 128; exec {} policy.json {1} fill {1} {2}",
        example("supervise").display(),
        arena.good,
        arena.evil
    );
    fs::write(arena.folder.join("policy.json"), FORBIDDING).unwrap();

    let output = arena.run(Place { trace: true, ..Place::default() }, None, &["sh", "-c", &command]);

    assert_eq!("0 13", said(&output), "{}", stage::complained(&output));
}

/// The application keeps the limit on descriptors that it was started with.
#[test]
fn the_application_keeps_its_limits() {
    let arena = Arena::new("attacker_protection");
    let command = format!("ulimit -Sn 128; exec {} policy.json sh -c 'ulimit -Sn'", example("supervise").display());
    fs::write(arena.folder.join("policy.json"), FORBIDDING).unwrap();

    assert_eq!("128", said(&arena.run(Place::default(), None, &["sh", "-c", &command])));
}

/// Replacing the Defender's program file, to be started in its place next time, is reported.
#[test]
fn replacing_the_program_file_is_reported() {
    let arena = Arena::new("attacker_protection");
    let copy = arena.folder.join("defender");
    fs::copy(example("supervise"), &copy).unwrap();
    let policy = arena.folder.join("policy.json");
    fs::write(&policy, FORBIDDING).unwrap();
    let (copy, policy) = (copy.to_string_lossy().into_owned(), policy.to_string_lossy().into_owned());

    let words = [copy.as_str(), &policy, &arena.good, "replace", &copy];
    let _running = Running::new(arena.command(Place::default(), None, &words));

    eventually("the report", || arena.reported().contains(r#""matched":"program""#).then_some(()));
}

/// A Defender whose program file is deleted goes on as it was, and reports that.
#[test]
fn without_its_program_file_the_defender_goes_on() {
    let arena = Arena::new("attacker_protection");
    let copy = arena.folder.join("defender");
    fs::copy(example("supervise"), &copy).unwrap();
    fs::write(arena.folder.join("policy.json"), FORBIDDING).unwrap();
    let script = format!(
        "rm {}; {} exec {}; echo $?; until grep -q program audits.jsonl; do :; done; echo told",
        copy.display(),
        arena.good,
        arena.evil
    );
    let words = [copy.to_str().unwrap(), "policy.json", "timeout", "20", "sh", "-c", &script];

    assert_eq!("13\ntold", said(&arena.run(Place::default(), None, &words)));
    assert!(arena.reported().contains("was changed or replaced"), "{}", arena.reported());
}

/// Variables that make the dynamic loader run other code have no effect on the Defender, which has no loader.
#[test]
fn variables_of_the_loader_do_not_reach_the_defender() {
    let arena = Arena::new("attacker_protection");
    let loads = |policy, words: &[&str]| {
        let mut command = arena.command(Place::default(), policy, words);
        // Set for what is behind it alone, which the loader then complains of.
        let name = "LD_PRELOAD=/nowhere.so";
        let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let at = words.iter().position(|word| word == "--inh-caps").unwrap() + 2;
        let mut changed = std::process::Command::new(command.get_program());
        changed.args(&words[..at]).arg("env").arg(name).args(&words[at..]).current_dir(&arena.folder);
        command = changed;
        let output = command.env("SUPERVISE_AUDITS", arena.audits()).output().unwrap();
        (output.status.code(), stage::complained(&output).contains("/nowhere.so"))
    };

    assert_eq!((Some(0), true), loads(None, &["true"]), "an ordinary program loads what it is told to");
    assert_eq!((Some(0), false), loads(Some(FORBIDDING), &[&arena.good, "nothing"]));
}

/// A workload that uses up its processes cannot keep the Defender from deciding: all that it needs is there before.
#[test]
fn a_fork_bomb_leaves_the_defender_deciding() {
    let arena = Arena::new("attacker_protection");
    fs::write(arena.folder.join("policy.json"), FORBIDDING).unwrap();
    // A user of its own, for the limit is on all processes of a user.
    let command = format!(
        "chmod 666 policy.json audits.jsonl; exec prlimit --nproc=60 setpriv --reuid 54321 --regid 54321 --clear-groups \
         {} policy.json {} bomb /bin/true {}",
        example("supervise").display(),
        arena.good,
        arena.evil
    );

    let output = arena.run(Place::default(), None, &["sh", "-c", &command]);

    assert_eq!("true 0 13", said(&output), "{}", stage::complained(&output));
}

/// Huge arguments and variables, thousands of long names, deep families and long rows of links leave the Defender small.
#[test]
fn a_workload_cannot_fill_the_defenders_memory() {
    let arena = Arena::new("attacker_protection");

    assert_eq!("3032 small", said(&defended(&arena, Place::default(), &["gorge", &arena.evil])));
}

/// A connection of the Defender is not cut by the workload, which has not the capability for it; with it, it could.
#[test]
fn connections_cannot_be_destroyed_without_the_capability() {
    let arena = Arena::new("attacker_protection");
    let script = "exec 3<>/dev/tcp/127.0.0.1/$1 4<&3; ss -K dport = $1 >/dev/null 2>&1; echo x >&3 && echo alive";
    let listener = "import socket,subprocess,sys; s=socket.create_server(('127.0.0.1',0)); \
                    print(subprocess.run([*sys.argv[1:], str(s.getsockname()[1])], capture_output=True, text=True).stdout)";
    let cut = |capabilities: &str| {
        let shell = ["setpriv", "--bounding-set", capabilities, "bash", "-c", script, "bash"];
        said(&arena.run(Place::default(), None, &[&["python3", "-c", listener], shell.as_slice()].concat()))
    };

    assert_eq!(("alive".to_owned(), String::new()), (cut("-net_admin"), cut("+net_admin")));
}

/// Where the workload has no right to mount, it cannot take the Defender's view of processes away.
#[test]
fn the_workload_cannot_unmount_what_the_defender_reads() {
    let arena = Arena::new("attacker_protection");
    let place = Place { first: true, ..Place::default() };

    assert_eq!("-1", said(&defended(&arena, place, &["umount"])));
}

/// An attacker that survives is told apart from one that does not.
#[test]
fn outcomes_are_what_they_seem() {
    let arena = Arena::new("attacker_protection");
    let place = Place { user: true, ..Place::default() };

    assert_eq!("killed", outcome(&undefended(&arena, place, &["kill"])));
    assert_eq!(SURVIVED, defended(&arena, place, &["kill"]).status.code());
}
