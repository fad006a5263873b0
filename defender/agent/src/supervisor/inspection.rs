//! The inspection of the kernel's tables of sockets, where nobody is asked about connections (tiers 3 and 4).
//!
//! Whatever the workload is connected to or listens on is judged by the policy once it stands in a table, and reported. In
//! prevent mode whoever holds it is killed. What lives shorter than the time between two looks may never be seen.
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use defender_core::{
    CompiledPolicy, ConnectionEvent, CustomKind, Effect, Event, ListenEvent, Protocol, Reason, TcpRow,
};

use super::{
    judge::{Judge, Verdict},
    process,
    table::{self, FOREIGN_ROUNDS, PERIOD, PERIOD_OFF, TABLES},
};
use crate::dns_proxy::Resolvers;

const UDP: [&str; 2] = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
/// Ports that the kernel chooses from (ip(7)).
const CHOSEN_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const USUAL_CHOSEN_PORTS: [u16; 2] = [32_768, 60_999];
/// The pause is at least this many times as long as the look.
const SHARE: u32 = 10;
/// A table is no snapshot: the kernel may pass over a row while others come and go. What was judged is forgotten once it was not
/// seen for so many rounds, lest it be reported twice.
const ROUNDS_UNSEEN: u32 = 20;
const MOST_JUDGED_BEFORE: usize = 4096;
const DNS_PORT: u16 = 53;
/// Detections about where a connection goes, which its row in a table shows.
const DETECTIONS: [Reason; 2] = [Reason::CloudMetadata, Reason::EncryptedDns];

/// What was judged and allowed at its call: which process, and where it goes or listens.
type Allowed = (u32, Use);

/// What a socket is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// It connects there.
    Connects(SocketAddr),
    /// It waits there for others.
    Waits(SocketAddr),
}

/// What was judged and allowed at its call, so that it is not reported a second time. Shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct JudgedBefore(Arc<Mutex<HashSet<Allowed>>>);

impl JudgedBefore {
    /// Writes one down; addresses are canonical.
    pub fn note(&self, process: u32, used: Use) {
        let mut judged = self.judged();
        if judged.len() >= MOST_JUDGED_BEFORE {
            judged.clear();
        }
        judged.insert((process, used));
    }

    fn take(&self, owners: &[u32], used: Use) -> bool {
        let mut judged = self.judged();
        owners.iter().any(|owner| judged.remove(&(*owner, used)))
    }

    fn judged(&self) -> MutexGuard<'_, HashSet<Allowed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the inspection on a thread of its own, which lives as long as the Defender.
///
/// # Errors
/// When there is no room for a thread.
pub fn start(judge: Judge, before: JudgedBefore) -> io::Result<()> {
    let mut inspection = Inspection::new(judge, before);
    thread::Builder::new().name("inspection".into()).stack_size(128 << 10).spawn(move || {
        loop {
            let pause = inspection.round();
            thread::sleep(pause);
        }
    })?;
    Ok(())
}

/// A socket as it stands in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    protocol: Protocol,
    socket: TcpRow,
}

type Key = (u64, SocketAddr);

struct Inspection {
    judge: Judge,
    policy: Arc<CompiledPolicy>,
    before: JudgedBefore,
    resolvers: Resolvers,
    chosen_ports: [u16; 2],
    /// What was judged by this policy, and for how many rounds it was not to be seen.
    judged: HashMap<Key, u32>,
    /// What was there before the workload.
    inherited: HashSet<Key>,
    /// Ports on which somebody listens or listened: what has one of these as its own was accepted.
    listened: HashSet<u16>,
    foreign: HashMap<u64, u32>,
    own: u32,
}

impl Inspection {
    fn new(judge: Judge, before: JudgedBefore) -> Self {
        let policy = judge.policy();
        Self {
            judge,
            policy,
            before,
            resolvers: Resolvers::of_this_machine(),
            chosen_ports: chosen_ports(),
            judged: HashMap::new(),
            inherited: rows().iter().map(|row| key(&row.socket)).collect(),
            listened: HashSet::new(),
            foreign: HashMap::new(),
            own: std::process::id(),
        }
    }

    fn round(&mut self) -> Duration {
        let policy = self.judge.policy();
        if !Arc::ptr_eq(&policy, &self.policy) {
            self.policy = policy;
            self.judged.clear();
        }
        if !is_wanted(&self.policy) {
            return PERIOD_OFF;
        }
        let begin = Instant::now();
        self.look(&rows());
        PERIOD.max(begin.elapsed() * SHARE)
    }

