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

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.test`, asked for with this id; a response with an address under the name `shop.test`.
    fn query(id: u8) -> Vec<u8> {
        [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01a\x04test\0\0\x01\0\x01"].concat()
    }

    fn poison(query: &[u8]) -> Vec<u8> {
        let record = b"\x04shop\x04test\0\0\x01\0\x01\xff\xff\xff\xff\0\x04\xcb\0\x71\x42";
        let mut answer = [query, record].concat();
        (answer[2], answer[7]) = (0x81, 1);
        answer
    }

    #[test]
    fn a_server_binds_no_name_but_the_one_it_was_asked_for() {
        let names = Names::default();
        names.learn(&query(7), &poison(&query(7)), true);

        let known = names.of(IpAddr::from([203, 0, 113, 66]));

        assert_eq!(vec!["a.test"], known.iter().map(|known| known.name.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_to_another_question_binds_nothing() {
        let names = Names::default();
        let (mut other_name, mut other_type, mut no_response) = (query(7), query(7), poison(&query(7)));
        other_name[13] = b'b';
        other_type[20] = 28;
        no_response[2] = 1;
        for answer in [poison(&query(8)), poison(&other_name), poison(&other_type), no_response] {
            names.learn(&query(7), &answer, true);
        }

        assert_eq!(Vec::<Known>::new(), names.of(IpAddr::from([203, 0, 113, 66])));
    }
}
