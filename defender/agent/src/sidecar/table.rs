//! What the sidecar knows of the containers of its task: policies for them, audits of them, who is attached.
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use defender_core::{Audit, AuditDraft, Chunk, CompiledPolicy, DefenderPolicy, Notice, Observed, Spool, encoded_size};
use tokio::sync::{Notify, watch};

use crate::{
    config::Container,
    link::{
        desk,
        message::{FromSidecar, ToConsole, Workload, WorkloadPolicy, WorkloadStatus},
        protected::{Batch, Protected, observations, snapshot},
    },
    recorder::{Fetch, Gatherer},
};

/// Bytes of audits held for one container. What does not fit is given up, of this container alone: alerts first.
const CONTAINER_BYTES: usize = 4 << 20;
/// Largest audit taken. Four paths and argument vectors of 4 KiB, every byte of them escaped, are below: nobody may mute
/// his Defender by a strange name.
const LARGEST_AUDIT: usize = 256 << 10;
/// One notice of refused attachments for each container in this time.
/// Largest piece of a record taken; an honest one has 512 KiB, and with what is put around it, it has to fit into a message.
const LARGEST_CHUNK: usize = 900 << 10;
/// Between two messages of observations of one container: none of them may use up what the Console takes of the whole task.
const OBSERVATIONS_PACE: Duration = Duration::from_secs(10);
const NOTICE_INTERVAL: Duration = Duration::from_mins(1);

/// Why the relay refuses; said to the other side.
pub type Refusal = &'static str;

struct Slot {
    image: Option<String>,
    policy: Option<(String, DefenderPolicy)>,
    /// Number and instance of the live attachment.
    live: Option<(u64, String)>,
    status: Option<WorkloadStatus>,
    /// Source of the sidecar's own notices about this container.
    notices: String,
    refused: u64,
    noticed: Option<Instant>,
    /// Audits given up here since the last notice about it.
    dropped: u64,
    /// The piece of the record that the Console has asked for.
    fetch: Option<Fetch>,
    /// The answer, until it is sent.
    snapshot: Option<(String, Chunk)>,
    gatherer: Gatherer,
}

struct Source {
    container: String,
    spool: Spool,
    live: bool,
}

struct State {
    slots: BTreeMap<String, Slot>,
    sources: BTreeMap<String, Source>,
    attachments: u64,
    /// The source that was served last: the next batch is of the one after it.
    served: String,
}

impl State {
    fn bytes(&self, container: &str) -> usize {
        self.sources.values().filter(|source| source.container == container).map(|source| source.spool.bytes()).sum()
    }

    /// Gives up audits of a container until the rest fits: the oldest alerts, and what was prevented only when none is left.
    fn make_room(&mut self, container: &str) {
        let mut excess = self.bytes(container).saturating_sub(CONTAINER_BYTES);
        let mut dropped = 0;
        while excess > 0 {
            let freed = self.free(container, Spool::give_up_alert).or_else(|| self.free(container, Spool::give_up_any));
            let Some(freed) = freed else { break };
            excess = excess.saturating_sub(freed);
            dropped += 1;
        }
        if let Some(slot) = self.slots.get_mut(container) {
            slot.dropped += dropped;
        }
    }

    /// Lets the first source of a container that can give something up; the bytes that became free.
    fn free(&mut self, container: &str, give_up: fn(&mut Spool) -> bool) -> Option<usize> {
        let mut spools = self.sources.values_mut().filter(|source| source.container == container);
        spools.find_map(|Source { spool, .. }| {
            let before = spool.bytes();
            give_up(spool).then(|| before - spool.bytes())
        })
    }

    /// Says how much was given up, once for each batch of it.
    fn report_drops(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| slot.dropped > 0) {
            let Some(source) = self.sources.get_mut(&slot.notices).filter(|source| source.spool.bytes() == 0) else {
                continue;
            };
            let count = std::mem::take(&mut slot.dropped);
            let detail = "the sidecar's spool was full, audits were given up";
            source.spool.push(AuditDraft::notice(desk::now(), Notice::AuditsDropped, detail, count));
        }
    }

    fn notice(&mut self, container: &str) {
        let Some(slot) = self.slots.get_mut(container) else { return };
        slot.refused += 1;
        if slot.noticed.is_some_and(|last| last.elapsed() < NOTICE_INTERVAL) {
            return;
        }
        slot.noticed = Some(Instant::now());
        let count = std::mem::take(&mut slot.refused);
        let detail = "somebody tried to attach to the sidecar without being this container";
        if let Some(source) = self.sources.get_mut(&slot.notices) {
            source.spool.push(AuditDraft::notice(desk::now(), Notice::AttachRefused, detail, count));
        }
    }
}

/// The table. Locks are held for moments only and never across input or output.
pub struct Table {
    state: Mutex<State>,
    due: Notify,
    changed: watch::Sender<u64>,
}

