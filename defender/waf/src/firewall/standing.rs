//! What clients did before: bans and rates. Shared by all connections of a task; bounded, the longest unseen is forgotten
//! first. A request of a client that is known costs no allocation.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::session::Seal;

/// Clients whose bans are kept.
const MOST_BANS: usize = 65_536;
/// Clients whose rates are kept: at some 150 bytes each.
const MOST_RATES: usize = 32_768;
/// Events of one kind about one client are told no more often than this, in milliseconds.
const TELL_EVERY: u64 = 1000;
/// Seconds of a burst.
pub const BURST_SECONDS: u64 = 5;
/// Seconds of the average.
pub const AVERAGE_SECONDS: u64 = 120;

/// Who is banned or counted, and by which application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The application.
    pub application: u64,
    /// The client.
    pub who: Who,
}

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// By address. Of IPv6 the network: a client has 2^64 addresses to choose from (RFC 6177).
    Address(IpAddr),
    /// By session.
    Session(u128),
}

/// What has been counted of a client, this request with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Requests within the last 5 seconds.
    pub burst: u32,
    /// Requests within the last 120 seconds.
    pub average: u32,
}

/// The standing of all clients.
#[derive(Debug)]
pub struct Standing {
    bans: Mutex<Recent<Key, Ban>>,
    rates: Mutex<Recent<Key, Rate>>,
    /// When the last ban of all ends: nobody is looked for after that.
    last_ban: AtomicU64,
    seal: Seal,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ban {
    until: u64,
    told: Option<u64>,
}

/// Requests of a client, by time.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    /// The second of the last request.
    second: u64,
    seconds: [u32; BURST_SECONDS as usize],
    /// Of five seconds each.
    spans: [u32; (AVERAGE_SECONDS / BURST_SECONDS) as usize],
    told: Option<u64>,
}

impl Default for Standing {
    /// With a secret of its own, from what the standard library seeds its tables with: sessions end with the process.
    fn default() -> Self {
        let mut secret = [0; 32];
        for (index, part) in secret.chunks_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(index).to_be_bytes());
        }
        Self::new(secret)
    }
}

impl Standing {
    /// Nobody did anything yet. `secret` seals sessions; containers of one task that share it know each other's.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            bans: Mutex::new(Recent::new(MOST_BANS)),
            rates: Mutex::new(Recent::new(MOST_RATES)),
            last_ban: AtomicU64::new(0),
            seal: Seal::new(secret),
        }
    }
}

impl Who {
    /// A client by its address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl Standing {
    /// What seals sessions.
    #[must_use]
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Bans a client until a time, in milliseconds; a ban that lasts longer stays.
    pub fn ban(&self, key: Key, until: u64) {
        let mut bans = locked(&self.bans);
        let ban = bans.entry(key);
        ban.until = ban.until.max(until);
        self.last_ban.fetch_max(until, Ordering::Relaxed);
    }

    /// Whether a client is banned; if so, whether that is to be told once more.
    pub fn banned(&self, key: Key, now: u64) -> Option<bool> {
        if now >= self.last_ban.load(Ordering::Relaxed) {
            return None;
        }
        let mut bans = locked(&self.bans);
        let ban = bans.get(&key).filter(|ban| now < ban.until)?;
        Some(is_due(&mut ban.told, now))
    }

    /// Counts a request of a client.
    pub fn count(&self, key: Key, now: u64) -> Counted {
        locked(&self.rates).entry(key).count(now / 1000)
    }

    /// Whether it is to be told once more that a client sends too much.
    pub fn tell_rate(&self, key: Key, now: u64) -> bool {
        is_due(&mut locked(&self.rates).entry(key).told, now)
    }
}

fn is_due(told: &mut Option<u64>, now: u64) -> bool {
    let due = told.is_none_or(|told| now.saturating_sub(told) >= TELL_EVERY);
    if due {
        *told = Some(now);
    }
    due
}

/// No holder of the lock can panic half-way; what a poisoned lock guards is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rate {
    fn count(&mut self, second: u64) -> Counted {
        let second = second.max(self.second);
        let (span, last_span) = (second / BURST_SECONDS, self.second / BURST_SECONDS);
        clear(&mut self.seconds, self.second, second);
        clear(&mut self.spans, last_span, span);
        self.second = second;
        let now = &mut self.seconds[(second % BURST_SECONDS) as usize];
        *now = now.saturating_add(1);
        let spans = self.spans.len() as u64;
        let now = &mut self.spans[(span % spans) as usize];
        *now = now.saturating_add(1);
        let sum = |counts: &[u32]| counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
        Counted { burst: sum(&self.seconds), average: sum(&self.spans) }
    }
}

/// Forgets what lies between the last time and now in a ring.
fn clear(ring: &mut [u32], last: u64, now: u64) {
    let length = ring.len() as u64;
    for time in last + 1..=now.min(last + length) {
        ring[(time % length) as usize] = 0;
    }
}

/// Values by key, of which only the most recently used are kept.
#[derive(Debug)]
struct Recent<K, V> {
    places: HashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    /// The slot used last and the one unused for longest.
    newest: usize,
    oldest: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    newer: usize,
    older: usize,
}

/// No slot.
const NONE: usize = usize::MAX;

