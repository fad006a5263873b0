//! The seam between the supervisor (which judges and enforces) and the links (which bring policies and take audits).
//!
//! The supervisor holds a [`PolicyHandle`] and an [`AuditSink`]; neither ever blocks it. Links own the other ends.
use std::sync::Arc;

use arc_swap::ArcSwap;
use defender_core::{AuditDraft, CompiledPolicy};

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
}
