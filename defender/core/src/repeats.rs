//! Equal audits become one with a count, so that a storm of the same event costs one audit per window.
//!
//! The first of its kind goes out at once. Those that follow within the window are counted, and go out as one when it ends.
//! Equal means: same rule, effect, reason, matched entry and event, but for the process id, the time and the arguments.
//! Arguments tell people what was meant: the first few variants of a kind go out in full, each once.
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    mem,
};

use crate::{AuditDraft, Event, RequestEvent};

/// Milliseconds during which equal audits are counted.
pub const WINDOW: u64 = 10_000;
/// Kinds that are remembered at once; a new one beyond that ends the window of the oldest.
const MOST_KINDS: usize = 512;
/// Variants by arguments of one kind that go out in full within a window.
const MOST_VARIANTS: usize = 32;

/// An audit, and how often it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The latest of them.
    pub draft: AuditDraft,
    /// At least 1 for what goes out.
    pub count: u64,
}

impl Counted {
    fn is_news(&self) -> bool {
        self.count > 0
    }
}

/// Counts equal audits.
#[derive(Debug, Default)]
pub struct Repeats {
    kinds: HashMap<u64, Kind>,
    /// Ends of windows, in order, each once.
    ends: BTreeMap<(u64, u64), u64>,
    hasher: RandomState,
    order: u64,
}

#[derive(Debug)]
struct Kind {
    /// The latest, without what does not count for equality in the comparison.
    draft: AuditDraft,
    /// Not gone out yet.
    count: u64,
    /// Arguments that went out, as hashes.
    variants: HashSet<u64>,
    end: (u64, u64),
}

impl Repeats {
    /// Takes an audit at `now` (unix milliseconds). Gives what has to go out at once: the audit itself if it is the first of
    /// its kind, and the oldest kind if there is no more room.
    pub fn take(&mut self, draft: AuditDraft, now: u64) -> Vec<Counted> {
        if matches!(draft.event, Event::Defender(_)) {
            return vec![Counted { draft, count: 1 }];
        }
        let key = self.key(&draft);
        match self.kinds.get_mut(&key) {
            Some(kind) if is_same(&kind.draft, &draft) => {
                if kind.variants.len() < MOST_VARIANTS && kind.variants.insert(self.hasher.hash_one(arguments(&draft)))
                {
                    return vec![Counted { draft, count: 1 }];
                }
                kind.draft = draft;
                kind.count += 1;
                Vec::new()
            }
            // Two kinds with one hash: rare, and the second is not counted.
            Some(_) => vec![Counted { draft, count: 1 }],
            None => {
                let mut out = Vec::new();
                if self.kinds.len() >= MOST_KINDS {
                    out.extend(self.end_oldest().filter(Counted::is_news));
                }
                self.begin(key, draft.clone(), now);
                out.push(Counted { draft, count: 1 });
                out
            }
        }
    }

    /// What has to go out because its window has ended by `now`. A kind that was counted gets another window.
    pub fn due(&mut self, now: u64) -> Vec<Counted> {
        let mut out = Vec::new();
        while self.next_end().is_some_and(|end| end <= now) {
            let key = self.ends.first_key_value().map(|(_, key)| *key);
            let Some(counted) = self.end_oldest().filter(Counted::is_news) else { continue };
            if let Some(key) = key {
                self.begin(key, counted.draft.clone(), now);
            }
            out.push(counted);
        }
        out
    }

    /// Everything that was counted and has not gone out.
    pub fn all(&mut self) -> Vec<Counted> {
        let mut out = Vec::new();
        while let Some(ended) = self.end_oldest() {
            out.extend(Some(ended).filter(Counted::is_news));
        }
        out
    }

    /// When something may be due next, in unix milliseconds; none when nothing is remembered.
    #[must_use]
    pub fn next_end(&self) -> Option<u64> {
        self.ends.first_key_value().map(|((end, _), _)| *end)
    }