impl<K: Hash + Eq + Copy, V: Default> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), newest: NONE, oldest: NONE, capacity }
    }

    /// A value, if it is there; it stays as old as it is.
    fn get(&mut self, key: &K) -> Option<&mut V> {
        self.places.get(key).map(|place| &mut self.slots[*place].value)
    }

    /// A value, new if need be; it is now the most recent.
    fn entry(&mut self, key: K) -> &mut V {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.insert(key),
        };
        if self.newest != place {
            self.unlink(place);
            self.slots[place].older = self.newest;
            self.slots[place].newer = NONE;
            if let Some(newest) = self.slots.get_mut(self.newest) {
                newest.newer = place;
            }
            self.newest = place;
            if self.oldest == NONE {
                self.oldest = place;
            }
        }
        &mut self.slots[place].value
    }

    /// A slot for a new key, not linked yet.
    fn insert(&mut self, key: K) -> usize {
        let slot = Slot { key, value: V::default(), newer: NONE, older: NONE };
        let place = if self.slots.len() < self.capacity {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(&self.slots[place].key);
            self.slots[place] = slot;
            place
        };
        self.places.insert(key, place);
        place
    }

    fn unlink(&mut self, place: usize) {
        let (newer, older) = (self.slots[place].newer, self.slots[place].older);
        match self.slots.get_mut(newer) {
            Some(slot) => slot.older = older,
            None if self.newest == place => self.newest = older,
            None => {}
        }
        match self.slots.get_mut(older) {
            Some(slot) => slot.newer = newer,
            None if self.oldest == place => self.oldest = newer,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(address: &str) -> Key {
        Key { application: 1, who: Who::of_address(address.parse().unwrap()) }
    }

    /// A ban holds for its client and application until it ends, and is told no more than once a second.
    #[test]
    fn bans_hold_until_they_end() {
        let standing = Standing::default();
        standing.ban(key("192.0.2.1"), 10_000);
        assert_eq!(standing.banned(key("192.0.2.1"), 0), Some(true));
        assert_eq!(standing.banned(key("192.0.2.1"), 999), Some(false));
        assert_eq!(standing.banned(key("192.0.2.1"), 9_999), Some(true));
        assert_eq!(standing.banned(key("192.0.2.1"), 10_000), None);
        assert_eq!(standing.banned(key("192.0.2.2"), 0), None);
        assert_eq!(standing.banned(Key { application: 2, ..key("192.0.2.1") }, 0), None);
        standing.ban(key("192.0.2.1"), 5_000);
        assert!(standing.banned(key("192.0.2.1"), 9_999).is_some());
    }

    /// A client cannot leave a ban by another address of its own network, nor by the other spelling of its address.
    #[test]
    fn addresses_of_one_client_are_one() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    /// Requests count for 5 and for 120 seconds.
    #[test]
    fn requests_count_for_a_while() {
        let standing = Standing::default();
        let client = key("192.0.2.1");
        for _ in 0..9 {
            standing.count(client, 1_000);
        }
        assert_eq!(standing.count(client, 5_900), Counted { burst: 10, average: 10 });
        assert_eq!(standing.count(client, 6_000), Counted { burst: 2, average: 11 });
        assert_eq!(standing.count(client, 119_000).average, 12);
        assert_eq!(standing.count(client, 300_000), Counted { burst: 1, average: 1 });
        assert_eq!(standing.count(client, 10_000).burst, 2, "a clock that goes back changes nothing");
    }

    /// However many clients come, memory stays bounded, and the one unseen for longest is forgotten.
    #[test]
    fn memory_is_bounded() {
        let mut recent: Recent<u32, u32> = Recent::new(3);
        for key in [1, 2, 3, 1, 4] {
            *recent.entry(key) += 1;
        }
        assert_eq!((recent.places.len(), recent.slots.len()), (3, 3));
        assert_eq!(recent.get(&2), None);
        assert_eq!(recent.get(&1), Some(&mut 2));
    }

    proptest! {
        /// It agrees with a list in which the used key moves to the end and the first is dropped.
        #[test]
        fn recent_agrees_with_a_list(keys in proptest::collection::vec(0_u8..9, 0..60), capacity in 1_usize..6) {
            let mut recent: Recent<u8, u8> = Recent::new(capacity);
            let mut list: Vec<u8> = Vec::new();
            for key in keys {
                recent.entry(key);
                list.retain(|known| *known != key);
                list.push(key);
                if list.len() > capacity {
                    list.remove(0);
                }
                for known in 0..9 {
                    prop_assert_eq!(recent.get(&known).is_some(), list.contains(&known));
                }
            }
        }

        /// A count is never less than the requests of the last 5 seconds, nor more than all of them.
        #[test]
        fn counts_are_right(steps in proptest::collection::vec(0_u64..4, 1..60)) {
            let mut rate = Rate::default();
            let mut times: Vec<u64> = Vec::new();
            for step in steps {
                times.push(times.last().copied().unwrap_or(1000) + step);
                let now = times[times.len() - 1];
                let burst = times.iter().filter(|time| **time + BURST_SECONDS > now).count();
                prop_assert_eq!(rate.count(now).burst as usize, burst);
            }
        }
    }
}
