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
    /// With the time since when they wait.
    calls: VecDeque<(C, Instant)>,
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
        self.state().calls.push_back((call, Instant::now()));
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
        state.current = state.calls.pop_front();
        state.current.as_ref().map(|(call, _)| call.clone())
    }

    /// The calls that have waited for longer than `limit`; each is given out once. The one that is being answered comes
    /// with them, and stays the answerer's: it finds out that nobody waits any more.
    pub fn held_up(&self, limit: Duration) -> Vec<C> {
        let mut state = self.state();
        let is_late = |(_, since): &(C, Instant)| since.elapsed() > limit;
        // They came in their order, so the late ones are the first.
        let late = state.calls.partition_point(is_late);
        let current = state.current.take_if(|call| is_late(call));
        let waiting = state.calls.drain(..late);
        current.into_iter().chain(waiting).map(|(call, _)| call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_wait_too_long_are_given_out_once() {
        let queue = Queue::new();
        (1..=3).for_each(|call| queue.add(call));

        assert_eq!(Some(1), queue.next(None));
        assert_eq!(Vec::<i32>::new(), queue.held_up(Duration::from_secs(61)));
        assert_eq!(vec![1, 2, 3], queue.held_up(Duration::ZERO));
        queue.add(4);
        assert_eq!(vec![4], queue.held_up(Duration::ZERO), "what comes later is as late, whoever is being answered");
        assert_eq!(None, queue.next(Some(Duration::ZERO)), "they are nobody else's any more");
        assert_eq!(Vec::<i32>::new(), queue.held_up(Duration::ZERO));
    }
}
