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
    askers: HashMap<ClientKey, Asker>,
    order: VecDeque<ClientKey>,
}

type ClientKey = (bool, SocketAddr);

impl Clients {
    /// Remembers who is behind a client's local address.
    pub fn remember(&self, protocol: Protocol, client: SocketAddr, asker: Asker) {
        let key = (protocol == Protocol::Tcp, client);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.askers.insert(key, asker).is_none() {
            remembered.order.push_back(key);
            if remembered.order.len() > CLIENTS_REMEMBERED
                && let Some(oldest) = remembered.order.pop_front()
            {
                remembered.askers.remove(&oldest);
            }
        }
    }

    /// Who that is; none for a client that nobody redirected.
    pub fn find(&self, protocol: Protocol, client: SocketAddr) -> Option<Asker> {
        let key = (protocol == Protocol::Tcp, SocketAddr::new(client.ip().to_canonical(), client.port()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).askers.get(&key).cloned()
    }
}
