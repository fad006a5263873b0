//! How many questions may be on their way at a time: a process whose questions nobody answers leaves room for the others.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Each takes a socket, and no memory to speak of until its answer is there.
const PLACES: usize = 768;
const PLACES_OF_ONE: usize = 192;

/// The questions on their way.
#[derive(Debug, Default)]
pub struct Places(Mutex<HashMap<u32, usize>>);

/// One question's place; given back when it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    pid: u32,
}

impl Places {
    /// A place for a question of process `pid`; none when there is no room.
    pub fn take(&self, pid: u32) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let own = taken.get(&pid).copied().unwrap_or(0);
        if own >= PLACES_OF_ONE || taken.values().sum::<usize>() >= PLACES {
            return None;
        }
        taken.insert(pid, own + 1);
        Some(Place { places: self, pid })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.pid) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_leaves_room_for_others_and_places_come_back() {
        let places = Places::default();
        let held: Vec<_> = (0..PLACES_OF_ONE).map(|_| places.take(7).unwrap()).collect();

        assert!(places.take(7).is_none());
        assert!(places.take(8).is_some());
        drop(held);
        assert!(places.take(7).is_some());
        assert!(places.taken().is_empty());
    }

    #[test]
    fn many_processes_get_no_more_than_there_is() {
        let places = Places::default();

        let held: Vec<_> = (0..2 * PLACES as u32).filter_map(|pid| places.take(pid)).collect();

        assert_eq!(PLACES, held.len());
    }
}