    fn begin(&mut self, key: u64, draft: AuditDraft, now: u64) {
        self.order += 1;
        let end = (now.saturating_add(WINDOW), self.order);
        self.ends.insert(end, key);
        let variants = HashSet::from([self.hasher.hash_one(arguments(&draft))]);
        self.kinds.insert(key, Kind { draft, count: 0, variants, end });
    }

    /// Forgets the kind whose window ends first; what of it has not gone out, which may be none. None when there is no kind.
    fn end_oldest(&mut self) -> Option<Counted> {
        let (_, key) = self.ends.pop_first()?;
        let kind = self.kinds.remove(&key)?;
        debug_assert!(!self.ends.contains_key(&kind.end));
        Some(Counted { draft: kind.draft, count: kind.count })
    }

    fn key(&self, draft: &AuditDraft) -> u64 {
        let mut state = self.hasher.build_hasher();
        draft.rule.hash(&mut state);
        draft.matched.hash(&mut state);
        mem::discriminant(&draft.reason).hash(&mut state);
        mem::discriminant(&draft.effect).hash(&mut state);
        mem::discriminant(&draft.event).hash(&mut state);
        match &draft.event {
            Event::Process(event) => (&event.path, &event.invoked, &event.parent_path, event.user).hash(&mut state),
            Event::Lookup(event) => (&event.name, &event.record_type, &event.path).hash(&mut state),
            Event::Connection(event) => (event.address, event.port, &event.path).hash(&mut state),
            Event::Listen(event) => (event.address, event.port, &event.path).hash(&mut state),
            Event::File(event) => (&event.file, &event.path, event.user).hash(&mut state),
            Event::Request(event) => {
                (&event.attack, &event.method, &event.path, &event.host, &event.address).hash(&mut state);
            }
            Event::Defender(_) => {}
        }
        state.finish()
    }
}

fn arguments(draft: &AuditDraft) -> &[String] {
    match &draft.event {
        Event::Process(event) => &event.arguments,
        // Whoever is shown a number on a block page may ask for it.
        Event::Request(event) => std::slice::from_ref(&event.event_id),
        _ => &[],
    }
}

/// Equal but for the process id, the time and the arguments. Notices about the Defender are never taken together: they count by
/// themselves.
fn is_same(one: &AuditDraft, other: &AuditDraft) -> bool {
    let same = one.rule == other.rule
        && one.effect == other.effect
        && one.reason == other.reason
        && one.matched == other.matched;
    same && match (&one.event, &other.event) {
        (Event::Process(one), Event::Process(other)) => {
            (&one.path, &one.invoked, &one.parent_path, one.user, one.main, one.interpreted, &one.sha256)
                == (
                    &other.path,
                    &other.invoked,
                    &other.parent_path,
                    other.user,
                    other.main,
                    other.interpreted,
                    &other.sha256,
                )
        }
        (Event::Lookup(one), Event::Lookup(other)) => {
            (&one.name, &one.record_type, &one.path) == (&other.name, &other.record_type, &other.path)
        }
        (Event::Connection(one), Event::Connection(other)) => {
            (one.protocol, one.address, one.port, &one.path) == (other.protocol, other.address, other.port, &other.path)
        }
        (Event::Listen(one), Event::Listen(other)) => {
            (one.protocol, one.address, one.port, &one.path) == (other.protocol, other.address, other.port, &other.path)
        }
        (Event::File(one), Event::File(other)) => {
            (one.operation, &one.file, &one.path, one.user) == (other.operation, &other.file, &other.path, other.user)
        }
        (Event::Request(one), Event::Request(other)) => {
            let kind = |event: &RequestEvent| (event.status, event.rules.clone(), event.user_agent.clone());
            (&one.application, &one.attack, &one.protection, &one.field.place, &one.field.key)
                == (&other.application, &other.attack, &other.protection, &other.field.place, &other.field.key)
                && (&one.method, &one.path, &one.host, &one.address)
                    == (&other.method, &other.path, &other.host, &other.address)
                && kind(one) == kind(other)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
