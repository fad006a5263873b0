//! The application as process 1, where it insists on that.
use std::process::{Command, Output};

use super::stage::{Arena, FORBIDDING, Place, alerting, complained, example, said};

/// Names the Defender, a child of process 1, by its process id.
const DEFENDER: &str = "basename $(dirname $(grep -l supervise /proc/[2-9]*/comm /proc/[1-9][0-9]*/comm))";

fn kept(arena: &Arena, place: Place, policy: &str, tier: u8, words: &[&str]) -> Output {
    let mut command = arena.command(Place { first: true, ..place }, Some(policy), words);
    if tier == 3 {
        command.env("SUPERVISE_COMPAT", "1");
    }
    command.env("SUPERVISE_KEEP", "1").output().unwrap()
}

/// `unshare` tells the death of its child by one of three exit codes; the Defender says why.
fn ended_its_container(output: &Output) -> bool {
    !output.status.success() && complained(output).contains("nothing but the end of the container ends it")
}

/// It is process 1, forbidden programs do not start, the Defender cannot be killed, and the exit code is the application's.
#[test]
fn the_application_is_process_one() {
    let arena = Arena::new("attacker_guard");
    let script = format!("echo $$; kill -9 $({DEFENDER}) 2>&1 | grep -c permitted; ./evil; echo $?; exit 7");
    for place in (0..4).map(|bits| Place { user: bits & 1 != 0, trace: bits & 2 != 0, ..Place::default() }) {
        let output = kept(&arena, place, FORBIDDING, 1, &["sh", "-c", &script]);

        let told = said(&output);
        assert_eq!(
            ["1", "1", "126"],
            told.split_whitespace().collect::<Vec<_>>()[..],
            "{place:?} {}",
            complained(&output)
        );
        assert_eq!(Some(7), output.status.code(), "{place:?}");
    }
    assert!(arena.reported().contains(r#""reason":"tampering""#), "{}", arena.reported());
}

/// No signal from within ends process 1. When it is itself what must not run, the container ends; the same works when the
/// policy only looks. Any other process is killed as ever.
#[test]
fn a_forbidden_process_one_ends_its_container() {
    let arena = Arena::new("attacker_guard");
    let place = Place { trace: true, ..Place::default() };
    let evil = ["sh", "-c", "exec ./evil run"];
    let ended = kept(&arena, place, FORBIDDING, 3, &evil);
    assert!(ended_its_container(&ended), "{:?} {}", ended.status, complained(&ended));
    assert_eq!("", said(&ended));
    assert_eq!(Some(77), kept(&arena, place, &alerting(), 3, &evil).status.code());

    let socket = |seconds| [arena.good.as_str(), "socket", "tcp", "6666", seconds];
    assert_eq!("137", said(&kept(&arena, place, FORBIDDING, 3, &socket("60"))));
    assert_eq!("0", said(&kept(&arena, place, &alerting(), 3, &socket("1"))));
}

/// Bad settings and a platform that lets nothing be enforced end process 1 with the exit codes that they always have.
#[test]
fn exit_codes_are_those_without_it() {
    // Beside the examples, on the emulated machines as well.
    let defender = example("../defender");
    let run = |first: bool, settings: &[(&str, &str)]| {
        let mut command = Command::new("unshare");
        command.args(first.then_some(["--pid", "--fork", "--mount-proc"]).iter().flatten());
        command.arg(&defender).args(["app-embedded", "true"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(settings.iter().copied()).output().unwrap()
    };

    let missing = run(true, &[("DEFENDER_LAUNCH", "exec")]);
    assert_eq!(Some(64), missing.status.code(), "{}", complained(&missing));
    let word = run(true, &[("DEFENDER_LAUNCH", "spawn")]);
    assert_eq!(Some(64), word.status.code());
    assert!(complained(&word).contains("`DEFENDER_LAUNCH` is `spawn`, only `child` or `exec` can be used"));
    let second = run(false, &[("DEFENDER_LAUNCH", "exec")]);
    assert!(complained(&second).contains("the Defender is not process 1"), "{}", complained(&second));
}
