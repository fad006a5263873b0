//! Where attackers and the real supervisor meet: a folder, a network and a mount namespace of their own.
#![allow(dead_code, clippy::unwrap_used)] // each test program uses its part; a test fails by panicking

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

pub const RAN: &str = "77";
/// EACCES, as exit status of an attacker whose execve was refused.
pub const REFUSED: &str = "13";
/// The dynamic loader of this machine's programs.
pub const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };
/// Killed at the exec stop.
pub const KILLED: &str = "137";

pub struct Arena {
    pub folder: PathBuf,
    /// The attacker.
    pub good: String,
}

impl Arena {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("detections-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        let mut arena = Self { good: String::new(), folder };
        arena.good = arena.program("good");
        arena
    }

    /// A copy of the attacker under another name, older than the workload.
    pub fn program(&self, name: &str) -> String {
        let path = self.folder.join(name);
        fs::copy(example("attacker_exec"), &path).unwrap();
        path.to_string_lossy().into_owned()
    }

    pub fn script(&self, name: &str, interpreter: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, format!("#!{interpreter}\nexit {RAN}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Runs the attacker, called as `words[0]`, under a policy; `before` is a line of shell that prepares the machine.
    pub fn run_after(&self, before: &str, policy: &Value, words: &[&str]) -> (String, Vec<Value>) {
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

    pub fn run(&self, policy: &Value, words: &[&str]) -> (String, Vec<Value>) {
        self.run_after("true", policy, words)
    }

    /// The attack fails and is reported when `detection` prevents, succeeds and is reported when it alerts, and
    /// succeeds in silence when it is off.
    pub fn holds(&self, detection: &str, stopped: &str, words: &[&str]) {
        self.holds_after("true", detection, stopped, words);
    }

    pub fn holds_after(&self, before: &str, detection: &str, stopped: &str, words: &[&str]) {
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
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// Makes a program unlike all others; gives the entry of a list that names it by its content.
pub fn content_of(program: &str) -> String {
    fs::File::options().append(true).open(program).and_then(|mut file| file.write_all(b"x")).unwrap();
    let sum = Command::new("sha256sum").arg(program).output().unwrap().stdout;
    format!("sha256:{}", String::from_utf8_lossy(&sum).split(' ').next().unwrap())
}

pub fn policy(processes: &Value, detections: &Value) -> Value {
    let empty = json!({"effect": "disable", "allow": [], "deny": []});
    json!({"version": 1, "revision": 1, "rule": "attack", "processes": processes, "dns": empty, "detections": detections,
        "network": {"effect": "disable", "allowAddresses": [], "denyAddresses": [], "allowPorts": [], "denyPorts": []}})
}

pub fn detecting(detection: &str, effect: &str) -> Value {
    policy(&json!({"effect": "disable", "allow": [], "deny": []}), &json!({detection: effect}))
}

pub fn denying(entry: &str, effect: &str) -> Value {
    policy(&json!({"effect": effect, "allow": [], "deny": [entry]}), &json!({}))
}

pub fn effects_of<'a>(audits: &'a [Value], reason: &str) -> Vec<&'a str> {
    let of_reason = audits.iter().filter(|audit| audit["reason"] == reason);
    of_reason.map(|audit| audit["effect"].as_str().unwrap()).collect()
}
