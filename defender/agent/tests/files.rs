//! Writes to files: attacks on denied ones, and ordinary work that must not notice, with the real supervisor.
//!
//! Each attack is tried under a policy that only reports first, where it must succeed, and then under one that prevents.
#![allow(clippy::unwrap_used)] // a test fails by panicking

#[path = "../../sys/examples/patience/mod.rs"]
mod patience;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use patience::{seconds, tries};

const POLICY: &str = r#"{"version":1,"revision":1,"rule":"writes",
    "processes":{"effect":"disable","allow":[],"deny":[]},
    "dns":{"effect":"disable","allow":[],"deny":[]},
    "network":{"effect":"disable","allowAddresses":[],"denyAddresses":[],"allowPorts":[],"denyPorts":[]},
    "files":{"effect":"EFFECT","allow":[],"deny":["DENIED"]}}"#;
/// Every way of changing a denied file, or of putting something beside it, that the attacker knows.
const WAYS: &[&str] = &[
    "open",
    "append",
    "create",
    "truncate",
    "read-truncate",
    "chmod",
    "fchmod",
    "chown",
    "fchown",
    "remove",
    "rename-over",
    "rename-away",
    "exchange",
    "hard-link",
    "symlink",
    "symlink-directory",
    "old-link",
    "dots",
    "proc-root",
    "proc-thread-root",
    "proc-cwd",
    "proc-pid-cwd",
    "proc-child-cwd",
    "proc-fd",
    "proc-fd-directory",
    "relative",
    "openat",
    "moved",
    "parent-moved",
    "planted-directory",
    "tmpfile",
    "memory-link",
    "directory",
    "node",
    "chroot",
    "unprivileged",
    "keep-capabilities",
    "many-users",
    "undumpable",
];

/// Capabilities that a container lacks, with `SYS_PTRACE` and without (tier 2).
const TRACING: &str = "-sys_admin,-perfmon";
const BLINKERED: &str = "-sys_admin,-perfmon,-sys_ptrace";

/// A folder with a denied one in it.
struct Arena {
    top: PathBuf,
    folder: PathBuf,
}

impl Arena {
    fn new(name: &str) -> Self {
        let top = std::env::temp_dir().join(format!("defender-files-{name}-{}", std::process::id()));
        let arena = Self { folder: top.join("folder"), top };
        arena.reset();
        arena
    }

    /// Everything as before any attack.
    fn reset(&self) {
        let _ = fs::remove_dir_all(&self.top);
        fs::create_dir_all(self.folder.join("denied")).unwrap();
        fs::write(self.secret(), "kept").unwrap();
        fs::set_permissions(self.secret(), fs::Permissions::from_mode(0o666)).unwrap();
        // Made before the workload was: by the image, say.
        fs::hard_link(self.secret(), self.folder.join("old-link")).unwrap();
        for folder in [&self.top, &self.folder] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
    }

    fn secret(&self) -> PathBuf {
        self.folder.join("denied/secret")
    }

    fn run(&self, effect: &str, words: &[&str]) -> Output {
        let program = example("attacker_files").to_string_lossy().into_owned();
        self.supervise(effect, "none", &[&[program.as_str()], words].concat())
    }