    fn look(&mut self, rows: &[Row]) {
        let live: HashSet<Key> = rows.iter().map(|row| key(&row.socket)).collect();
        self.judged.retain(|key, missed| {
            *missed = if live.contains(key) { 0 } else { *missed + 1 };
            *missed <= ROUNDS_UNSEEN
        });
        self.inherited.retain(|key| live.contains(key));
        self.foreign.retain(|_, rounds| {
            *rounds -= 1;
            *rounds > 0
        });
        let listening = rows.iter().filter(|row| row.protocol == Protocol::Tcp && row.socket.listens());
        self.listened.extend(listening.map(|row| row.socket.local.port()));
        let open: Vec<Row> = rows.iter().filter(|row| self.is_open(row)).copied().collect();
        if open.is_empty() {
            return;
        }
        let owners = table::owners(&open.iter().map(|row| row.socket.inode).collect(), self.own);
        let mut ended: HashSet<u32> = HashSet::new();
        for row in open {
            let Some(owners) = owners.get(&row.socket.inode) else {
                self.foreign.insert(row.socket.inode, FOREIGN_ROUNDS);
                continue;
            };
            if owners.iter().all(|owner| ended.contains(owner)) {
                continue;
            }
            // A row may stand twice in one reading of a table that changes meanwhile.
            if self.judged.insert(key(&row.socket), 0).is_some() {
                continue;
            }
            if self.judge_row(&row, owners) == Verdict::Stop {
                table::end(owners);
                ended.extend(owners);
            }
        }
    }

    /// True for what is to be judged now.
    fn is_open(&self, row: &Row) -> bool {
        let socket = &row.socket;
        let key = key(socket);
        let accepted = row.protocol == Protocol::Tcp
            && socket.has_peer()
            && !socket.is_asking()
            && self.listened.contains(&socket.local.port());
        socket.inode != 0
            && !accepted
            && (socket.has_peer() || waits(row))
            && !self.judged.contains_key(&key)
            && !self.inherited.contains(&key)
            && !self.foreign.contains_key(&socket.inode)
    }

    fn judge_row(&self, row: &Row, owners: &[u32]) -> Verdict {
        let pid = owners.first().copied().unwrap_or_default();
        let (protocol, path) = (row.protocol, process::executable_path(pid));
        let connects = row.socket.has_peer();
        let used = if connects { Use::Connects(row.socket.remote) } else { Use::Waits(row.socket.local) };
        if self.before.take(owners, used) {
            return Verdict::Go;
        }
        let event = if connects {
            let remote = row.socket.remote;
            let (address, port) = (remote.ip(), remote.port());
            // Nobody answers in their place here, but a program that looks up a name is not to be killed for it.
            let resolver = port == DNS_PORT && self.resolvers.has(address);
            Event::Connection(ConnectionEvent { protocol, address, port, pid, path, resolver, domain: None })
        } else {
            let local = row.socket.local;
            let chosen =
                protocol == Protocol::Udp && (self.chosen_ports[0]..=self.chosen_ports[1]).contains(&local.port());
            let port = if chosen { 0 } else { local.port() };
            Event::Listen(ListenEvent { protocol, address: local.ip(), port, pid, path })
        };
        self.judge.judge(event, |_| ())
    }
}

/// True for a socket that waits for others: a listening one, or one for datagrams without a peer.
fn waits(row: &Row) -> bool {
    let unconnected = row.protocol == Protocol::Udp && row.socket.remote.port() == 0;
    row.socket.listens() || (unconnected && row.socket.local.port() != 0)
}

/// True when something that a table shows can be objected to.
fn is_wanted(policy: &CompiledPolicy) -> bool {
    let source = policy.source();
    source.rule.is_some()
        && (source.network.effect != Effect::Disable
            || DETECTIONS.iter().any(|reason| policy.detection(*reason) != Effect::Disable)
            || source.custom.iter().any(|rule| rule.kind == CustomKind::NetworkOutgoing))
}

fn key(socket: &TcpRow) -> Key {
    (socket.inode, socket.remote)
}

fn rows() -> Vec<Row> {
    let of =
        |tables: [&str; 2], protocol| table::rows_of(tables).into_iter().map(move |socket| Row { protocol, socket });
    of(TABLES, Protocol::Tcp).chain(of(UDP, Protocol::Udp)).collect()
}

fn chosen_ports() -> [u16; 2] {
    let text = fs::read_to_string(CHOSEN_PORTS).unwrap_or_default();
    let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
    match (words.next(), words.next()) {
        (Some(first), Some(last)) => [first, last],
        _ => USUAL_CHOSEN_PORTS,
    }
}
