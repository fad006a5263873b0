//! What the Defender detects at a program start, with the real supervisor on real processes.
//!
//! Each attack is tried twice: with its detection in prevent, where it must fail and be reported with its reason, and with
//! the detection off, where the same attack must succeed. Otherwise it would prove nothing.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

const RAN: &str = "77";
/// EACCES, as exit status of an attacker whose execve was refused.
const REFUSED: &str = "13";
/// Killed at the exec stop.
const KILLED: &str = "137";

struct Arena {
    folder: PathBuf,
    /// The attacker.
    good: String,
}

impl Arena {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("detections-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        let mut arena = Self { good: String::new(), folder };
        arena.good = arena.program("good");
        arena
    }

    /// A copy of the attacker under another name, older than the workload.
    fn program(&self, name: &str) -> String {
        let path = self.folder.join(name);
        fs::copy(example("attacker_exec"), &path).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn script(&self, name: &str, interpreter: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, format!("#!{interpreter}\nexit {RAN}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Runs the attacker, called as `words[0]`, under a policy; `before` is a line of shell that prepares the machine.
    fn run_after(&self, before: &str, policy: &Value, words: &[&str]) -> (String, Vec<Value>) {
        let file = self.folder.join("policy.json");
        fs::write(&file, policy.to_string()).unwrap();
        let audits = self.folder.join("audits.jsonl");
        let _ = fs::remove_file(&audits);
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c"]);
        command.arg(format!("ip link set lo up && {before} && exec \"$@\"")).arg("sh");
        command.args(["setpriv", "--bounding-set", "-sys_admin,-perfmon"]);
        command.arg(example("supervise")).arg(&file).args(words);
        let output = command.current_dir(&self.folder).env("SUPERVISE_AUDITS", &audits).output().unwrap();
        assert_ne!(Some(64), output.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = fs::read_to_string(&audits).unwrap_or_default();
        (said(&output), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn run(&self, policy: &Value, words: &[&str]) -> (String, Vec<Value>) {
        self.run_after("true", policy, words)
    }

    /// The attack fails and is reported when `detection` prevents, succeeds and is reported when it alerts, and
    /// succeeds in silence when it is off.
    fn holds(&self, detection: &str, stopped: &str, words: &[&str]) {
        self.holds_after("true", detection, stopped, words);
    }

    fn holds_after(&self, before: &str, detection: &str, stopped: &str, words: &[&str]) {
        for (effect, outcome, reported) in
            [("disable", RAN, vec![]), ("alert", RAN, vec!["alert"]), ("prevent", stopped, vec!["prevent"])]
        {
            let (said, audits) = self.run_after(before, &detecting(detection, effect), words);

            assert_eq!(outcome, said, "{detection} {effect} {audits:#?}");
            assert_eq!(reported, effects_of(&audits, detection), "{effect}: {audits:#?}");
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.is_empty() { format!("exit {:?}", output.status.code()) } else { text }
}

/// Examples are built beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// Makes a program unlike all others; gives the entry of a list that names it by its content.
fn content_of(program: &str) -> String {
    fs::File::options().append(true).open(program).and_then(|mut file| file.write_all(b"x")).unwrap();
    let sum = Command::new("sha256sum").arg(program).output().unwrap().stdout;
    format!("sha256:{}", String::from_utf8_lossy(&sum).split(' ').next().unwrap())
}

fn policy(processes: &Value, detections: &Value) -> Value {
    let empty = json!({"effect": "disable", "allow": [], "deny": []});
    json!({"version": 1, "revision": 1, "rule": "attack", "processes": processes, "dns": empty, "detections": detections,
        "network": {"effect": "disable", "allowAddresses": [], "denyAddresses": [], "allowPorts": [], "denyPorts": []}})
}

fn detecting(detection: &str, effect: &str) -> Value {
    policy(&json!({"effect": "disable", "allow": [], "deny": []}), &json!({detection: effect}))
}

fn denying(entry: &str, effect: &str) -> Value {
    policy(&json!({"effect": effect, "allow": [], "deny": [entry]}), &json!({}))
}

fn effects_of<'a>(audits: &'a [Value], reason: &str) -> Vec<&'a str> {
    let of_reason = audits.iter().filter(|audit| audit["reason"] == reason);
    of_reason.map(|audit| audit["effect"].as_str().unwrap()).collect()
}

#[test]
fn a_program_from_memory_does_not_run() {
    let arena = Arena::new("memory");

    arena.holds("memoryProcess", REFUSED, &[&arena.good, "memory", &arena.good]);
}

#[test]
fn a_program_that_lost_its_name_does_not_run() {
    let arena = Arena::new("deleted");

    arena.holds("memoryProcess", REFUSED, &[&arena.good, "deleted", &arena.good]);
}

#[test]
fn a_program_from_a_file_system_in_memory_does_not_run() {
    let arena = Arena::new("tmpfs");
    let target = format!("/dev/shm/detections-{}", std::process::id());

    arena.holds("tmpfsProcess", REFUSED, &[&arena.good, "copied", &arena.good, &target]);
}

#[test]
fn a_script_from_memory_does_not_run() {
    let arena = Arena::new("script-in-memory");

    arena.holds("newBinary", REFUSED, &[&arena.good, "script-in-memory", "/bin/sh"]);
}

#[test]
fn the_dynamic_loader_does_not_run_a_program() {
    let arena = Arena::new("loader");
    let disguised = arena.folder.join("tool").to_string_lossy().into_owned();
    fs::copy("/lib64/ld-linux-x86-64.so.2", &disguised).unwrap();

    for loader in ["/lib64/ld-linux-x86-64.so.2", &disguised] {
        arena.holds("loaderInvocation", REFUSED, &[&arena.good, "start", loader, "/bin/sh", "-c", "exit 77"]);
    }
}

#[test]
fn the_dynamic_loader_does_not_hide_a_denied_program() {
    let arena = Arena::new("loaded");
    let line = [&arena.good, "start", "/lib64/ld-linux-x86-64.so.2", "--argv0", "innocent", "/bin/sh", "-c", "exit 77"];

    for entry in ["sh", "/bin/sh", "/usr/bin/dash"] {
        assert_eq!(REFUSED, arena.run(&denying(entry, "prevent"), &line).0, "{entry}");
        let (said, audits) = arena.run(&denying(entry, "alert"), &line);
        assert_eq!((RAN, vec!["alert"]), (said.as_str(), effects_of(&audits, "deniedProcess")), "{entry}");
    }
}

#[test]
fn foreign_libraries_are_not_loaded_first() {
    let arena = Arena::new("preload");
    let outside = format!("LD_LIBRARY_PATH=/usr/lib:{}", std::env::temp_dir().display());

    for variable in ["LD_PRELOAD=/tmp/evil.so", "LD_AUDIT=/tmp/evil.so", &outside] {
        arena.holds("preload", KILLED, &[&arena.good, "preloaded", &arena.good, variable]);
    }
}

#[test]
fn a_program_that_was_changed_does_not_run() {
    let arena = Arena::new("modified");
    let tool = arena.program("tool");

    arena.holds("modifiedBinary", REFUSED, &[&arena.good, "appended", &tool]);
}

#[test]
fn a_program_that_was_brought_in_does_not_run() {
    let arena = Arena::new("new");

    arena.holds("newBinary", REFUSED, &[&arena.good, "copied", &arena.good, "brought"]);
    arena.holds("newBinary", REFUSED, &[&arena.good, "memory", &arena.good]);
}

#[test]
fn a_program_unlike_its_package_does_not_run() {
    let arena = Arena::new("altered");
    let (tool, info) = (arena.program("tool"), arena.folder.join("info"));
    fs::create_dir_all(&info).unwrap();
    let database = info.join("tool.md5sums");
    let put = |sum: &str| fs::write(&database, format!("{sum}  {}\n", tool.trim_start_matches('/'))).unwrap();
    let before = format!("mount --bind '{}' /var/lib/dpkg/info", info.display());
    let start = [&arena.good, "start", &tool, "ran"];

    put("00000000000000000000000000000000");
    arena.holds_after(&before, "alteredPackageBinary", REFUSED, &start);
    let sum = Command::new("md5sum").arg(&tool).output().unwrap().stdout;
    put(String::from_utf8_lossy(&sum).split(' ').next().unwrap());
    assert_eq!(RAN, arena.run_after(&before, &detecting("alteredPackageBinary", "prevent"), &start).0);
}

#[test]
fn a_crypto_miner_does_not_run() {
    let arena = Arena::new("miner");
    let named = arena.program("xmrig");

    arena.holds("cryptoMiner", REFUSED, &[&arena.good, "start", &named, "ran"]);
    arena.holds("cryptoMiner", REFUSED, &[&arena.good, "mining", &arena.good]);
}

#[test]
fn a_shell_on_a_connection_does_not_run() {
    let arena = Arena::new("reverse");

    arena.holds("reverseShell", KILLED, &[&arena.good, "connected", "/bin/sh", "-c", "exit 77"]);
}

#[test]
fn a_shell_under_a_web_server_does_not_run() {
    let arena = Arena::new("web");
    let server = arena.program("php-fpm");

    arena.holds("webShell", REFUSED, &[&server, "start", "/bin/sh", "-c", "exit 77"]);
    assert_eq!(
        RAN,
        arena.run(&detecting("webShell", "prevent"), &[&arena.good, "start", "/bin/sh", "-c", "exit 77"]).0
    );
}

#[test]
fn a_web_server_does_not_turn_into_a_shell() {
    let arena = Arena::new("turned");
    let server = arena.program("nginx");
    let attack = [&server, "become", "/bin/sh", "-c", "exit 77"];

    assert_eq!("exit Some(77)", arena.run(&detecting("webShell", "disable"), &attack).0);
    assert_eq!("exit Some(13)", arena.run(&detecting("webShell", "prevent"), &attack).0);
}

#[test]
fn a_file_that_gives_privilege_is_not_used() {
    let arena = Arena::new("setuid");
    let (plain, setuid) = (arena.program("plain"), arena.program("setuid"));
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();

    arena.holds("setuidUse", REFUSED, &[&arena.good, "start", &setuid, "ran"]);
    arena.holds("setuidUse", REFUSED, &[&arena.good, "capable", &plain]);
}

#[test]
fn a_tool_for_other_machines_does_not_run() {
    let arena = Arena::new("lateral");
    let tool = arena.program("nmap");

    arena.holds("lateralMovement", REFUSED, &[&arena.good, "start", &tool, "ran"]);
}

#[test]
fn code_on_a_command_line_does_not_run() {
    let arena = Arena::new("inline");

    arena.holds("inlineCode", REFUSED, &[&arena.good, "start", "/usr/bin/perl", "-e", "exit 77"]);
}

#[test]
fn nothing_runs_beside_the_main_program() {
    let arena = Arena::new("main");

    arena.holds("notMainProcess", REFUSED, &[&arena.good, "start", &arena.good, "ran"]);
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
    assert_eq!(("0", 32), (said.as_str(), effects_of(&audits, "deniedProcess").len()));
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

/// A call that waits in the kernel's queue can still be interrupted before the supervisor takes it, for some microseconds;
/// once taken it cannot be (`WAIT_KILLABLE_RECV`). Each of 400 starts gets one signal, at all moments around the call.
#[test]
fn a_signal_hardly_ever_makes_a_start_fail() {
    let arena = Arena::new("storm");

    for effect in ["alert", "prevent"] {
        let interrupted = arena.run(&denying("evil", effect), &[&arena.good, "storm", &arena.good]).0;
        assert!(interrupted.parse::<u32>().unwrap() < 40, "{effect}: {interrupted}");
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
