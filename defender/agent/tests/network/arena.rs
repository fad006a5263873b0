//! A network namespace with a resolver, and the supervised attacker in it.
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::patience::seconds;

/// The address of the resolver that the workload is started with, and of one that it is not.
pub const RESOLVER: &str = "10.7.0.1:53";
pub const FOREIGN_RESOLVER: &str = "10.7.0.2:53";
/// Also in the workload's configuration: one on another machine, and one on its own loopback.
pub const FAR_RESOLVER: &str = "10.8.0.1:53";
pub const STUB_RESOLVER: &str = "127.0.0.53:53";
/// What the resolvers say: the rest of the world is 203.0.113.9.
const NAMES: [&str; 2] = ["a.evil.test=203.0.113.66", "shop.test=203.0.113.9"];
/// Addresses of the machine, so that there is something to connect to.
const ADDRESSES: [&str; 7] = [
    "10.7.0.1/32",
    "10.7.0.2/32",
    "203.0.113.9/32",
    "203.0.113.66/32",
    "203.0.113.7/32",
    "169.254.169.254/32",
    "1.1.1.1/32",
];

/// A policy whose network section has this effect and these further lists, with these detections.
pub fn policy(effect: &str, detections: &str, lists: &str) -> String {
    let missing = ["allowAddresses", "denyAddresses", "allowPorts", "denyPorts"].into_iter();
    let missing = missing.filter(|list| !lists.contains(list)).map(|list| format!(r#""{list}":[]"#));
    let own = [format!(r#""effect":"{effect}""#), lists.to_owned()].into_iter().filter(|part| !part.is_empty());
    let network = own.chain(missing).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"version":1,"revision":1,"rule":"attack","processes":{{"effect":"disable","allow":[],"deny":[]}},
        "dns":{{"effect":"disable","allow":[],"deny":[]}},"network":{{{network}}},"detections":{{{detections}}}}}"#
    )
}

/// The same with a section for look-ups.
pub fn with_names(policy: &str, effect: &str, deny: &str) -> String {
    policy.replace(
        r#""dns":{"effect":"disable","allow":[],"deny":[]}"#,
        &format!(r#""dns":{{"effect":"{effect}","allow":[],"deny":[{deny}]}}"#),
    )
}

pub struct Arena {
    pub folder: PathBuf,
}

impl Arena {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("network-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("resolv.conf"), "nameserver 10.7.0.1\nnameserver 10.8.0.1\nnameserver 127.0.0.53\n")
            .unwrap();
        Self { folder }
    }

    /// A shell in namespaces of its own; `$@` is what it runs in the end, after `before`.
    fn namespace(&self, before: &str) -> Command {
        let addresses: String = ADDRESSES.map(|address| format!("ip addr add {address} dev lo; ")).concat();
        let script = format!(
            "set -e; rm -f ready.*; mount --bind resolv.conf /etc/resolv.conf; ip link set lo up; {addresses} {before} exec \"$@\""
        );
        // Nothing here takes a minute; what does is stuck.
        let mut command = Command::new("timeout");
        command.args(["--signal", "KILL", &seconds(60), "unshare"]);
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            &script,
            "sh",
        ]);
        command.args(["setpriv", "--bounding-set", "-sys_admin,-perfmon"]);
        command.current_dir(&self.folder).env("SUPERVISE_AUDITS", self.folder.join("audits.jsonl"));
        command
    }

    /// Starts the resolvers, and two at the addresses of names, so that there is something to connect to, in the background and waits until they answer.
    fn with_resolvers(&self) -> Command {
        let serve = |address: &str| in_background(&format!("serve {address} {}", NAMES.join(" ")), address);
        self.namespace(
            &[RESOLVER, FOREIGN_RESOLVER, STUB_RESOLVER, "203.0.113.9:8053", "203.0.113.66:8053"].map(serve).concat(),
        )
    }

    /// Starts a resolver on another machine, as far as the kernel is concerned.
    fn with_far_resolver(&self) -> Command {
        let serve = format!("{} serve {FAR_RESOLVER} {}", attacker(), NAMES.join(" "));
        self.namespace(&format!(
            "rm -f far; touch far; unshare --net sh -c 'until ip link show far > /dev/null 2>&1; do :; done; \
             ip addr add 10.8.0.1/24 dev far; ip link set far up; exec {serve} > far' & peer=$!; \
             while [ \"$(readlink /proc/$peer/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do :; done; \
             ip link add near type veth peer name far; ip link set far netns $peer; \
             ip addr add 10.8.0.2/24 dev near; ip link set near up; while ! grep -q ready far; do :; done; "
        ))
    }

    fn supervised(&self, mut command: Command, policy: &str) -> Command {
        fs::write(self.folder.join("policy.json"), policy).unwrap();
        let _ = fs::remove_file(self.folder.join("audits.jsonl"));
        command.arg(example("supervise")).arg("policy.json").arg(attacker());
        command
    }

    /// What an attack prints without any Defender.
    pub fn natively(&self, attack: &[&str]) -> String {
        said(self.namespace("").arg(attacker()).args(attack))
    }

    /// What it prints under this policy.
    pub fn run(&self, policy: &str, attack: &[&str]) -> String {
        said(self.supervised(self.namespace(""), policy).args(attack))
    }

    /// The same where features that came after Linux 5.10 are refused.
    pub fn run_as_on_old_kernels(&self, policy: &str, attack: &[&str]) -> String {
        let mut command = self.namespace("");
        command.arg(example("platform")).arg("linux-5.10");
        said(self.supervised(command, policy).args(attack))
    }

    /// The same where 32-bit programs are allowed, and writes to files are watched.
    pub fn run_narrow(&self, policy: &str, attack: &[&str]) -> String {
        let mut command = self.supervised(self.namespace(""), policy);
        said(command.args(attack).env("SUPERVISE_32_BIT", "1").env("SUPERVISE_FILES", "1"))
    }

    /// The same with a resolver on another machine; `without` are capabilities that the Defender must do without.
    pub fn run_with_far_names(&self, policy: &str, attack: &[&str], without: &str) -> String {
        let mut command = self.with_far_resolver();
        command.args(["setpriv", "--bounding-set", without, "--inh-caps", without]);
        said(self.supervised(command, policy).args(attack))
    }

    /// What it prints without any Defender, but with that resolver.
    pub fn natively_with_far_names(&self, attack: &[&str]) -> String {
        said(self.with_far_resolver().arg(attacker()).args(attack))
    }

    /// The same with the resolvers running.
    pub fn run_with_names(&self, policy: &str, attack: &[&str]) -> String {
        said(self.supervised(self.with_resolvers(), policy).args(attack))
    }

    /// What it prints while `before` runs outside the workload, in the same namespaces.
    pub fn run_beside(&self, before: &str, policy: &str, attack: &[&str]) -> (Option<i32>, String) {
        let mut command = self.supervised(self.namespace(before), policy);
        let output = command.args(attack).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A workload that does what it is told, line by line, with the resolvers running.
    pub fn talk(&self, policy: &str) -> Talk {
        let reload = self.folder.join("reload");
        Command::new("mkfifo").arg(&reload).status().unwrap();
        let mut command = self.supervised(self.with_resolvers(), policy);
        command.arg("follow").env("SUPERVISE_RELOAD", &reload).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Talk { child, input: Some(input), output, folder: self.folder.clone() }
    }

    /// How many audits hold `text`.
    pub fn audits(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("audits.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Talk {
    /// The answer to one order.
    pub fn say(&mut self, order: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Puts another policy in force. The order after it may still be judged by the old one, so `order` is given until it
    /// has another answer than `old`.
    pub fn reload(&mut self, policy: &str, order: &str, old: &str) -> String {
        fs::write(self.folder.join("policy.json"), policy).unwrap();
        fs::write(self.folder.join("reload"), "again\n").unwrap();
        (0..10_000).map(|_| self.say(order)).find(|answer| answer != old).unwrap()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Runs an attack outside the workload, and waits until it says that it is ready.
pub fn in_background(attack: &str, name: &str) -> String {
    let program = attacker();
    format!("touch ready.{name}; {program} {attack} > ready.{name} & while ! grep -q ready ready.{name}; do :; done; ")
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_ne!(Some(64), output.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn attacker() -> String {
    example("attacker_network").to_string_lossy().into_owned()
}

/// Examples are built beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}