impl Table {
    /// A table of these containers; `instance` makes the ids of the sidecar's own audit sources.
    ///
    /// # Errors
    /// Those of `instance`.
    pub fn new<E>(containers: &[Container], instance: impl Fn() -> Result<String, E>) -> Result<Arc<Self>, E> {
        let (mut slots, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for container in containers {
            let notices = instance()?;
            let spool = Spool::new(CONTAINER_BYTES / 16);
            sources.insert(notices.clone(), Source { container: container.name.clone(), spool, live: true });
            let image = container.image.clone();
            let slot = Slot {
                image,
                policy: None,
                live: None,
                status: None,
                notices,
                refused: 0,
                noticed: None,
                dropped: 0,
                fetch: None,
                snapshot: None,
                gatherer: Gatherer::new(OBSERVATIONS_PACE),
            };
            slots.insert(container.name.clone(), slot);
        }
        let state = State { slots, sources, attachments: 0, served: String::new() };
        Ok(Arc::new(Self { state: Mutex::new(state), due: Notify::new(), changed: watch::channel(0).0 }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Changes with every policy, every acknowledgement and every attachment.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// True when every container has a policy.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.state().slots.values().all(|slot| slot.policy.is_some())
    }

    /// True when the Console holds every audit.
    #[must_use]
    pub fn flushed(&self) -> bool {
        self.state().sources.values().all(|source| source.spool.bytes() == 0)
    }

    /// Notes that somebody failed to prove to be `container`.
    pub fn refused(&self, container: &str) {
        let mut state = self.state();
        let known = state.slots.contains_key(container);
        let first = state.slots.keys().next().cloned().unwrap_or_default();
        state.notice(if known { container } else { &first });
        drop(state);
        self.due.notify_one();
    }

    /// Attaches a proven container. Its end detaches. `source` is the name of its audits towards the Console, made by
    /// [`super::token::Tokens::source`].
    ///
    /// # Errors
    /// A [`Refusal`] while another attachment of the container lives.
    pub fn attach(self: &Arc<Self>, container: &str, instance: &str, source: String) -> Result<Attached, Refusal> {
        let mut state = self.state();
        state.attachments += 1;
        let number = state.attachments;
        let slot = state.slots.get_mut(container).ok_or("this container is not of this task")?;
        if slot.live.is_some() {
            return Err("this container is attached already");
        }
        slot.live = Some((number, instance.to_owned()));
        let fresh = || Source { container: container.to_owned(), spool: Spool::new(usize::MAX), live: true };
        state.sources.entry(source.clone()).or_insert_with(fresh).live = true;
        drop(state);
        let (container, instance) = (container.to_owned(), instance.to_owned());
        Ok(Attached { table: self.clone(), container, instance, source, number })
    }
}

/// The live attachment of one container.
pub struct Attached {
    table: Arc<Table>,
    container: String,
    instance: String,
    source: String,
    number: u64,
}

impl Attached {
    /// The policy as it has to be sent now.
    #[must_use]
    pub fn policy(&self) -> FromSidecar {
        let (hash, policy) = self.table.state().slots.get(&self.container).and_then(|slot| slot.policy.clone()).unzip();
        FromSidecar::Policy { hash, policy }
    }

    /// How far the audits of this instance have come.
    #[must_use]
    pub fn progress(&self) -> FromSidecar {
        let state = self.table.state();
        let (received, committed) =
            state.sources.get(&self.source).map_or((0, 0), |source| (source.spool.last(), source.spool.committed()));
        FromSidecar::Ack { received, committed }
    }

    /// Takes over a status report.
    pub fn report(&self, mut status: WorkloadStatus) {
        status.container = Some(self.container.clone());
        status.instance.clone_from(&self.instance);
        if let Some(slot) = self.table.state().slots.get_mut(&self.container) {
            slot.status = Some(status);
        }
        self.announce();
    }

    /// Takes audits over; those that are here already are left out.
    ///
    /// # Errors
    /// A [`Refusal`] for an audit that is too large to be honest.
    pub fn receive(&self, audits: Vec<Audit>) -> Result<(), Refusal> {
        if audits.iter().any(|audit| encoded_size(audit) > LARGEST_AUDIT) {
            return Err("an audit is larger than 256 KiB");
        }
        let mut state = self.table.state();
        if let Some(source) = state.sources.get_mut(&self.source) {
            for audit in audits {
                source.spool.insert(audit);
            }
        }
        state.make_room(&self.container);
        drop(state);
        self.announce();
        Ok(())
    }

    /// What has to be asked of the container, if anything.
    #[must_use]
    pub fn fetch(&self) -> Option<FromSidecar> {
        let fetch = self.table.state().slots.get(&self.container)?.fetch.clone()?;
        Some(FromSidecar::Fetch { id: fetch.id, after: fetch.after })
    }

    /// Takes a piece of the record over; one that nobody asked for is left out.
    ///
    /// # Errors
    /// A [`Refusal`] for one that is too large to be honest.
    pub fn snapshot(&self, id: &str, chunk: Chunk) -> Result<(), Refusal> {
        if encoded_size(&chunk.events) > LARGEST_CHUNK {
            return Err("a piece of the record is larger than 900 KiB");
        }
        if let Some(slot) = self.table.state().slots.get_mut(&self.container)
            && slot.fetch.take_if(|fetch| fetch.id == id).is_some()
        {
            slot.snapshot = Some((id.to_owned(), chunk));
        }
        self.announce();
        Ok(())
    }

    /// Takes observations over.
    pub fn observe(&self, observed: &[Observed], overflow: u64) {
        if let Some(slot) = self.table.state().slots.get_mut(&self.container) {
            slot.gatherer.merge(observed, overflow);
        }
        self.announce();
    }

    fn announce(&self) {
        self.table.due.notify_one();
        self.table.tell();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.table.state();
        if let Some(slot) = state.slots.get_mut(&self.container) {
            slot.live.take_if(|(number, _)| *number == self.number);
            if let Some(status) = &mut slot.status {
                status.tier = 0;
                status.tier_reasons = vec!["its Defender is not attached to the sidecar".into()];
            }
        }
        if let Some(source) = state.sources.get_mut(&self.source) {
            source.live = false;
            if source.spool.bytes() == 0 {
                state.sources.remove(&self.source);
            }
        }
        drop(state);
        self.announce();
    }
}

impl Protected for Table {
    fn workloads(&self) -> Vec<Workload> {
        let state = self.state();
        let workload =
            |(name, slot): (&String, &Slot)| Workload { container: Some(name.clone()), image: slot.image.clone() };
        state.slots.iter().map(workload).collect()
    }

    fn statuses(&self) -> Vec<WorkloadStatus> {
        self.state().slots.values().filter_map(|slot| slot.status.clone()).collect()
    }

    fn take_policies(&self, policies: Vec<WorkloadPolicy>) {
        let mut state = self.state();
        for WorkloadPolicy { container, hash, policy } in policies {
            let Some(slot) = container.as_ref().and_then(|name| state.slots.get_mut(name)) else { continue };
            match CompiledPolicy::new(policy.clone()) {
                Ok(_) => slot.policy = Some((hash, policy)),
                Err(error) => crate::say!("bartizan: a policy was refused, the last one stays: {error}"),
            }
        }
        drop(state);
        self.tell();
    }

    fn next_batch(&self, most: usize) -> Option<Batch> {
        let mut state = self.state();
        state.report_drops();
        let State { sources, served, .. } = &mut *state;
        let after: Vec<String> = sources
            .range::<String, _>((Bound::Excluded(&*served), Bound::Unbounded))
            .map(|(id, _)| id.clone())
            .collect();
        let until: Vec<String> = sources.range::<String, _>(..=&*served).map(|(id, _)| id.clone()).collect();
        for id in after.into_iter().chain(until) {
            let Some(source) = sources.get_mut(&id) else { continue };
            let audits = source.spool.next_batch(most);
            if !audits.is_empty() {
                served.clone_from(&id);
                return Some(Batch { source: id, container: Some(source.container.clone()), audits });
            }
        }
        None
    }

    fn committed(&self, source: &str, committed: u64) {
        let mut state = self.state();
        if let Some(found) = state.sources.get_mut(source) {
            found.spool.commit(committed);
            if !found.live && found.spool.bytes() == 0 {
                state.sources.remove(source);
            }
        }
        drop(state);
        self.tell();
    }

    fn fetch(&self, container: Option<String>, fetch: Fetch) {
        let mut state = self.state();
        if let Some(slot) = container.and_then(|name| state.slots.get_mut(&name)) {
            slot.fetch = Some(fetch);
        }
        drop(state);
        self.tell();
    }

    fn next_news(&self) -> Option<ToConsole> {
        let mut state = self.state();
        state.slots.iter_mut().find_map(|(name, slot)| {
            let answer = slot.snapshot.take().map(|(id, chunk)| snapshot(id, Some(name.clone()), chunk));
            answer.or_else(|| slot.gatherer.take_due().map(|observing| observations(Some(name.clone()), observing)))
        })
    }

    fn learned(&self, container: Option<&str>, number: u64) {
        let mut state = self.state();
        if let Some(slot) = container.and_then(|name| state.slots.get_mut(name)) {
            slot.gatherer.arrived(number);
        }
    }

    fn hurry(&self) {
        self.state().slots.values_mut().for_each(|slot| slot.gatherer.hurry());
        self.due.notify_one();
    }

    fn rewind(&self) {
        let mut state = self.state();
        for slot in state.slots.values_mut() {
            (slot.fetch, slot.snapshot) = (None, None);
            slot.gatherer.rewind();
        }
        drop(state);
        self.state().sources.values_mut().for_each(|source| source.spool.rewind());
    }

    fn due(&self) -> &Notify {
        &self.due
    }
}
