//! The supervisor when it is slow, when it is killed, when there is too much, and when somebody comes in from outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stage;

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    process::Command,
};

use stage::{Arena, FORBIDDING, Place, Running, alerting, eventually, example, patience::tries, said};

fn pipe(arena: &Arena, name: &str) -> String {
    let path = arena.folder.join(name).to_string_lossy().into_owned();
    assert!(Command::new("mkfifo").args(["-m", "666", &path]).status().unwrap().success());
    path
}

fn line(running: &mut Running, reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "ended: {:?}", running.0.try_wait());
    line.trim().to_owned()
}

/// While the supervisor hangs on an audit, programs are refused or let go by effect within about two seconds, and the record
/// says so.
#[test]
fn a_supervisor_that_hangs_freezes_nobody() {
    for (policy, status) in [(FORBIDDING.to_owned(), 13), (alerting(), 77)] {
        let arena = Arena::new("attacker_guard");
        let stall = pipe(&arena, "stall");
        let mut command = arena.command(Place::default(), Some(&policy), &[&arena.good, "timed", &arena.evil]);
        command.env("SUPERVISE_STALL", &stall);

        let mut running = Running::new(command);
        let mut reader = BufReader::new(running.0.stdout.take().unwrap());
        let outcome = if policy == FORBIDDING {
            let outcome = line(&mut running, &mut reader);
            // Only now does the sink go on.
            drop(OpenOptions::new().write(true).open(&stall).unwrap());
            outcome
        } else {
            // A program whose image is loaded waits for its one tracer.
            eventually("the record", || arena.reported().contains("answeredLate").then_some(()));
            drop(OpenOptions::new().write(true).open(&stall).unwrap());
            line(&mut running, &mut reader)
        };

        assert!(outcome.starts_with(&format!("{status} ")), "{outcome}");
        assert!(policy != FORBIDDING || outcome.ends_with("true"), "{outcome}");
        eventually("the record", || arena.reported().contains("answeredLate").then_some(()));
    }
}

/// A call that comes in while the supervisor hangs on another one is answered in time, too.
#[test]
fn calls_behind_a_slow_one_do_not_wait_longer() {
    let arena = Arena::new("attacker_guard");
    let stall = pipe(&arena, "stall");
    let words = [arena.good.as_str(), "timed-connect", &arena.evil];
    let mut command = arena.command(Place::default(), Some(FORBIDDING), &words);
    command.env("SUPERVISE_STALL", &stall);
    let mut running = Running::new(command);
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());

    assert_eq!("13 true", line(&mut running, &mut reader));
    eventually("the record", || arena.reported().contains("answeredLate").then_some(()));
    drop(OpenOptions::new().write(true).open(&stall).unwrap());
}

/// A program whose file is not read at once waits until it is, and is then judged by what it holds.
#[test]
fn a_file_that_takes_long_to_read_is_read_to_its_end() {
    let sum = Command::new("sha256sum").arg("/bin/bash").output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap()[..64].to_owned();
    let other = "0".repeat(64);
    for (denied, outcome) in [(&other, "bash ran, 0"), (&sum, "137")] {
        let arena = Arena::new("attacker_guard");
        let policy = FORBIDDING.replace(r#""deny":["evil"]"#, &format!(r#""deny":["sha256:{denied}"]"#));
        assert!(policy.contains(denied.as_str()));
        let words = ["sh", "-c", "bash -c 'printf \"bash ran, \"'; echo $?"];
        let mut command = arena.command(Place::default(), Some(&policy), &words);

        let output = command.env("SUPERVISE_SLICES", "1").output().unwrap();

        assert_eq!(outcome, said(&output), "{}", arena.reported());
        assert!(!arena.reported().contains("unjudged"), "{}", arena.reported());
        assert_eq!(denied == &sum, arena.reported().contains("deniedProcess"), "{}", arena.reported());
    }
}

/// A path that is a pipe without a writer holds nobody up: it is no program.
#[test]
fn a_pipe_in_place_of_a_program_holds_nobody_up() {
    let arena = Arena::new("attacker_guard");
    let policy =
        FORBIDDING.replace(r#""allow":[],"deny":["evil"]"#, &format!(r#""allow":["{}"],"deny":[]"#, arena.good));
    let trap = pipe(&arena, "trap");
    fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();

    let output = arena.run(Place::default(), Some(&policy), &[&arena.good, "timed", &trap]);

    assert_eq!("13 true", said(&output));
    assert!(!arena.reported().contains("answeredLate"), "{}", arena.reported());
}

/// With its supervisor killed the workload runs on, and can start no program and make no connection.
#[test]
fn without_its_supervisor_a_workload_is_locked_in() {
    let arena = Arena::new("attacker_guard");
    let mut running =
        Running::new(arena.command(Place::default(), Some(FORBIDDING), &[&arena.good, "wait", &arena.good]));
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());
    let first = line(&mut running, &mut reader);
    let child = first.strip_prefix("ready ").unwrap().to_owned();

    let mut input = running.0.stdin.take().unwrap();
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    input.write_all(b"go\n").unwrap();

    let mut outcome = String::new();
    reader.read_line(&mut outcome).unwrap();
    Command::new("kill").args(["-9", &child]).status().unwrap();
    assert_eq!("38 38", outcome.trim(), "ENOSYS for both");
}

/// A Defender that stands still (a frozen group of control, say) lets nothing by: calls wait for it.
#[test]
fn a_defender_that_stands_still_lets_nothing_by() {
    let arena = Arena::new("attacker_guard");
    let words = [arena.good.as_str(), "wait", &arena.evil];
    let mut running = Running::new(arena.command(Place::default(), Some(FORBIDDING), &words));
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());
    let application = line(&mut running, &mut reader).strip_prefix("ready ").unwrap().to_owned();
    let supervisor = descendant(running.0.id(), "supervise");
    let signal = |name: &str| assert!(Command::new("kill").args([name, &supervisor]).status().unwrap().success());

    signal("-STOP");
    running.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let child = eventually("the attempt", || children(&application).pop());
    // execve has the number 59 or 221: it is in that call, and was not answered.
    eventually("the call", || {
        let call = fs::read_to_string(format!("/proc/{child}/syscall")).unwrap_or_default();
        ["59 ", "221 "].iter().any(|number| call.starts_with(number)).then_some(())
    });
    signal("-CONT");

    let outcome = line(&mut running, &mut reader);
    assert!(outcome.starts_with("13 "), "{outcome}");
}

