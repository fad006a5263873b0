//! The automata of patterns, which are made state by state as values ask for them, and what all of them may take together.
//!
//! A state that was made is kept for the next value. Values that are like nothing before make new states all the time: an
//! automaton that is full then begins anew, and so do all of them when together they take too much. Without that one would be
//! full for good sooner or later, and every value that needs a new state would be looked at in the slow way, without states.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use regex_automata::{
    Input, MatchKind, PatternID,
    hybrid::dfa::{self, DFA},
    meta::{self, Regex},
    nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM},
    util::prefilter::Prefilter,
};
use regex_syntax::hir::Hir;

use super::{Captures, Effort, MOST_CAPTURES};

/// Bytes of states that one automaton may have before it begins anew.
pub(super) const MOST_STATES: usize = 1 << 20;
/// Bytes that the states of all automata may take together.
const MOST_TOGETHER: usize = 16 << 20;
/// So often an automaton may be filled for one value, unless each state serves for as many bytes: then states are dearer than
/// none.
const MOST_FILLED: usize = 2;
const LEAST_SERVED: usize = 10;
/// Work, in bytes looked at: of a byte that is looked at without states, and of one in which groups are looked for.
const WITHOUT: u64 = 20;
const GROUPING: u64 = 8;

/// All that was made, for whoever needs room.
static ALL: Mutex<Vec<Weak<Made>>> = Mutex::new(Vec::new());
/// Bytes that all of it takes.
static TOGETHER: AtomicUsize = AtomicUsize::new(0);

/// A pattern's automaton.
#[derive(Debug)]
pub(super) struct Automaton {
    forward: DFA,
    nfa: NFA,
    /// Looks for groups; few patterns are ever asked for those.
    grouping: OnceLock<Option<Regex>>,
    written: Arc<str>,
    made: Arc<Made>,
}

/// The states that were made so far.
#[derive(Debug, Default)]
struct Made(Mutex<States>);

#[derive(Debug, Default)]
struct States {
    forward: Option<Box<dfa::Cache>>,
    grouping: Option<Box<meta::Cache>>,
    /// Bytes of them that were counted.
    size: usize,
}

impl States {
    fn bytes(&self) -> usize {
        let forward = self.forward.as_ref().map_or(0, |cache| cache.memory_usage());
        forward + self.grouping.as_ref().map_or(0, |cache| cache.memory_usage())
    }

    fn clear(&mut self) {
        (self.forward, self.grouping) = (None, None);
        TOGETHER.fetch_sub(std::mem::take(&mut self.size), Ordering::Relaxed);
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Automaton {
    /// Of a tree, and of what it was parsed from.
    pub(super) fn new(tree: &Hir, written: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let config = thompson::Config::new().utf8(false).shrink(false).which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(tree)?;
        let prefix = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, tree).filter(Prefilter::is_fast);
        let config = dfa::Config::new()
            .specialize_start_states(prefix.is_some())
            .prefilter(prefix)
            .cache_capacity(MOST_STATES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(MOST_FILLED))
            .minimum_bytes_per_state(Some(LEAST_SERVED));
        let forward = dfa::Builder::new().configure(config).build_from_nfa(nfa.clone())?;
        let made = Arc::default();
        let mut all = lock(&ALL);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&made));
        Ok(Self { forward, nfa, grouping: OnceLock::new(), written: written.into(), made })
    }

    /// Whether it matches anywhere; adds what that took beyond a look at each byte.
    pub(super) fn matches(&self, value: &[u8], effort: &mut Effort) -> bool {
        let input = Input::new(value).earliest(true);
        self.with_states(effort, |states, effort| {
            let cache = states.forward.get_or_insert_with(|| Box::new(self.forward.create_cache()));
            let outcome = self.forward.try_search_fwd(cache, &input);
            let filled = cache.clear_count();
            effort.made += (filled * MOST_STATES) as u64;
            if filled > 0 {
                states.forward = None;
            }
            outcome.map_or_else(
                |_| {
                    effort.work += WITHOUT * value.len() as u64;
                    let slow = PikeVM::new_from_nfa(self.nfa.clone());
                    slow.is_ok_and(|slow| slow.is_match(&mut slow.create_cache(), input.clone()))
                },
                |found| found.is_some(),
            )
        })
    }

    /// The groups of the first match, as [`super::Operator::ask`] gives them.
    pub(super) fn groups(&self, value: &[u8], effort: &mut Effort) -> Option<Captures> {
        if !self.matches(value, effort) {
            return None;
        }
        effort.work += GROUPING * value.len() as u64;
        let regex = self.grouping.get_or_init(|| super::pattern::build(&self.written).ok()).as_ref()?;
        let input = Input::new(value);
        self.with_states(effort, |states, _| {
            let cache = states.grouping.get_or_insert_with(|| Box::new(regex.create_cache()));
            let found = if regex.group_info().group_len(PatternID::ZERO) == 1 {
                regex.search_with(cache, &input).map(|found| vec![found.range()])
            } else {
                let mut captures = regex.create_captures();
                regex.search_captures_with(cache, &input, &mut captures);
                let group = |group| captures.get_group(group).map_or(0..0, |span| span.range());
                captures.is_match().then(|| (0..captures.group_len()).take(MOST_CAPTURES).map(group).collect())
            };
            if cache.memory_usage() > MOST_STATES {
                states.grouping = None;
            }
            found
        })
    }

    /// Does something with the states, and counts those that were made.
    fn with_states<T>(&self, effort: &mut Effort, search: impl FnOnce(&mut States, &mut Effort) -> T) -> T {
        let Some(mut states) = try_lock(&self.made.0) else {
            // Somebody else searches with them: that is seldom, and not waited for.
            return search(&mut States::default(), effort);
        };
        let found = search(&mut states, effort);
        let (before, now) = (states.size, states.bytes());
        if now != before {
            effort.made += now.saturating_sub(before) as u64;
            states.size = now;
            let together = TOGETHER.fetch_add(now.wrapping_sub(before), Ordering::Relaxed).wrapping_add(now);
            if together > MOST_TOGETHER + before {
                drop(states);
                clear_all();
            }
        }
        found
    }
}

