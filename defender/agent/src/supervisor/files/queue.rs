//! The calls that wait for the one thread that answers them, and what becomes of them when that thread is held up: by a file
//! system that does not answer, say.
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Calls in their order, and the one that is being answered.
pub struct Queue<C> {
    state: Mutex<State<C>>,
    news: Condvar,
}

struct State<C> {
    calls: VecDeque<C>,
    current: Option<(C, Instant)>,
}

impl<C: Clone> Queue<C> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Mutex::new(State { calls: VecDeque::new(), current: None }), news: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        // Each change is one assignment; none can be half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call. Their number is bounded by that of the workload's threads.
    pub fn add(&self, call: C) {
        self.state().calls.push_back(call);
        self.news.notify_one();
    }

    /// Waits for the next call, for as long as `patience`, if that is limited. The former one is over.
    pub fn next(&self, patience: Option<Duration>) -> Option<C> {
        let mut state = self.state();
        state.current = None;
        while state.calls.is_empty() {
            state = match patience {
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.news.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
                    if waited.1.timed_out() {
                        return None;
                    }
                    waited.0
                }
            };
        }
        let call = state.calls.pop_front()?;
        state.current = Some((call.clone(), Instant::now()));
        Some(call)
    }

    /// All calls, when the one that is being answered has taken longer than `limit`; each is given out once.
    pub fn held_up(&self, limit: Duration) -> Vec<C> {
        let mut state = self.state();
        let late = state.current.as_ref().is_some_and(|(_, since)| since.elapsed() > limit);
        if !late {
            return Vec::new();
        }
        let current = state.current.clone();
        current.map(|(call, _)| call).into_iter().chain(std::mem::take(&mut state.calls)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_behind_one_that_takes_too_long_are_given_out() {
        let queue = Queue::new();
        (1..=3).for_each(|call| queue.add(call));

        assert_eq!(Some(1), queue.next(None));
        assert_eq!(Vec::<i32>::new(), queue.held_up(Duration::from_secs(61)));
        assert_eq!(vec![1, 2, 3], queue.held_up(Duration::ZERO));
        assert_eq!(None, queue.next(Some(Duration::ZERO)), "they are nobody else's any more");
        assert_eq!(Vec::<i32>::new(), queue.held_up(Duration::ZERO));
    }
}