/// A storm of refused programs is refused to the last one, and memory stays small.
#[test]
fn a_storm_of_programs_is_refused_to_the_last() {
    let arena = Arena::new("attacker_guard");
    let times = tries(3000).to_string();

    assert_eq!(
        times,
        said(&arena.run(Place::default(), Some(FORBIDDING), &[&arena.good, "many", &arena.evil, &times]))
    );
}

/// A process that comes into the container from outside is reported with its command line, and its programs are judged.
#[test]
fn a_process_from_outside_is_reported_and_watched() {
    let arena = Arena::new("attacker_guard");
    let place = Place { first: true, trace: true, ..Place::default() };
    let mut running = Running::new(arena.command(place, Some(FORBIDDING), &[&arena.good, "wait", &arena.good]));
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());
    line(&mut running, &mut reader);
    let supervisor = descendant(running.0.id(), "supervise");

    let shell = format!("read line; {0} nothing; echo $?; {1} nothing; echo $?", arena.good, arena.evil);
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &supervisor, "--pid", "--mount", "sh", "-c", &shell, "from-outside"]);
    let mut outsider = Running::new(enter);
    let mut said_outside = BufReader::new(outsider.0.stdout.take().unwrap());
    eventually("the report", || arena.reported().contains("from-outside").then_some(()));
    eventually("the trace", || is_traced(&descendant(outsider.0.id(), "sh")).then_some(()));
    outsider.0.stdin.take().unwrap().write_all(b"go\n").unwrap();

    assert_eq!(
        ("0", "137"),
        (line(&mut outsider, &mut said_outside).as_str(), line(&mut outsider, &mut said_outside).as_str())
    );
    let reported = arena.reported();
    assert!(reported.contains("injectedProcess") && reported.contains("deniedProcess"), "{reported}");
}

/// The nearest process at or below `process` with this name.
fn descendant(process: u32, name: &str) -> String {
    let mut generation = vec![process.to_string()];
    eventually("the process", || {
        let named = |id: &String| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name);
        if let Some(found) = generation.iter().find(|id| named(id)) {
            return Some(found.clone());
        }
        generation = generation.iter().flat_map(|id| children(id)).collect();
        if generation.is_empty() {
            generation = vec![process.to_string()];
        }
        None
    })
}

fn children(process: &str) -> Vec<String> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

fn is_traced(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

/// What comes in from outside for a third of a second is found nearly every time.
#[test]
fn a_short_visit_from_outside_is_reported() {
    let arena = Arena::new("attacker_guard");
    let place = Place { first: true, trace: true, ..Place::default() };
    let mut running = Running::new(arena.command(place, Some(FORBIDDING), &[&arena.good, "wait", &arena.good]));
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());
    line(&mut running, &mut reader);
    let supervisor = descendant(running.0.id(), "supervise");

    let found = (0..8).filter(|_| {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &supervisor, "--pid", "--mount", "timeout", "0.3", "tail", "-f", "/dev/null"]);
        let before = arena.reported().matches("injectedProcess").count();
        enter.status().unwrap();
        arena.reported().matches("injectedProcess").count() > before
    });

    let found = found.count();
    assert!(found >= 6, "{found} of 8: {}", arena.reported());
}

/// Without anybody from outside nothing is reported as such.
#[test]
fn the_workloads_own_processes_are_not_taken_for_strangers() {
    for first in [true, false] {
        let arena = Arena::new("attacker_guard");
        let place = Place { first, trace: true, ..Place::default() };
        let script = "for i in 1 2 3 4 5 6; do (sleep 0.5 &); sleep 0.4; done";

        arena.run(place, Some(&alerting()), &["sh", "-c", script]);

        assert!(!arena.reported().contains("injectedProcess"), "{}", arena.reported());
    }
}

/// The example is what the tests believe it to be: without stall, nothing is answered late.
#[test]
fn a_supervisor_that_keeps_up_is_left_alone() {
    let arena = Arena::new("attacker_guard");

    assert_eq!("13 true", said(&arena.run(Place::default(), Some(FORBIDDING), &[&arena.good, "timed", &arena.evil])));
    assert!(!arena.reported().contains("answeredLate"));
    assert!(example("supervise").exists());
}
