//! The seam between the supervisor (which judges and enforces) and the links (which bring policies and take audits).
//!
//! The supervisor holds a [`PolicyHandle`] and an [`AuditSink`]; neither ever blocks it. Links own the other ends.
use std::{ffi::OsString, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use defender_core::{AuditDraft, CompiledPolicy, Event, Judged};

/// The policy in force, swapped whole. Reading is wait-free, so the supervisor may read it on every event.
#[derive(Debug, Clone, Default)]
pub struct PolicyHandle(Arc<ArcSwap<CompiledPolicy>>);

impl PolicyHandle {
    /// The policy in force now.
    #[must_use]
    pub fn current(&self) -> Arc<CompiledPolicy> {
        self.0.load_full()
    }

    /// Puts a new policy in force for every event from now on.
    pub fn replace(&self, policy: CompiledPolicy) {
        self.0.store(Arc::new(policy));
    }
}

/// Where the supervisor leaves audits. `submit` must never block and never fail: a full spool counts what it gives up.
pub trait AuditSink: Send + Sync {
    /// Takes one audit.
    fn submit(&self, draft: AuditDraft);
    /// Called about once a second, for what has to happen with time.
    fn tick(&self) {}

    /// Takes every event that was judged, also one that may happen, for record and learning. It must take microseconds.
    fn saw(&self, _event: &Event, _judged: Option<Judged>) {}
}

/// What to do when protection cannot be had: an explicit setting, never an accident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailMode {
    /// The application runs unjudged, and that is reported.
    #[default]
    Open,
    /// The application does not run.
    Closed,
}

/// Which mechanism the user wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The strongest that the platform allows.
    #[default]
    Strongest,
    /// The one that lets setuid programs keep their privileges (`DEFENDER_TIER=compat`).
    Compat,
}

/// What [`Application::reading`] is outside of tests.
pub const READING: Duration = Duration::from_millis(200);

/// The application to protect.
#[derive(Debug, Clone)]
pub struct Application {
    /// Program, as the image or the task names it.
    pub program: OsString,
    /// Its arguments, without the program itself.
    pub arguments: Vec<OsString>,
    /// Its environment: what the container was given, less what was ours.
    pub environment: Vec<(OsString, OsString)>,
    /// What to do where nothing can be enforced.
    pub fail_mode: FailMode,
    /// Which mechanism to use.
    pub wanted: Wanted,
    /// True when its writes to files are watched.
    pub watch_files: bool,
    /// True when 32-bit programs may run under the same rules; otherwise their system calls do not exist. x86-64 only.
    pub allow_32_bit: bool,
    /// What one attempt to read the file of a program that is started may take; others wait meanwhile, and it goes on later.
    pub reading: Duration,
}

/// Where the supervisor says how strong it is here.
pub trait TierReport: Send + Sync {
    /// Takes the tier (1 is the strongest, 5 only looks, 0 is none) and what holds with less strength, one
    /// sentence each.
    fn report(&self, tier: u8, reasons: Vec<String>);
}
