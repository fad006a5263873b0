//! The names behind addresses: the DNS proxy learns them, the supervisor asks for them.
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use defender_core::{Known, NameTable, dns};

/// One table for the whole workload, shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<NameTable>>);

impl Names {
    /// Learns what `response` gives to who asked `query`; `trusted` when the workload was started with that resolver.
    pub fn learn(&self, query: &[u8], response: &[u8], trusted: bool) {
        let Some(question) = dns::parse_query(query) else { return };
        let given = dns::given(query, response);
        let mut table = self.table();
        for one in given {
            table.learn(one.address, &question.name, one.seconds, trusted, now());
        }
    }

    /// The names that gave `address`, the latest first.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Vec<Known> {
        let mut table = self.table();
        // The time is asked only when there is something to know.
        if table.is_empty() { Vec::new() } else { table.names_of(address, now()) }
    }

    fn table(&self) -> MutexGuard<'_, NameTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since this was first asked: a clock that only goes forward.
#[must_use]
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}
