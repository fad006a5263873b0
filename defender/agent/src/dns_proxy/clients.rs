//! Who is behind a client's address: the supervisor says so when it redirects.
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use defender_core::Protocol;

const CLIENTS_REMEMBERED: usize = 4096;

/// Who asks, and the server that was meant.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Process id.
    pub pid: u32,
    /// Executable path.
    pub path: String,
    /// The resolver that the process wanted to reach.
    pub server: SocketAddr,
}

/// The clients of late. The oldest is forgotten when there are too many.
#[derive(Default)]
pub struct Clients(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    askers: HashMap<ClientKey, (Redirection, Asker)>,
    order: VecDeque<(Redirection, ClientKey)>,
    count: Redirection,
}

/// Number of a redirection: one socket until it is connected anew.
pub type Redirection = u64;

type ClientKey = (bool, SocketAddr);

impl Clients {
    /// Remembers who is behind a client's local address.
    pub fn remember(&self, protocol: Protocol, client: SocketAddr, asker: Asker) {
        let key = key(protocol, client);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.count += 1;
        let mark = remembered.count;
        remembered.askers.insert(key, (mark, asker));
        remembered.order.push_back((mark, key));
        while remembered.order.len() > CLIENTS_REMEMBERED
            && let Some((mark, oldest)) = remembered.order.pop_front()
        {
            // A port that was used again is as new as its last use.
            if remembered.askers.get(&oldest).is_some_and(|(last, _)| *last == mark) {
                remembered.askers.remove(&oldest);
            }
        }
    }

    /// Who that is, and since which redirection; none for a client that nobody redirected.
    pub fn find(&self, protocol: Protocol, client: SocketAddr) -> Option<(Redirection, Asker)> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.askers.get(&key(protocol, client)).cloned()
    }
}

fn key(protocol: Protocol, client: SocketAddr) -> ClientKey {
    (protocol == Protocol::Tcp, SocketAddr::new(client.ip().to_canonical(), client.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_used_again_is_not_forgotten_as_the_oldest() {
        let client = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let asker = |pid| Asker { pid, path: String::new(), server: SocketAddr::from(([192, 0, 2, 1], 53)) };
        let clients = Clients::default();
        for port in 1..=CLIENTS_REMEMBERED as u16 {
            clients.remember(Protocol::Udp, client(port), asker(1));
        }

        clients.remember(Protocol::Udp, client(1), asker(2));
        clients.remember(Protocol::Udp, client(u16::MAX), asker(3));

        assert_eq!(Some(2), clients.find(Protocol::Udp, client(1)).map(|(_, asker)| asker.pid));
        assert!(clients.find(Protocol::Udp, client(2)).is_none());
        assert!(clients.0.lock().unwrap().askers.len() <= CLIENTS_REMEMBERED);
    }
}