/// Lets all automata begin anew but those that are searched with.
fn clear_all() {
    for made in lock(&ALL).iter().filter_map(Weak::upgrade) {
        if let Some(mut states) = try_lock(&made.0) {
            states.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing above can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock(mutex: &Mutex<States>) -> Option<MutexGuard<'_, States>> {
    match mutex.try_lock() {
        Ok(states) => Some(states),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::operator::Pattern;

    /// A text of two letters that is like nothing before it: xorshift64 (Marsaglia, Xorshift RNGs, 2003).
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state & 1 == 0 { b'a' } else { b'b' }
        };
        (0..length).map(next).collect()
    }

    /// A value that needs a new state for each of its bytes is looked at without them, and that is told; the next value is
    /// looked at as if nothing had been.
    #[test]
    fn an_automaton_gives_up_for_one_value_only() {
        let pattern = Pattern::new("a[ab]{14}c").unwrap();
        let automaton = pattern.automaton().unwrap();
        let mut value = noise(100_000, 7);

        let mut effort = Effort::default();
        assert!(!automaton.matches(&value, &mut effort));
        assert!(effort.work >= WITHOUT * 100_000 && effort.made >= MOST_STATES as u64, "{effort:?}");
        value.extend_from_slice(b"abababababababac");
        assert!(automaton.matches(&value, &mut Effort::default()));
        let mut effort = Effort::default();
        assert!(automaton.matches(b"xaaaaaaaaaaaaaaac", &mut effort));
        assert!(effort.work == 0 && effort.made < 100_000, "{effort:?}");
    }

    /// States are let go of once there are too many of them, in one automaton and in all.
    #[test]
    fn states_are_bounded() {
        let patterns: Vec<Pattern> =
            (0..40).map(|number| Pattern::new(&format!("a[ab]{{12}}{number}")).unwrap()).collect();
        for (number, pattern) in patterns.iter().enumerate() {
            assert!(!pattern.automaton().unwrap().matches(&noise(3_000, number as u64), &mut Effort::default()));
        }
        let bytes: Vec<usize> =
            patterns.iter().map(|pattern| lock(&pattern.automaton().unwrap().made.0).bytes()).collect();

        assert!(bytes.iter().any(|bytes| *bytes > 0), "{bytes:?}");
        assert!(bytes.iter().sum::<usize>() <= MOST_TOGETHER + MOST_STATES, "{bytes:?}");
    }

    proptest! {
        /// With states and without, and whatever was looked at before, the answer is that of the plain engine.
        #[test]
        fn answers_are_those_of_the_engine(
            text in proptest::sample::select(vec!["(?i)un(ion|ique)\\s+(sel)ect", "^a+b*$", "(a|b)*abb", "\\bor\\b", "", "x{2,5}y"]),
            values in proptest::collection::vec("[abxy A-Oorunisleqct]{0,40}", 1..6),
        ) {
            let pattern = Pattern::new(text).unwrap();
            let (automaton, plain) = (pattern.automaton().unwrap(), crate::operator::pattern(text).unwrap());
            for value in values {
                let mut captures = plain.create_captures();
                plain.captures(value.as_bytes(), &mut captures);
                prop_assert_eq!(automaton.matches(value.as_bytes(), &mut Effort::default()), captures.is_match());
                let groups = captures.is_match().then(|| {
                    (0..captures.group_len()).map(|group| captures.get_group(group).map_or(0..0, |span| span.range())).collect()
                });
                prop_assert_eq!(automaton.groups(value.as_bytes(), &mut Effort::default()), groups);
            }
        }
    }
}
