//! What the first process of a container owes to those in it: exit codes, signals, orphans, the terminal, a quick end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stage;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Command,
    time::{Duration, Instant},
};

use defender_sys::signals;
use stage::{Arena, FORBIDDING, Place, Running, eventually, example, patience::patient, said};

fn places() -> [Place; 2] {
    [Place { first: true, ..Place::default() }, Place::default()]
}

/// The application's exit code is passed on, and a signal that killed it as 128 more.
#[test]
fn exit_codes_are_passed_on() {
    let arena = Arena::new("attacker_guard");
    for place in places() {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
            let output = arena.run(place, Some(FORBIDDING), &["sh", "-c", script]);
            assert_eq!(Some(code), output.status.code(), "{script} {place:?}");
        }
        assert_eq!(Some(127), arena.run(place, Some(FORBIDDING), &["/nowhere"]).status.code());
        assert_eq!(Some(126), arena.run(place, Some(FORBIDDING), &["/etc/passwd"]).status.code());
    }
}

/// The Defender ends with its application, whose background processes do not hold it up.
#[test]
fn the_end_of_the_application_is_the_end() {
    let arena = Arena::new("attacker_guard");
    let start = Instant::now();

    let output = arena.run(places()[0], Some(FORBIDDING), &["sh", "-c", "sleep 60 >/dev/null 2>&1 & exit 5"]);

    assert_eq!(Some(5), output.status.code());
    assert!(start.elapsed() < patient(Duration::from_secs(20)));
}

/// Orphans become the Defender's children and are reaped: a daemon's intermediate processes leave no zombie.
#[test]
fn orphans_are_reaped() {
    let arena = Arena::new("attacker_guard");
    // Each inner shell forks and ends before its child does, as a daemon's parent would.
    let script = "for i in 1 2 3 4 5 6 7 8; do sh -c 'sh -c \"exit 0\" & exit 0'; done; sleep 0.2; \
                  grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l; cat /proc/$(sh -c 'sleep 1 >/dev/null & echo $!')/stat | cut -d' ' -f4";

    let output = arena.run(places()[0], Some(FORBIDDING), &["sh", "-c", script]);

    assert_eq!("0\n1", said(&output));
}

fn supervisor_of(running: &Running) -> i32 {
    let mut at = running.0.id();
    eventually("the supervisor", || {
        let name = fs::read_to_string(format!("/proc/{at}/comm")).unwrap_or_default();
        if name.trim() == "supervise" {
            return Some(at as i32);
        }
        let children = fs::read_to_string(format!("/proc/{at}/task/{at}/children")).unwrap_or_default();
        at = children.split_whitespace().next().and_then(|id| id.parse().ok()).unwrap_or(running.0.id());
        None
    })
}

/// Signals from outside reach the application: it ends with its own code as soon as it is told to, as `docker stop` wants.
#[test]
fn signals_are_passed_on_and_end_quickly() {
    let arena = Arena::new("attacker_guard");
    for place in places() {
        for (name, number, code) in [("TERM", 15, 5), ("INT", 2, 5), ("HUP", 1, 5), ("USR1", 10, 5), ("WINCH", 28, 5)] {
            let script = format!("trap 'exit {code}' {name}; echo ready; while :; do read line; done");
            let mut running = Running::new(arena.command(place, Some(FORBIDDING), &["sh", "-c", &script]));
            let mut reader = BufReader::new(running.0.stdout.take().unwrap());
            reader.read_line(&mut String::new()).unwrap();

            signals::send(supervisor_of(&running), number).unwrap();

            let start = Instant::now();
            assert_eq!(Some(code), running.0.wait().unwrap().code(), "{name} {place:?}");
            assert!(start.elapsed() < patient(Duration::from_secs(5)), "{name}");
        }
    }
}

/// An application that ignores SIGTERM does not end before it is killed, like without us.
#[test]
fn ignored_signals_stay_ignored() {
    let arena = Arena::new("attacker_guard");
    let script = "trap '' TERM; echo ready; read line; exit 3";
    let mut running = Running::new(arena.command(places()[1], Some(FORBIDDING), &["sh", "-c", script]));
    let mut input = running.0.stdin.take().unwrap();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();

    signals::send(supervisor_of(&running), 15).unwrap();
    std::io::Write::write_all(&mut input, b"\n").unwrap();

    assert_eq!(Some(3), running.0.wait().unwrap().code());
}

/// On a terminal the application is in the foreground: it can read, and an interruption from the keyboard reaches it.
#[test]
fn a_terminal_belongs_to_the_application() {
    let arena = Arena::new("attacker_guard");
    fs::write(arena.folder.join("policy.json"), FORBIDDING).unwrap();
    let shell = "trap 'echo interrupted; exit 4' INT; read line; echo got $line; while :; do sleep 0.1; done";
    fs::write(arena.folder.join("shell"), shell).unwrap();
    let session = format!(
        "import os,pty,sys,select\npid,fd=pty.fork()\nif pid==0:\n os.execv('{0}',['{0}','policy.json','sh','shell'])\n\
         os.write(fd,b'hello\\n')\nout=b''\nwhile b'got hello' not in out: out+=os.read(fd,1000)\nos.write(fd,b'\\x03')\n\
         try:\n  while True:\n    more=os.read(fd,1000)\n    if not more: break\n    out+=more\nexcept OSError: pass\n\
         print(b'interrupted' in out, os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))\n",
        example("supervise").display()
    );

    let output = Command::new("env")
        .args(["--default-signal", "python3", "-c", &session])
        .current_dir(&arena.folder)
        .output()
        .unwrap();

    assert_eq!("True 4", said(&output), "{}", stage::complained(&output));
}

/// A program that insists on being process 1 is told the truth: it is not, and says so itself.
#[test]
fn an_init_that_insists_on_process_one_sees_its_own_id() {
    let arena = Arena::new("attacker_guard");
    let output = arena.run(places()[0], Some(FORBIDDING), &["sh", "-c", "test $$ = 1 || exit 100"]);

    assert_eq!(Some(100), output.status.code());
}