    fn supervise(&self, effect: &str, reload: &str, words: &[&str]) -> Output {
        self.start(effect, r#""files""#, reload, words)
    }

    fn with(&self, effect: &str, sections: &str, words: &[&str]) -> Output {
        self.start(effect, sections, "none", words)
    }

    fn start(&self, effect: &str, sections: &str, reload: &str, words: &[&str]) -> Output {
        launch(self.command(TRACING, effect, sections, words).env("SUPERVISE_RELOAD", self.top.join(reload)))
    }

    fn command(&self, bounding: &str, effect: &str, sections: &str, words: &[&str]) -> Command {
        let file = self.policy(effect, sections);
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", bounding]).arg(example("supervise")).arg(&file).args(words);
        command.env("SUPERVISE_FILES", "1").env("SUPERVISE_AUDITS", self.audits()).current_dir(&self.top);
        command
    }

    /// Writes a policy that denies the secret file and its folder, and has `sections` beside the usual ones.
    fn policy(&self, effect: &str, sections: &str) -> PathBuf {
        let denied = format!("{}\",\"{}", self.secret().display(), self.folder.join("denied").display());
        let (file, text) = (self.top.with_extension("json"), POLICY.replace(r#""files""#, sections));
        fs::write(&file, text.replace("EFFECT", effect).replace("DENIED", &denied)).unwrap();
        file
    }

    /// Attacks; true when what is denied has changed.
    fn attack(&self, effect: &str, words: &[&str]) -> bool {
        self.attack_with(TRACING, effect, words)
    }

    fn attack_with(&self, bounding: &str, effect: &str, words: &[&str]) -> bool {
        self.reset();
        let before = state(&self.folder.join("denied"));
        let program = example("attacker_files").to_string_lossy().into_owned();
        launch(&mut self.command(bounding, effect, r#""files""#, &[&[program.as_str()], words].concat()));
        before != state(&self.folder.join("denied"))
    }

    fn audits(&self) -> PathBuf {
        self.top.with_extension("audits")
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

fn launch(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert_ne!(Some(64), output.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.top);
        for extension in ["json", "audits", "moved"] {
            let _ = fs::remove_file(self.top.with_extension(extension));
        }
    }
}

/// Names, contents, modes and owners of a folder's files; nothing for a folder that is not there.
fn state(folder: &Path) -> Vec<String> {
    let mut lines: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| {
            let path = entry.unwrap().path();
            let status = fs::symlink_metadata(&path).unwrap();
            let content = fs::read(&path).unwrap_or_default();
            format!("{} {:o} {} {content:?}", path.display(), status.mode(), status.uid())
        })
        .collect();
    lines.sort();
    lines
}

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// No way to a denied file leads there, whatever it is called and wherever the caller stands; without prevention all do.
#[test]
fn no_way_to_a_denied_file_leads_there() {
    let arena = Arena::new("ways");
    let folder = arena.folder.to_string_lossy().into_owned();
    for way in WAYS {
        assert!(arena.attack("alert", &[way, &folder]), "{way} must work when it is only reported");
        assert!(fs::read_to_string(arena.audits()).unwrap().contains("deniedFile"), "{way} is reported");
        fs::remove_file(arena.audits()).unwrap();
        assert!(!arena.attack("prevent", &[way, &folder]), "{way}");
    }
}

/// Without `SYS_PTRACE` no way leads there either: a process that closes itself to the Defender, by another user or by not
/// being dumpable, is refused what cannot be judged.
#[test]
fn who_cannot_be_looked_at_writes_nothing() {
    let arena = Arena::new("closed");
    let folder = arena.folder.to_string_lossy().into_owned();
    for way in WAYS {
        assert!(arena.attack_with(BLINKERED, "alert", &[way, &folder]), "{way} must work when it is only reported");
        assert!(!arena.attack_with(BLINKERED, "prevent", &[way, &folder]), "{way}");
    }
    let told = fs::read_to_string(arena.audits()).unwrap();
    assert!(told.contains("writes to files of it are refused unjudged"), "{told}");
}

/// Without `SYS_PTRACE` an ordinary program of another user writes as it may, and no denied file.
#[test]
fn programs_of_other_users_are_judged_without_the_capability() {
    let arena = Arena::new("others");
    let script = "cd folder && echo mine > made && mkdir in && mv made in/moved && cat in/moved
        echo evil > denied/secret; echo evil > root-only; cat denied/secret";
    let words = ["/usr/bin/setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "/bin/sh", "-c", script];
    let run = |effect| {
        arena.reset();
        fs::write(arena.folder.join("root-only"), "").unwrap();
        let output = launch(&mut arena.command(BLINKERED, effect, r#""files""#, &words));
        (String::from_utf8_lossy(&output.stdout).into_owned(), fs::read(arena.folder.join("root-only")).unwrap())
    };

    assert_eq!(("mine\nevil\n".to_owned(), vec![]), run("alert"));
    assert_eq!(("mine\nkept".to_owned(), vec![]), run("prevent"));
}

/// When a write is held up, by a sink that does not take its audit, both it and the one behind it are answered within two
/// seconds, by effect, and that is recorded.
#[test]
fn a_write_that_is_held_up_is_answered_in_time() {
    for (effect, outcome) in [("alert", "0 true 0 true\n"), ("prevent", "13 true 13 true\n")] {
        let arena = Arena::new("late");
        let stall = arena.top.join("stall");
        assert!(Command::new("mkfifo").arg(&stall).status().unwrap().success());
        let (attacker, secret) = (example("attacker_files"), arena.secret());
        let words = [attacker.to_str().unwrap(), "behind", secret.to_str().unwrap(), &arena.path("public")];
        let mut command = arena.command(TRACING, effect, r#""files""#, &words);

        let output = launch(command.env("SUPERVISE_STALL", &stall));

        assert_eq!(outcome, said(&output), "{effect}");
        let told = fs::read_to_string(arena.audits()).unwrap();
        assert!(told.contains("answeredLate"), "{effect}: {told}");
        assert_eq!(effect == "alert", fs::read(arena.secret()).unwrap() != b"kept", "{effect}");
    }
}

/// A call whose flags lie in memory, where they could be changed, does not exist where files are watched.
#[test]
fn openat2_does_not_exist() {
    let arena = Arena::new("openat2");
    let folder = arena.folder.to_string_lossy().into_owned();

    assert!(!arena.attack("alert", &["openat2", &folder]));
    assert!(!arena.attack("prevent", &["openat2", &folder]));
}

/// A path that is flipped after it was judged opens nothing denied in a thousand tries.
#[test]
fn flipping_the_path_after_the_check_writes_nothing() {
    let arena = Arena::new("buffer");
    let (good, bad) = (arena.path("public/secret"), arena.path("denied/secret"));
    let race = |effect| {
        arena.reset();
        fs::create_dir(arena.folder.join("public")).unwrap();
        arena.run(effect, &["race-buffer", &good, &bad, "1000"]);
        fs::read_to_string(arena.secret()).unwrap()
    };

    assert_ne!("kept", race("alert"), "the race must be a real one");
    assert_eq!("kept", race("prevent"));
}

/// A link that is turned after it was judged leads to nothing denied in a thousand tries.
#[test]
fn turning_a_link_after_the_check_writes_nothing() {
    let arena = Arena::new("link");
    let (good, bad) = (arena.path("public"), arena.path("denied/secret"));
    let race = |effect| {
        arena.reset();
        arena.run(effect, &["race-link", &good, &bad, "1000"]);
        fs::read_to_string(arena.secret()).unwrap()
    };

    assert_ne!("kept", race("alert"), "the race must be a real one");
    assert_eq!("kept", race("prevent"));
}

/// A file is not renamed over a denied one by flipping the new name, in a thousand tries.
#[test]
fn flipping_the_new_name_renames_over_nothing() {
    let arena = Arena::new("rename");
    let (good, bad) = (arena.path("public/secret"), arena.path("denied/secret"));
    let race = |effect| {
        arena.reset();
        fs::create_dir(arena.folder.join("public")).unwrap();
        arena.run(effect, &["race-rename", &good, &bad, "1000"]);
        fs::read_to_string(arena.secret()).unwrap()
    };

    assert_ne!("kept", race("alert"), "the race must be a real one");
    assert_eq!("kept", race("prevent"));
}

/// Ordinary work with files comes to the same results, errors and modes with the Defender as without it.
#[test]
fn ordinary_work_does_not_notice() {
    let arena = Arena::new("errands");
    let work = |effect: Option<&str>| {
        arena.reset();
        let folder = arena.path("work");
        fs::create_dir(&folder).unwrap();
        match effect {
            Some(effect) => said(&arena.run(effect, &["errands", &folder])),
            None => said(&Command::new(example("attacker_files")).args(["errands", &folder]).output().unwrap()),
        }
    };
    let expected = work(None);

    assert!(expected.contains("chown"), "it must have come to its end: {expected}");
    for effect in ["disable", "alert", "prevent"] {
        assert_eq!(expected, work(Some(effect)), "{effect}");
    }
}

/// A program that writes a thousand files does so.
#[test]
fn a_thousand_files_are_written() {
    let arena = Arena::new("thousand");
    let folder = arena.path("work");
    fs::create_dir(&folder).unwrap();

    let times = tries(1000).to_string();
    assert_eq!(format!("{times}\n"), said(&arena.run("prevent", &["writer", &folder, &times])));
}

/// A program can be started as soon as it was written: the Defender holds no descriptor of it any more.
#[test]
fn what_was_written_can_be_run_at_once() {
    let arena = Arena::new("run");
    let folder = arena.folder.to_string_lossy().into_owned();

    let times = tries(500).to_string();
    assert_eq!(format!("{times}\n"), said(&arena.run("prevent", &["write-and-run", &folder, &times])));
}

/// The policy decides anew at each call: a file that could be written cannot be any more, in the same process.
#[test]
fn files_are_switched_on_while_the_program_runs() {
    let arena = Arena::new("switch");
    let (policy, reload) = (arena.top.with_extension("json"), arena.top.join("reload"));
    let script = "echo changed > folder/denied/secret && cp prevent policy && echo > reload
        while echo again > folder/denied/secret; do :; done 2> /dev/null; echo refused";
    assert!(Command::new("mkfifo").arg(&reload).status().unwrap().success());
    std::os::unix::fs::symlink(&policy, arena.top.join("policy")).unwrap();
    let denied = POLICY.replace("EFFECT", "prevent").replace("DENIED", &arena.secret().to_string_lossy());
    fs::write(arena.top.join("prevent"), denied).unwrap();

    let output = arena.supervise("disable", "reload", &["/usr/bin/timeout", &seconds(20), "/bin/sh", "-c", script]);

    assert_eq!("refused\n", said(&output));
}

/// Keys for SSH are not written where that is prevented, nor moved there in a folder that is renamed.
#[test]
fn what_a_path_gives_away_is_prevented() {
    let arena = Arena::new("paths");
    let script =
        "mkdir keys && echo key > keys/config; mv keys .ssh; mkdir -p home/.ssh; echo key > home/authorized_keys
        ls -d .ssh home/authorized_keys keys 2> /dev/null";
    let run = |effect: &str| {
        arena.reset();
        let detections = format!(r#""detections":{{"sshAccess":"{effect}"}},"files""#);
        said(&arena.with("disable", &detections, &["/bin/sh", "-c", &format!("({script}) 2> /dev/null")]))
    };

    assert_eq!(".ssh\nhome/authorized_keys\n", run("alert"));
    assert_eq!("keys\n", run("prevent"));
}

/// Programs that were written, moved into place or made executable are looked at and reported, with who wrote them.
#[test]
fn written_programs_are_reported() {
    let arena = Arena::new("written");
    let detections = r#""detections":{"binaryWritten":"prevent","suspiciousElf":"alert"},"files""#;
    let audits = arena.audits().to_string_lossy().into_owned();
    let script = format!(
        "cp /bin/true copied; printf '\\177ELFbroken' > broken; echo '#!/bin/sh' > plain; chmod 755 plain
        echo '#!/bin/sh' > text; echo '#!/bin/sh' > hidden; chmod 700 hidden; mkdir in; mv hidden in/place
        for one in $PWD/copied $PWD/broken $PWD/plain $PWD/in/place suspiciousElf; do until grep -q $one {audits}; do :; done; done
        echo all"
    );

    let output = arena.with("disable", detections, &["/usr/bin/timeout", &seconds(20), "/bin/sh", "-c", &script]);

    assert_eq!("all\n", said(&output));
    let told = fs::read_to_string(arena.audits()).unwrap();
    let of = |name: &str| told.lines().filter(|line| line.contains(&format!("/{name}\""))).collect::<Vec<_>>();
    let copied = of("copied");
    assert!(!copied.is_empty());
    assert!(copied.iter().all(|line| line.contains("binaryWritten") && line.contains("/cp")), "{copied:?}");
    assert!(of("broken").iter().any(|line| line.contains("suspiciousElf") && line.contains("header cut short")));
    assert!(of("text").is_empty(), "text that cannot be executed is no program");
    assert!(told.lines().all(|line| line.contains(r#""effect":"alert""#)), "it was not prevented, whatever was wished");
}

/// A pipe that nobody reads yet makes its writer wait, and nobody else.
#[test]
fn a_pipe_without_reader_stops_nobody_else() {
    let arena = Arena::new("pipe");
    let script = "mkfifo pipe; echo through > pipe & for one in 1 2 3; do echo $one > file-$one; done; cat file-* pipe";

    let output = arena.supervise("prevent", "none", &["/usr/bin/timeout", &seconds(20), "/bin/sh", "-c", script]);

    assert_eq!("1\n2\n3\nthrough\n", said(&output));
}

/// Who waits for a reader can be interrupted by a signal, as without the Defender.
#[test]
fn a_wait_for_a_reader_can_be_interrupted() {
    let arena = Arena::new("interrupted");
    let folder = arena.folder.to_string_lossy().into_owned();

    assert_eq!("4\n", said(&arena.run("prevent", &["interrupted", &folder])));
}

/// Files of the Defender itself in procfs are closed to the workload, though the Defender opens on its behalf.
#[test]
fn the_defender_opens_nothing_of_itself() {
    let arena = Arena::new("itself");
    let script = "cd /proc/$PPID && for one in mem comm oom_score_adj task/$PPID/mem root/tmp/x cwd/x; do
        (: >> $one) 2> /dev/null && echo opened $one; done; echo end";

    assert_eq!("end\n", said(&arena.supervise("prevent", "none", &["/bin/sh", "-c", script])));
}

/// A custom rule knows who writes: one program may not what another may.
#[test]
fn custom_rules_know_who_writes() {
    let arena = Arena::new("custom");
    let rule = r#""custom":[{"name":"no copies","kind":"filesystem","effect":"prevent",
        "script":"proc.name = \"cp\" and file.path endswith \"/made\""}],"files""#;
    let script =
        "cp /etc/hostname made 2> /dev/null && echo copied; echo x > made && echo written; cp made other && echo other";

    assert_eq!("written\nother\n", said(&arena.with("disable", rule, &["/bin/sh", "-c", script])));
    assert!(fs::read_to_string(arena.audits()).unwrap().contains(r#""matched":"no copies""#));
}

/// A workload that is not root, under a Defender that is not either, is held like any other.
#[test]
fn without_root_it_is_the_same() {
    let arena = Arena::new("user");
    let attack = |effect: &str, way: &str| {
        arena.reset();
        let before = state(&arena.folder.join("denied"));
        for path in [&arena.top, &arena.folder, &arena.folder.join("denied"), &arena.secret()] {
            std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
        }
        let words = ["/usr/bin/setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
        let supervise = example("supervise").to_string_lossy().into_owned();
        let file = arena.policy(effect, r#""files""#);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(supervise).arg(file).arg(example("attacker_files"));
        command.arg(way).arg(&arena.folder).current_dir(&arena.top);
        command.env("SUPERVISE_FILES", "1").env("SUPERVISE_AUDITS", arena.top.join("audits"));
        assert_ne!(Some(64), command.output().unwrap().status.code());
        let after = state(&arena.folder.join("denied"));
        before.iter().map(|line| line.replace(" 0 [", " 1000 [")).collect::<Vec<_>>() != after
    };

    for way in ["open", "create", "remove", "rename-over", "hard-link", "symlink", "proc-root", "chmod", "truncate"] {
        assert!(attack("alert", way), "{way} must work when it is only reported");
        assert!(!attack("prevent", way), "{way}");
    }
}

/// Where the kernel does not ask us about calls, nothing claims that files are watched.
#[test]
fn a_tier_that_does_not_watch_says_so() {
    let arena = Arena::new("compat");
    let mut command = Command::new(example("supervise"));
    command.arg(arena.policy("prevent", r#""files""#)).args(["/bin/sh", "-c", "echo x > folder/denied/secret"]);
    command.env("SUPERVISE_FILES", "1").env("SUPERVISE_COMPAT", "1").env("SUPERVISE_AUDITS", arena.audits());

    assert!(command.current_dir(&arena.top).status().unwrap().success());
    let told = fs::read_to_string(arena.audits()).unwrap();
    assert!(told.contains("notEnforcing") && told.contains("writes to files cannot be judged"), "{told}");
}
