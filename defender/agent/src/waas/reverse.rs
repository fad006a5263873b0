//! Names of clients' addresses, by which bots are known. They are looked up outside of the requests' way: the first request
//! starts the look-up, those that come after it was answered are judged by it.
//!
//! Whoever holds an address writes its names himself, so one counts only when it has the address, too.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use defender_core::dns::{self, Addresses, Names};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    net::UdpSocket,
    task::spawn_local,
    time::{Instant, timeout},
};

/// Addresses that are remembered.
const MOST_KNOWN: usize = 4096;
/// Look-ups at a time; further addresses wait for another request.
const MOST_UNDER_WAY: usize = 16;
/// Names of one address that are looked at.
const MOST_NAMES: usize = 4;
/// Resolvers that are asked, one after the other.
const MOST_RESOLVERS: usize = 3;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long names are believed, and for how long nobody is asked again who did not answer.
const LIFE: Duration = Duration::from_hours(1);
const PAUSE: Duration = Duration::from_mins(1);
/// Bytes of an answer.
const MOST_ANSWER: usize = 4096;

/// What is known of addresses.
#[derive(Debug)]
pub struct Reverse {
    resolvers: Vec<SocketAddr>,
    known: RefCell<HashMap<IpAddr, Known>>,
    under_way: Cell<usize>,
}

/// What is known of one address.
#[derive(Debug)]
struct Known {
    until: Instant,
    /// None while somebody is asked, and when nobody answered.
    names: Option<Vec<String>>,
}

impl Reverse {
    /// Nothing is known; these are asked.
    #[must_use]
    pub fn new(resolvers: Vec<SocketAddr>) -> Self {
        Self { resolvers, known: RefCell::default(), under_way: Cell::new(0) }
    }

    /// The confirmed names of an address, empty for none. Nothing while they are not known, which starts a look-up. To be
    /// called on a thread of local tasks.
    pub fn names(self: &Rc<Self>, address: IpAddr) -> Option<Vec<String>> {
        let now = Instant::now();
        if let Some(known) = self.known.borrow().get(&address).filter(|known| now < known.until) {
            return known.names.clone();
        }
        if self.under_way.get() < MOST_UNDER_WAY && !self.resolvers.is_empty() {
            self.under_way.set(self.under_way.get() + 1);
            self.remember(address, None, PAUSE);
            let reverse = self.clone();
            spawn_local(async move {
                let names = reverse.look_up(address).await;
                let life = if names.is_some() { LIFE } else { PAUSE };
                reverse.remember(address, names, life);
                reverse.under_way.set(reverse.under_way.get() - 1);
            });
        }
        None
    }

    fn remember(&self, address: IpAddr, names: Option<Vec<String>>, life: Duration) {
        let mut known = self.known.borrow_mut();
        let now = Instant::now();
        if known.len() >= MOST_KNOWN && !known.contains_key(&address) {
            known.retain(|_, known| now < known.until);
            // Any will do: who fills the table with addresses of his own must not be able to keep it full.
            let any = known.keys().next().copied().filter(|_| known.len() >= MOST_KNOWN);
            any.and_then(|any| known.remove(&any));
        }
        known.insert(address, Known { until: now + life, names });
    }

    /// The names that have the address again; none when no resolver answered.
    async fn look_up(&self, address: IpAddr) -> Option<Vec<String>> {
        let answer = self.ask(|id| dns::name_query(id, address), dns::parse_names).await?;
        // What does not fit into an answer has more names than any bot.
        let Names::Found(names) = answer else { return Some(Vec::new()) };
        let mut confirmed = Vec::new();
        for name in names.into_iter().take(MOST_NAMES) {
            let asked = |id| dns::address_query(id, &name, address.is_ipv6());
            // A name that cannot be asked for has no addresses.
            if asked(0).is_none() {
                continue;
            }
            let addresses: Addresses = self.ask(asked, dns::parse_addresses).await?;
            if dns::confirms(&addresses, address) {
                confirmed.push(name);
            }
        }
        Some(confirmed)
    }

    /// Asks one resolver after the other until one answers.
    async fn ask<A>(
        &self,
        query: impl Fn(u16) -> Option<Vec<u8>>,
        read: impl Fn(&[u8], &[u8]) -> Option<A>,
    ) -> Option<A> {
        for resolver in self.resolvers.iter().take(MOST_RESOLVERS) {
            let query = query(random()?)?;
            if let Ok(Some(answer)) = timeout(PATIENCE, exchange(*resolver, &query, &read)).await {
                return Some(answer);
            }
        }
        None
    }
}

/// An id that nobody can guess (RFC 5452, section 9.2); the port is the system's choice, each time another.
fn random() -> Option<u16> {
    let mut bytes = [0; 2];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(u16::from_be_bytes(bytes))
}

async fn exchange<A>(resolver: SocketAddr, query: &[u8], read: impl Fn(&[u8], &[u8]) -> Option<A>) -> Option<A> {
    let own: IpAddr = if resolver.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await.ok()?;
    socket.connect(resolver).await.ok()?;
    socket.send(query).await.ok()?;
    let mut answer = vec![0; MOST_ANSWER];
    loop {
        let length = socket.recv(&mut answer).await.ok()?;
        // What belongs to another question is somebody's guess.
        if dns::answers(query, &answer[..length]) {
            return read(query, &answer[..length]);
        }
    }
}
