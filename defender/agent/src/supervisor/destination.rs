//! Judging destinations: by their address, by the names that gave it, and by how many others were tried.
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, PoisonError},
};

use defender_core::{
    CompiledPolicy, ConnectionEvent, Context, CustomKind, Decision, Effect, Event, Known, Protocol, Reason,
    ScanCounter, Standing, Tried, decide_in, standing,
};
use defender_sys::socket::{self, Address, Kind};

use super::{
    approvals::Approvals,
    ending,
    judge::{Judge, Verdict},
    process, table,
};
use crate::names::{Names, now};

const DNS_PORT: u16 = 53;
/// Threads whose family is remembered, and for how long in milliseconds: asking `/proc` costs as much as a connect.
const FAMILIES_KEPT: usize = 256;
const FAMILY_LIFE: u64 = 10_000;
/// Mistakes of this kind that a process may make.
const EXCHANGES: u32 = 3;

/// Judges where the workload's packets go. Cloning shares everything.
#[derive(Clone)]
pub struct Destinations {
    pub judge: Judge,
    names: Names,
    approvals: Approvals,
    scans: Arc<Mutex<Scans>>,
}

#[derive(Default)]
struct Scans {
    counter: ScanCounter,
    families: HashMap<u32, ([u32; 2], u64)>,
    exchanges: HashMap<u32, u32>,
}

impl Destinations {
    /// Judges with `judge`, by what `names` learnt.
    #[must_use]
    pub fn new(judge: Judge, names: Names, approvals: Approvals) -> Self {
        Self { judge, names, approvals, scans: Arc::default() }
    }

    /// Judges a connection of `thread` to `server`, or a datagram; `resolver` when our own proxy answers there.
    pub fn judge(&self, thread: u32, protocol: Protocol, server: SocketAddr, resolver: bool) -> Verdict {
        let policy = self.judge.policy();
        let names = self.names.of(server.ip());
        let mut event = connection(thread, protocol, server, resolver, &names);
        if policy.source().rule.is_none() {
            // Nothing is judged, but a policy can be learnt of it.
            self.judge.saw(&Event::Connection(event));
            return Verdict::Go;
        }
        let texts: Vec<String> = names.iter().map(|known| known.name.clone()).collect();
        let process = policy.has_custom(CustomKind::NetworkOutgoing).then(|| process::portrait(thread)).flatten();
        if let Some(process) = &process {
            event.path.clone_from(&process.path);
        }
        let context = Context { names: &texts, process: process.as_ref() };
        let decision = decide_in(&policy, &Event::Connection(event.clone()), context);
        if self.act(&decision, &event) == Verdict::Stop {
            return Verdict::Stop;
        }
        let by_name = standing(&policy, &names);
        if self.judge_name(&policy, &by_name, &event) == Verdict::Stop {
            return Verdict::Stop;
        }
        if decision == Decision::Allow {
            self.judge.saw(&Event::Connection(event.clone()));
        }
        let tried = Tried { address: event.address, port: event.port, by_name: !names.is_empty() || resolver };
        self.count(&policy, thread, tried, &event, false)
    }

    /// A rule on a name governs the addresses that only such names gave, and addresses that no name gave can be detected.
    fn judge_name(&self, policy: &CompiledPolicy, by_name: &Standing, event: &ConnectionEvent) -> Verdict {
        match by_name {
            Standing::Allowed => Verdict::Go,
            Standing::Denied(decision) => self.act(decision, event),
            Standing::Unknown => {
                if event.resolver || is_exempt(policy, event.address) {
                    return Verdict::Go;
                }
                self.detect(policy, Reason::UnresolvedAddress, None, event)
            }
        }
    }

