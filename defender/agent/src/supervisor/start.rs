//! A program start as an event: as it is announced by the call, and as it is loaded at the stop.
use defender_core::{ProcessEvent, ProcessFacts, Reason};

use super::{facts::Needs, process};

/// Arguments that are read from the caller's memory.
pub const MOST_ARGUMENTS: usize = 64;

/// What a caller says that it is about to start. All of it may change before the kernel looks.
#[must_use]
pub fn announced(thread: u32, path: &[u8], found: &process::Found, vector_at: u64, needs: &Needs) -> ProcessEvent {
    // Without a path it is a descriptor that is executed (AT_EMPTY_PATH).
    let invoked = if path.is_empty() { found.path.clone() } else { process::absolute(thread, path) };
    let many = needs.arguments || super::facts::is_loader_name(&found.path);
    let mut event = event(thread, found.path.clone(), invoked);
    event.arguments = process::arguments_at(thread, vector_at, if many { MOST_ARGUMENTS } else { 2 });
    if needs.ancestors {
        complete(&mut event);
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
    let (path, identity) = process::executable(process)?;
    let name = process::invoked_path(process).unwrap_or_else(|| path.clone());
    let by_descriptor = name.starts_with("/dev/fd/");
    let link = process::link_to(process, &name);
    // The image's own path leads to the image; only another one has to be followed.
    let led_to = if name == path { None } else { process::identity_of(&link) };
    let invoked_is_exe = led_to.is_none_or(|file| file == identity);
    let interpreted = !invoked_is_exe && process::is_script(&link);
    let invoked = match (by_descriptor, interpreted) {
        (true, false) => path.clone(),
        (true, true) => process::target_of(&link),
        (false, _) => name.clone(),
    };
    let mut event = event(process, path, invoked);
    event.arguments = process::arguments(process);
    (event.main, event.interpreted, event.invoked_is_exe) = (main, interpreted, invoked_is_exe);
    // What a path means inside a chroot is for its owner to choose; only where the image really lies counts there.
    if sees_roots && process::has_other_root(process) {
        (event.interpreted, event.invoked_is_exe) = (false, false);
    }
    Some(Loaded { event, link: format!("/proc/{process}/exe"), script: interpreted.then_some(link), name })
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

/// Adds who started it, which only some policies and every reader of an audit want to know.
pub fn complete(event: &mut ProcessEvent) {
    let status = process::status(event.pid).unwrap_or_default();
    event.pid = if status.process == 0 { event.pid } else { status.process };
    event.parent_pid = status.parent;
    event.parent_path = process::executable_path(status.parent);
    event.user = status.user;
}
