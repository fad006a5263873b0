//! The desk of one workload: here the supervisor leaves audits and its tier, and the link leaves policies.
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use defender_core::{
    AuditDraft, CompiledPolicy, Counted, DefenderPolicy, Event, Judged, Notice, PolicyError, Repeats, Spool, scrub,
};
use tokio::sync::Notify;

use super::message::WorkloadStatus;
use crate::{
    enforcement::{AuditSink, PolicyHandle, TierReport},
    recorder::{Fetch, Gatherer, RECORD_BYTES, Record},
};

/// Bytes of audits kept while nobody takes them.
const SPOOL_BYTES: usize = 4 << 20;

struct State {
    /// Equal audits on their way to the spool; none any more at the end, when each goes at once.
    repeats: Option<Repeats>,
    spool: Spool,
    /// Highest number that is safe elsewhere, so that this process may end.
    received: u64,
    policy_hash: Option<String>,
    /// The sidecar has waited for the Console already, in vain.
    none_to_be_had: bool,
    tier: u8,
    tier_reasons: Vec<String>,
}

impl State {
    fn push(&mut self, out: Vec<Counted>) {
        for one in out {
            self.spool.push_counted(one.draft, one.count);
        }
    }

    fn release(&mut self, which: impl FnOnce(&mut Repeats) -> Vec<Counted>) {
        let out = self.repeats.as_mut().map(which).unwrap_or_default();
        self.push(out);
    }
}

/// What supervisor and link share. Locks are held for moments only and never across input or output.
pub struct Desk {
    instance: String,
    policy: PolicyHandle,
    state: Mutex<State>,
    changed: Condvar,
    due: Notify,
    record: Record,
}

impl Desk {
    /// An empty desk of this Defender process.
    #[must_use]
    pub fn new(instance: String) -> Arc<Self> {
        Self::with_record(instance, RECORD_BYTES)
    }

    /// An empty desk whose record has at most this many bytes.
    #[must_use]
    pub fn with_record(instance: String, bytes: usize) -> Arc<Self> {
        let state = State {
            repeats: Some(Repeats::default()),
            spool: Spool::new(SPOOL_BYTES),
            received: 0,
            policy_hash: None,
            none_to_be_had: false,
            tier: 0,
            tier_reasons: vec!["the application is not started yet".into()],
        };
        Arc::new(Self {
            instance,
            policy: PolicyHandle::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            due: Notify::new(),
            record: Record::new(bytes),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of this Defender process.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The policy in force, to be shared with the supervisor.
    #[must_use]
    pub fn policy(&self) -> PolicyHandle {
        self.policy.clone()
    }

    /// Puts a policy in force.
    ///
    /// # Errors
    /// [`PolicyError`] when it cannot be understood whole; the last good one stays.
    pub fn apply(&self, hash: String, policy: DefenderPolicy) -> Result<(), PolicyError> {
        self.policy.replace(CompiledPolicy::new(policy)?);
        self.state().policy_hash = Some(hash);
        self.changed.notify_all();
        self.due.notify_one();
        Ok(())
    }

    /// Notes that there is no policy at the other end either: it was waited for there before this workload was started.
    pub fn none_to_be_had(&self) {
        self.state().none_to_be_had = true;
        self.changed.notify_all();
    }

    /// Waits until a policy is in force, or is known not to be had; false when `timeout` passed first.
    #[must_use]
    pub fn wait_for_news(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.policy_hash.is_some() || state.none_to_be_had)
    }

    /// Waits until a policy is in force; false when `timeout` passed first.
    #[must_use]
    pub fn wait_for_policy(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.policy_hash.is_some())
    }

    /// The workload has ended: nothing more is held back to be counted.
    pub fn release(&self) {
        let mut state = self.state();
        state.release(Repeats::all);
        state.repeats = None;
        drop(state);
        self.due.notify_one();
    }

    /// Waits until all audits are safe elsewhere; false when `timeout` passed first.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.hurry();
        self.wait(timeout, |state| {
            state.received >= state.spool.last() && self.record.with_gatherer(|gatherer| gatherer.is_empty())
        })
    }

    /// What the workload did.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The Console wants a piece of the record.
    pub fn fetch(&self, fetch: Fetch) {
        self.record.ask(fetch);
        self.due.notify_one();
    }

    /// The observations of this number are safe elsewhere.
    pub fn learned(&self, number: u64) {
        self.record.with_gatherer(|gatherer| gatherer.arrived(number));
        // Taken and given back, so that a waiter that looks just now is not missed.
        drop(self.state());
        self.changed.notify_all();
    }

    /// The end is near: what was observed is to be sent now.
    pub fn hurry(&self) {
        self.record.with_gatherer(Gatherer::hurry);
        self.due.notify_one();
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + timeout;
        let mut state = self.state();
        while !done(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Keeps a notice of the Defender about itself.
    pub fn notice(&self, notice: Notice, detail: &str) {
        self.submit(AuditDraft::notice(now(), notice, detail, 0));
    }

    /// Resolves when something may have to be sent. Of one waiter, which sends all that there is.
    pub async fn due(&self) {
        self.due.notified().await;
    }

    pub(crate) fn wake(&self) -> &Notify {
        &self.due
    }

    /// The next audits to send.
    pub fn next_batch(&self, most: usize) -> Vec<defender_core::Audit> {
        let mut state = self.state();
        let now = now();
        state.release(|repeats| repeats.due(now));
        state.spool.report_drops(now);
        state.spool.next_batch(most)
    }

    /// The connection was lost.
    pub fn rewind(&self) {
        self.state().spool.rewind();
        self.record.with_gatherer(Gatherer::rewind);
    }

    /// The other side holds audits up to `received`; those up to `committed` need not be kept here any more.
    pub fn acknowledge(&self, received: u64, committed: u64) {
        let mut state = self.state();
        state.spool.commit(committed);
        state.received = state.received.max(received).max(committed);
        drop(state);
        self.changed.notify_all();
    }

    /// What is in force here.
    #[must_use]
    pub fn status(&self) -> WorkloadStatus {
        let state = self.state();
        WorkloadStatus {
            container: None,
            instance: self.instance.clone(),
            policy_hash: state.policy_hash.clone(),
            tier: state.tier,
            tier_reasons: state.tier_reasons.clone(),
            dropped: state.spool.dropped(),
        }
    }
}

impl AuditSink for Desk {
    fn submit(&self, mut draft: AuditDraft) {
        if let Event::Process(process) = &mut draft.event {
            process.arguments = scrub(&process.arguments);
        }
        let mut state = self.state();
        let out = match &mut state.repeats {
            Some(repeats) => repeats.take(draft, now()),
            None => vec![Counted { draft, count: 1 }],
        };
        let news = !out.is_empty();
        state.push(out);
        drop(state);
        if news {
            self.due.notify_one();
        }
    }

    fn tick(&self) {
        let mut state = self.state();
        let (before, now) = (state.spool.last(), now());
        state.release(|gatherer| gatherer.due(now));
        let news = state.spool.last() > before;
        drop(state);
        if news {
            self.due.notify_one();
        }
    }

    fn saw(&self, event: &Event, judged: Option<Judged>) {
        self.record.take(now(), event, judged);
    }
}

impl TierReport for Desk {
    fn report(&self, tier: u8, reasons: Vec<String>) {
        let mut state = self.state();
        state.tier = tier;
        state.tier_reasons = reasons.into_iter().take(32).map(|reason| reason.chars().take(1024).collect()).collect();
        drop(state);
        self.due.notify_one();
    }
}

/// Unix milliseconds.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
