//! The proxy towards the link: policies in, state and audits out, beside those of whatever else is protected.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use defender_core::{AuditDraft, Counted, Repeats, Spool};
use serde_json::Value;
use tokio::sync::Notify;

use super::{
    Waas,
    delivery::{Delivered, Delivery, Set},
    plane::Reporter,
};
use crate::{
    enforcement::AuditSink,
    link::{
        desk::{self, Desk},
        message::{RulesetPart, ToConsole, Workload, WorkloadPolicy, WorkloadStatus},
        protected::{Batch, Protected},
    },
    recorder::Fetch,
};

/// Bytes of audits kept while nobody takes them.
const SPOOL_BYTES: usize = 4 << 20;

impl Reporter for Desk {
    fn report(&self, draft: AuditDraft) {
        self.submit(draft);
    }
}

/// Audits of the sidecar itself: a port belongs to a task, not to one of its containers.
pub struct Tray {
    source: String,
    due: Arc<dyn Protected>,
    state: Mutex<(Repeats, Spool)>,
}

impl Tray {
    /// An empty tray; `source` is the sidecar's instance, `protected` what the link waits for.
    #[must_use]
    pub fn new(source: String, protected: Arc<dyn Protected>) -> Arc<Self> {
        let state = Mutex::new((Repeats::default(), Spool::new(SPOOL_BYTES)));
        Arc::new(Self { source, due: protected, state })
    }

    fn state(&self) -> MutexGuard<'_, (Repeats, Spool)> {
        // Nothing below can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_batch(&self, most: usize) -> Option<Batch> {
        let (repeats, spool) = &mut *self.state();
        let now = desk::now();
        push(spool, repeats.due(now));
        spool.report_drops(now);
        let audits = spool.next_batch(most);
        (!audits.is_empty()).then(|| Batch { source: self.source.clone(), container: None, audits })
    }
}

impl Reporter for Tray {
    fn report(&self, draft: AuditDraft) {
        let (repeats, spool) = &mut *self.state();
        push(spool, repeats.take(draft, desk::now()));
        self.due.due().notify_one();
    }
}

fn push(spool: &mut Spool, out: Vec<Counted>) {
    for one in out {
        spool.push_counted(one.draft, one.count);
    }
}

/// What is protected, with the proxy before it.
pub struct Front {
    /// What is protected.
    pub protected: Arc<dyn Protected>,
    /// The proxy.
    pub waas: Arc<Waas>,
    /// Where its audits go if not to the workload's own.
    pub tray: Option<Arc<Tray>>,
    turn: AtomicBool,
    delivery: Mutex<Delivery>,
}

impl Front {
    /// Puts a proxy before what is protected.
    #[must_use]
    pub fn new(protected: Arc<dyn Protected>, waas: Arc<Waas>, tray: Option<Arc<Tray>>) -> Self {
        Self { protected, waas, tray, turn: AtomicBool::new(false), delivery: Mutex::default() }
    }
}

impl Protected for Front {
    fn workloads(&self) -> Vec<Workload> {
        self.protected.workloads()
    }

    fn statuses(&self) -> Vec<WorkloadStatus> {
        self.protected.statuses()
    }

    fn take_policies(&self, policies: Vec<WorkloadPolicy>) {
        self.protected.take_policies(policies);
    }

    fn next_batch(&self, most: usize) -> Option<Batch> {
        // Taken in turns: neither side's flood may silence the other.
        let mine = || self.tray.as_ref()?.next_batch(most);
        if self.turn.fetch_xor(true, Ordering::Relaxed) {
            mine().or_else(|| self.protected.next_batch(most))
        } else {
            self.protected.next_batch(most).or_else(mine)
        }
    }

    fn committed(&self, source: &str, committed: u64) {
        match &self.tray {
            Some(tray) if tray.source == source => tray.state().1.commit(committed),
            _ => self.protected.committed(source, committed),
        }
    }

    fn fetch(&self, container: Option<String>, fetch: Fetch) {
        self.protected.fetch(container, fetch);
    }

    fn next_news(&self) -> Option<ToConsole> {
        self.protected.next_news()
    }

    fn learned(&self, container: Option<&str>, number: u64) {
        self.protected.learned(container, number);
    }

    fn hurry(&self) {
        if let Some(tray) = &self.tray {
            let (repeats, spool) = &mut *tray.state();
            push(spool, repeats.all());
        }
        self.protected.hurry();
    }

    fn rewind(&self) {
        if let Some(tray) = &self.tray {
            tray.state().1.rewind();
        }
        self.protected.rewind();
    }

    fn due(&self) -> &Notify {
        self.protected.due()
    }

    fn take_waas(&self, hash: &str, policy: Option<&str>) {
        self.waas.take_policy(hash, policy);
        self.due().notify_one();
    }

    fn take_ruleset(&self, part: RulesetPart) {
        let delivered = self.delivery.lock().unwrap_or_else(PoisonError::into_inner).take(part);
        let set = match delivered {
            Delivered::Nothing => return,
            Delivered::BuiltIn => Ok(None),
            Delivered::Set(hash, bytes) => bytes.and_then(|bytes| Set::read(&hash, &bytes)).map(Some),
        };
        let protected = self.protected.clone();
        self.waas.take_ruleset(set.map_err(|error| error.to_string()), move || protected.due().notify_one());
    }

    fn ruleset(&self) -> Option<String> {
        self.waas.ruleset_hash()
    }

    fn waas(&self) -> Option<Value> {
        self.waas.status()
    }

    fn discovery(&self) -> Option<Value> {
        self.waas.discovery()
    }
}