    fn act(&self, decision: &Decision, event: &ConnectionEvent) -> Verdict {
        let (violation, effect) = match decision {
            Decision::Allow => return Verdict::Go,
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        self.report(event, |judge, event| judge.report(violation.clone(), effect, event))
    }

    /// A local socket was to connect to an internet address: in honest programs that never happens, and who exchanges
    /// descriptors while the kernel looks at them fails so thousands of times before it succeeds once. In prevent mode the
    /// process is killed, after a few times.
    pub fn exchanged(&self, thread: u32, server: SocketAddr) {
        let process = process::status(thread).map_or(thread, |status| status.process);
        let mut scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        if scans.exchanges.len() >= FAMILIES_KEPT {
            scans.exchanges.clear();
        }
        let count = scans.exchanges.entry(process).or_default();
        *count += 1;
        // Reported once, but as long as it lives it is to be killed.
        let news = *count == EXCHANGES;
        let enough = *count >= EXCHANGES;
        drop(scans);
        let policy = self.judge.policy();
        if news {
            let event = connection(thread, Protocol::Tcp, server, false, &[]);
            let what = Some(String::from("exchanged descriptor"));
            // What is done about it stands below.
            let _ = self.detect(&policy, Reason::UnseenConnection, what, &event);
        }
        if enough && policy.detection(Reason::UnseenConnection) == Effect::Prevent {
            // It may have ended just now; then it exchanges nothing any more.
            ending::end(process);
        }
    }

    /// Counts a connection that was refused.
    pub fn refused(&self, thread: u32, protocol: Protocol, server: SocketAddr) {
        let policy = self.judge.policy();
        let event = connection(thread, protocol, server, false, &[]);
        let tried = Tried { address: event.address, port: event.port, by_name: false };
        // It is over; those that follow are stopped.
        let _ = self.count(&policy, thread, tried, &event, true);
    }

    fn count(
        &self,
        policy: &CompiledPolicy,
        thread: u32,
        tried: Tried,
        event: &ConnectionEvent,
        refused: bool,
    ) -> Verdict {
        let effect = policy.detection(Reason::PortScan);
        if effect == Effect::Disable || event.resolver {
            return Verdict::Go;
        }
        let now = now();
        let mut scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for family in scans.families_of(thread, now).into_iter().filter(|family| *family != 0) {
            let scan = if refused {
                scans.counter.refused(family, tried, now)
            } else {
                scans.counter.note(family, tried, now)
            };
            found = match (found, scan) {
                // A process and its parent find the same scan.
                (Some((what, news)), Some(other)) => Some((what, news && other.news)),
                (None, Some(scan)) => Some((scan.what, scan.news)),
                (found, None) => found,
            };
        }
        drop(scans);
        match found {
            Some((what, true)) => self.detect(policy, Reason::PortScan, Some(what), event),
            Some(_) if effect == Effect::Prevent => Verdict::Stop,
            _ => Verdict::Go,
        }
    }

    fn detect(
        &self,
        policy: &CompiledPolicy,
        reason: Reason,
        matched: Option<String>,
        event: &ConnectionEvent,
    ) -> Verdict {
        if policy.detection(reason) == Effect::Disable {
            return Verdict::Go;
        }
        self.report(event, |judge, event| judge.detected(reason, matched, event))
    }

    fn report(&self, event: &ConnectionEvent, report: impl FnOnce(&Judge, Event) -> Verdict) -> Verdict {
        let mut event = Event::Connection(event.clone());
        complete(&mut event);
        report(&self.judge, event)
    }

    /// The same where descriptors cannot be copied.
    pub fn approve_by_number(&self, thread: u32, descriptor: i32, server: SocketAddr) {
        if self.approvals.wanted() {
            match table::socket_of(thread, descriptor) {
                Some(inode) => self.approvals.connected(inode, server),
                None => self.approvals.lose_sight(),
            }
        }
    }

    /// Writes a connection down for the audit of the kernel's table, before it is made.
    pub fn approve(&self, socket: BorrowedFd<'_>, address: &Address) {
        if self.approvals.wanted()
            && let (Some(server), Ok(inode)) = (address.inet(), socket::inode(socket))
        {
            self.approvals.connected(inode, server);
        }
    }
}

impl Scans {
    /// The process of a thread and its parent: a scan by a loop in a shell is its children's.
    fn families_of(&mut self, thread: u32, now: u64) -> [u32; 2] {
        if let Some((families, at)) = self.families.get(&thread)
            && now - at < FAMILY_LIFE
        {
            return *families;
        }
        let families = process::status(thread).map_or([thread, 0], |status| [status.process, status.parent]);
        if self.families.len() >= FAMILIES_KEPT {
            self.families.clear();
        }
        self.families.insert(thread, (families, now));
        families
    }
}

/// True for addresses that need no look-up: those of this machine, those that a user wrote down, and private ones unless
/// the policy speaks of them too.
fn is_exempt(policy: &CompiledPolicy, address: IpAddr) -> bool {
    let rules = &policy.source().network;
    is_local(address) || (is_private(address) && !rules.unresolved_private) || policy.lists_address(address)
}

fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// RFC 1918, RFC 6598 (carriers and some clouds), RFC 3927, RFC 4193, RFC 4291.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64) || v4 == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(v6) => Ipv6Addr::is_unique_local(&v6) || v6.is_unicast_link_local(),
    }
}

fn connection(thread: u32, protocol: Protocol, server: SocketAddr, resolver: bool, names: &[Known]) -> ConnectionEvent {
    ConnectionEvent {
        protocol,
        address: server.ip().to_canonical(),
        port: server.port(),
        pid: thread,
        path: String::new(),
        resolver,
        domain: names.first().map(|known| known.name.clone()),
    }
}

/// Adds the process to a connection's event.
pub fn complete(event: &mut Event) {
    let Event::Connection(event) = event else { return };
    event.path = process::executable_path(event.pid);
    event.pid = process::status(event.pid).map_or(event.pid, |status| status.process);
}

/// The protocol of a socket of this kind.
#[must_use]
pub fn protocol(kind: Kind) -> Protocol {
    if kind.is_raw() {
        Protocol::Raw
    } else if kind.is_datagram() {
        Protocol::Udp
    } else {
        Protocol::Tcp
    }
}

/// True for where look-ups go.
#[must_use]
pub fn is_resolver(server: SocketAddr) -> bool {
    server.port() == DNS_PORT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_those_of_the_standards() {
        for text in ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "169.254.1.1", "fd00::1", "fe80::1"] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }
}
