//! A place for tests that run the real supervisor, or nothing instead of it, around a hostile program.
#![allow(clippy::unwrap_used, dead_code, reason = "a test fails by panicking, and not every file uses everything")]

#[path = "../../../sys/examples/patience/mod.rs"]
pub mod patience;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// Forbids the program `evil`; what the Defender detects by itself is reported.
pub const FORBIDDING: &str = r#"{"version":1,"revision":1,"rule":"guard",
    "processes":{"effect":"prevent","allow":[],"deny":["evil"]},
    "dns":{"effect":"prevent","allow":[],"deny":[]},
    "network":{"effect":"prevent","allowAddresses":[],"denyAddresses":[],"allowPorts":[],"denyPorts":[{"start":6666,"end":6666}]},
    "detections":{"tampering":"alert","injectedProcess":"alert"}}"#;
const DEADLINE: Duration = Duration::from_secs(30);

/// The same policy, which only looks.
pub fn alerting() -> String {
    FORBIDDING.replace("prevent", "alert")
}

/// Where and as whom something runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// In a process id namespace of its own, as its first process.
    pub first: bool,
    /// As user 1000, not root.
    pub user: bool,
    /// With `CAP_SYS_PTRACE`.
    pub trace: bool,
    /// Limits for the example `platform`; empty for none.
    pub limits: &'static str,
}

/// A folder with the attacker's programs, removed at the end.
pub struct Arena {
    pub folder: PathBuf,
    /// A copy of the attacker.
    pub good: String,
    /// The same by the name that the policy forbids.
    pub evil: String,
}

impl Arena {
    pub fn new(attacker: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("defender-{attacker}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        // Whoever runs there appends to it.
        let audits = folder.join("audits.jsonl");
        fs::write(&audits, "").unwrap();
        fs::set_permissions(&audits, fs::Permissions::from_mode(0o666)).unwrap();
        let place = |file: &str| {
            let path = folder.join(file);
            fs::copy(example(attacker), &path).unwrap();
            path.to_string_lossy().into_owned()
        };
        Self { good: place("good"), evil: place("evil"), folder: folder.clone() }
    }

    /// The command line that runs `words` there, under the supervisor where there is a policy.
    pub fn command(&self, place: Place, policy: Option<&str>, words: &[&str]) -> Command {
        // Whoever started the tests in the background ignores interrupts, and a shell cannot trap what it finds ignored.
        let mut command = Command::new("env");
        // A signal to its group must meet no other test.
        command.process_group(0);
        command.args(["--default-signal", "unshare", "--net"]).args(
            place.first.then_some(["--pid", "--fork", "--mount-proc", "--kill-child", "setsid"]).iter().flatten(),
        );
        command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        if !place.limits.is_empty() {
            command.arg(example("platform")).arg(place.limits);
        }
        // No more of root's capabilities than a container has, or none.
        let bounding = if place.trace {
            "-sys_admin,-perfmon,-sys_resource"
        } else {
            "-sys_admin,-perfmon,-sys_resource,-sys_ptrace"
        };
        command.args(["setpriv", "--bounding-set", bounding, "--inh-caps", "-all"]);
        if place.user {
            command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]);
        }
        if let Some(policy) = policy {
            let file = self.folder.join("policy.json");
            fs::write(&file, policy).unwrap();
            command.arg(example("supervise")).arg(&file);
        }
        command.args(words).current_dir(&self.folder).env("SUPERVISE_AUDITS", self.audits());
        command
    }

    pub fn run(&self, place: Place, policy: Option<&str>, words: &[&str]) -> Output {
        let output = self.command(place, policy, words).output().unwrap();
        assert_ne!(Some(64), output.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub fn audits(&self) -> PathBuf {
        self.folder.join("audits.jsonl")
    }

    /// What was reported so far.
    pub fn reported(&self) -> String {
        fs::read_to_string(self.audits()).unwrap_or_default()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Examples are built beside the tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// Waits until something holds.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience::patient(DEADLINE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// A started command whose output is read, ended with the test.
pub struct Running(pub Child);

impl Running {
    pub fn new(mut command: Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
