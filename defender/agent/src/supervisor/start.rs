//! A program start as an event: as it is announced by the call, and as it is loaded at the stop.
use std::fs::Metadata;

use defender_core::{ProcessEvent, ProcessFacts, Reason};

use super::{facts::Needs, process, script, stack};

/// Arguments that are read from the caller's memory.
pub const MOST_ARGUMENTS: usize = 64;

/// What a caller says that it is about to start. All of it may change before the kernel looks.
#[must_use]
pub fn announced(
    thread: u32,
    path: &[u8],
    found: &process::Found,
    vector: process::Vector,
    needs: &Needs,
    main: bool,
) -> ProcessEvent {
    // Without a path it is a descriptor that is executed (AT_EMPTY_PATH).
    let invoked = if path.is_empty() { found.path.clone() } else { process::absolute(thread, path) };
    let many = needs.arguments || super::facts::is_loader_name(&found.path);
    let mut event = event(thread, found.path.clone(), invoked);
    event.arguments = process::arguments_at(thread, vector, if many { MOST_ARGUMENTS } else { 2 });
    event.main = main;
    if needs.ancestors {
        Family::find(&mut event, true);
    }
    event
}

/// What was loaded and has not run.
#[derive(Debug)]
pub struct Loaded {
    /// The start, without its facts.
    pub event: ProcessEvent,
    /// Leads to the loaded file.
    pub link: String,
    /// The status of that file.
    pub status: Metadata,
    /// Leads to the script, when the loaded file is its interpreter.
    pub script: Option<String>,
    name: String,
}

impl Loaded {
    /// The name that the kernel has for what was started: a path, or a descriptor in `/dev/fd`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What `process` has loaded; none when it cannot be known. `sees_roots`: what a path means in a chroot matters.
#[must_use]
pub fn loaded(process: u32, main: bool, sees_roots: bool) -> Option<Loaded> {
    let (path, status) = process::executable(process)?;
    let start = stack::read(process);
    let name = start.name.and_then(|name| process::from_its_directory(process, name)).unwrap_or_else(|| path.clone());
    let by_descriptor = name.starts_with("/dev/fd/");
    let link = process::link_to(process, &name);
    // The image's own path leads to the image; only another one has to be followed.
    let led_to = if name == path { None } else { process::identity_of(&link) };
    let invoked_is_exe = led_to.is_none_or(|file| file == process::identity(&status));
    let interpreted = !invoked_is_exe && script::is_script(&link);
    let invoked = match (by_descriptor, interpreted) {
        (true, false) => path.clone(),
        (true, true) => process::target_of(&link),
        (false, _) => name.clone(),
    };
    let mut event = event(process, path, invoked);
    event.arguments = start.arguments;
    (event.main, event.interpreted, event.invoked_is_exe) = (main, interpreted, invoked_is_exe);
    // What a path means inside a chroot is for its owner to choose; only where the image really lies counts there.
    if sees_roots && process::has_other_root(process) {
        (event.interpreted, event.invoked_is_exe) = (false, false);
    }
    Some(Loaded { event, link: format!("/proc/{process}/exe"), status, script: interpreted.then_some(link), name })
}

/// Why a program that the dynamic loader runs may be objected to although the loader's own start may not.
pub const OF_LOADED: &[Reason] = &[
    Reason::DeniedProcess,
    Reason::CustomRule,
    Reason::CryptoMiner,
    Reason::ReverseShell,
    Reason::WebShell,
    Reason::LateralMovement,
    Reason::InlineCode,
];

/// A script on the way was not asked for, so no allow list has to know it; a deny list speaks of it.
pub const OF_SCRIPTS: &[Reason] = &[Reason::DeniedProcess];

/// What a loader was told to run, as if it had been started without it.
#[must_use]
pub fn as_loaded(event: &ProcessEvent) -> Option<ProcessEvent> {
    let loaded = event.facts.loaded.as_ref()?;
    let at = super::facts::program_among(&event.arguments)?;
    let arguments = event.arguments.get(at..)?.to_vec();
    let mut started = ProcessEvent { path: loaded.clone(), arguments, ..event.clone() };
    started.invoked = process::absolute(event.pid, started.arguments.first()?.as_bytes());
    (started.facts.loaded, started.interpreted) = (None, false);
    started.sha256 = started.facts.loaded_sha256.take();
    Some(started)
}

/// A script on the way to the loaded interpreter, as if it had been started itself.
#[must_use]
pub fn as_script(event: &ProcessEvent, script: &str) -> ProcessEvent {
    ProcessEvent { invoked: script.to_owned(), interpreted: true, invoked_is_exe: false, ..event.clone() }
}

fn event(pid: u32, path: String, invoked: String) -> ProcessEvent {
    ProcessEvent {
        path,
        invoked,
        arguments: Vec::new(),
        pid,
        parent_pid: 0,
        parent_path: String::new(),
        user: 0,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: None,
        facts: ProcessFacts::default(),
    }
}

/// Who starts a program, as it is at the call: by the stop a parent may have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    parent_pid: u32,
    parent_path: String,
    user: u32,
    ancestors: Vec<String>,
}

impl Family {
    /// What is known of it in an event.
    #[must_use]
    pub fn of(event: &ProcessEvent) -> Self {
        Self {
            parent_pid: event.parent_pid,
            parent_path: event.parent_path.clone(),
            user: event.user,
            ancestors: event.facts.ancestors.clone(),
        }
    }

    /// Looks it up. What the process itself runs until now counts as well: one that turns into another program without a
    /// fork has no parent that says what it was. Not so for the workload's first process, which is ours until then.
    pub fn find(event: &mut ProcessEvent, at_call: bool) {
        complete(event);
        let mut paths: Vec<String> = process::ancestors(event.pid).into_iter().map(|ancestor| ancestor.path).collect();
        if at_call && !event.main {
            let former = process::executable_path(event.pid);
            if paths.first() != Some(&former) {
                paths.insert(0, former);
            }
        }
        event.facts.ancestors = paths;
    }

    /// Puts it into an event.
    pub fn fill(self, event: &mut ProcessEvent) {
        event.parent_pid = self.parent_pid;
        event.parent_path = self.parent_path;
        event.user = self.user;
        event.facts.ancestors = self.ancestors;
    }
}

/// Adds who started it, which only some policies and every reader of an audit want to know.
pub fn complete(event: &mut ProcessEvent) {
    let status = process::status(event.pid).unwrap_or_default();
    event.pid = if status.process == 0 { event.pid } else { status.process };
    event.parent_pid = status.parent;
    event.parent_path = process::parent_path(&status);
    event.user = status.user;
}
