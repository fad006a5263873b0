//! The automata of patterns, which are made state by state as values ask for them, and what all of them may take together.
//!
//! A state that was made is kept for the next value. Values that are like nothing before make new states all the time: an
//! automaton that is full then begins anew, and so do all of them when together they take too much. Without that one would be
//! full for good sooner or later, and every value that needs a new state would be looked at in the slow way, without states.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use regex_automata::{
    Input,
    meta::{Cache, Regex},
};

/// Bytes of states that one automaton may have before it begins anew.
pub(super) const MOST_STATES: usize = 1 << 20;
/// Bytes that the states of all automata may take together.
const MOST_TOGETHER: usize = 16 << 20;
/// What an automaton has to take to be worth beginning anew.
const FULL: usize = MOST_STATES / 8 * 7;

/// All that was made, for whoever needs room.
static ALL: Mutex<Vec<Weak<Made>>> = Mutex::new(Vec::new());
/// Bytes that all of it takes.
static TOGETHER: AtomicUsize = AtomicUsize::new(0);

/// A pattern's automaton.
#[derive(Debug)]
pub(super) struct Automaton {
    regex: Regex,
    made: Arc<Made>,
}

/// The states that were made so far.
#[derive(Debug, Default)]
struct Made(Mutex<States>);

#[derive(Debug, Default)]
struct States {
    cache: Option<Box<Cache>>,
    /// Bytes of it that were counted.
    size: usize,
}

impl States {
    fn clear(&mut self) {
        self.cache = None;
        TOGETHER.fetch_sub(std::mem::take(&mut self.size), Ordering::Relaxed);
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Automaton {
    pub(super) fn new(regex: Regex) -> Self {
        let made = Arc::default();
        let mut all = lock(&ALL);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&made));
        Self { regex, made }
    }

    /// Searches for something; gives also how many bytes of states had to be made for it.
    pub(super) fn search<T>(&self, search: impl FnOnce(&Regex, &mut Cache) -> T) -> (T, usize) {
        let Some(mut states) = try_lock(&self.made.0) else {
            // Somebody else searches with it: that is seldom, and not waited for.
            return (search(&self.regex, &mut self.regex.create_cache()), 0);
        };
        let states_of = &mut *states;
        let cache = states_of.cache.get_or_insert_with(|| Box::new(self.regex.create_cache()));
        let found = search(&self.regex, cache);
        let size = cache.memory_usage();
        let (before, mut made) = (std::mem::replace(&mut states_of.size, size), 0);
        if size != before {
            made = size.saturating_sub(before);
            let together = TOGETHER.fetch_add(size.wrapping_sub(before), Ordering::Relaxed);
            if size >= FULL {
                states.clear();
            } else if together.wrapping_add(made) > MOST_TOGETHER {
                drop(states);
                clear_all();
            }
        }
        (found, made)
    }

    /// Whether it matches anywhere.
    pub(super) fn matches(&self, value: &[u8]) -> (bool, usize) {
        let input = Input::new(value).earliest(true);
        self.search(|regex, cache| regex.search_half_with(cache, &input).is_some())
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
