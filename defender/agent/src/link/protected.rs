//! What the link to the Console speaks for: one workload, or all containers of a task.
use std::sync::Arc;

use defender_core::{Audit, Chunk};
use serde_json::Value;
use tokio::sync::Notify;

use super::{
    desk::Desk,
    message::{RulesetPart, ToConsole, Workload, WorkloadPolicy, WorkloadStatus},
};
use crate::recorder::{Fetch, Gatherer, Observing};

/// Audits of one source for one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The Defender process that made them.
    pub source: String,
    /// Its container.
    pub container: Option<String>,
    /// In order of `seq`, never empty.
    pub audits: Vec<Audit>,
}

/// The workloads behind one link. No method blocks.
pub trait Protected: Send + Sync {
    /// The workloads of the hello.
    fn workloads(&self) -> Vec<Workload>;
    /// The present state of those that are live.
    fn statuses(&self) -> Vec<WorkloadStatus>;
    /// Takes the policies that the Console sent; one that cannot be understood leaves the last good one in force.
    fn take_policies(&self, policies: Vec<WorkloadPolicy>);
    /// The next audits to send, at most `most`.
    fn next_batch(&self, most: usize) -> Option<Batch>;
    /// The Console holds everything of `source` up to `committed`.
    fn committed(&self, source: &str, committed: u64);
    /// The Console wants a piece of a workload's record.
    fn fetch(&self, container: Option<String>, fetch: Fetch);
    /// The next piece of a record, or observations, to send.
    fn next_news(&self) -> Option<ToConsole>;
    /// The Console holds the observations of this number.
    fn learned(&self, container: Option<&str>, number: u64);
    /// The end is near: what was observed is to be sent now.
    fn hurry(&self);
    /// The connection was lost: what is not committed has to be sent again.
    fn rewind(&self);
    /// Told whenever something may have to be sent.
    fn due(&self) -> &Notify;
    /// Takes the policy of the reverse proxy, as JSON; where there is no proxy it means nothing.
    fn take_waas(&self, _hash: &str, _policy: Option<&str>) {}
    /// Takes a piece of the rules that the reverse proxy is to judge by.
    fn take_ruleset(&self, _part: RulesetPart) {}
    /// The set of rules from the Console by which the reverse proxy judges, where there is one.
    fn ruleset(&self) -> Option<String> {
        None
    }
    /// The state of the reverse proxy, where there is one.
    fn waas(&self) -> Option<Value> {
        None
    }
    /// What the reverse proxy learnt of applications' endpoints since this was last called.
    fn discovery(&self) -> Option<Value> {
        None
    }
}

/// A piece of a record as it travels.
pub(crate) fn snapshot(id: String, container: Option<String>, chunk: Chunk) -> ToConsole {
    let Chunk { first, newest, events } = chunk;
    ToConsole::Snapshot { id, container, first, newest, events }
}

/// Observations as they travel.
pub(crate) fn observations(container: Option<String>, observing: Observing) -> ToConsole {
    let Observing { number, observed, overflow } = observing;
    ToConsole::Observations { container, number, observed, overflow }
}

/// The one workload of an app-embedded Defender.
pub struct Embedded(pub Arc<Desk>);

impl Protected for Embedded {
    fn workloads(&self) -> Vec<Workload> {
        vec![Workload { container: None, image: None }]
    }

    fn statuses(&self) -> Vec<WorkloadStatus> {
        vec![self.0.status()]
    }

    fn take_policies(&self, policies: Vec<WorkloadPolicy>) {
        for policy in policies.into_iter().filter(|policy| policy.container.is_none()) {
            if let Err(error) = self.0.apply(policy.hash, policy.policy) {
                crate::say!("bartizan: the policy was refused, the last one stays: {error}");
            }
        }
    }

    fn next_batch(&self, most: usize) -> Option<Batch> {
        let audits = self.0.next_batch(most);
        (!audits.is_empty()).then(|| Batch { source: self.0.instance().to_owned(), container: None, audits })
    }

    fn committed(&self, source: &str, committed: u64) {
        if source == self.0.instance() {
            self.0.acknowledge(committed, committed);
        }
    }

    fn fetch(&self, container: Option<String>, fetch: Fetch) {
        if container.is_none() {
            self.0.fetch(fetch);
        }
    }

    fn next_news(&self) -> Option<ToConsole> {
        if let Some((id, chunk)) = self.0.record().answer() {
            return Some(snapshot(id, None, chunk));
        }
        self.0.record().with_gatherer(Gatherer::take_due).map(|observing| observations(None, observing))
    }

    fn learned(&self, container: Option<&str>, number: u64) {
        if container.is_none() {
            self.0.learned(number);
        }
    }

    fn hurry(&self) {
        self.0.hurry();
    }

    fn rewind(&self) {
        self.0.rewind();
    }

    fn due(&self) -> &Notify {
        self.0.wake()
    }
}
