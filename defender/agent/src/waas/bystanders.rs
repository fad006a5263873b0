//! Ports on which others listen: one that is not behind the firewall is told of.
//!
//! The kernel's tables begin with the sockets that listen (`tcp_get_idx` in `net/ipv4/tcp_ipv4.c`), so that a look costs the same
//! with ten thousand connections as with none.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    process,
};

use defender_core::{AuditDraft, Notice, TcpRow};
use serde::Serialize;

use super::ports::Port;
use crate::{
    link::desk,
    supervisor::table::{TABLES, owners},
};

/// Ports that are told of and shown; more would only fill the Console.
const MOST: usize = 32;

/// Whose sockets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All of this network: that of a task is its containers' alone.
    Network,
    /// Those of the workload's processes: its network may be a machine's.
    Workload,
}

/// A port that others than the firewall listen on, not on loopback alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bystander {
    /// The port.
    pub port: u16,
    /// Whether clients who come to another port, the firewall's, are passed on to this one: it is a way around only for those
    /// whom the network lets in here.
    pub covered: bool,
}

/// Looks for them, and tells of each once.
pub struct Watch {
    whose: Whose,
    told: HashSet<u16>,
    /// Sockets by inode, and whether they are the workload's.
    known: HashMap<u64, bool>,
}

impl Watch {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(whose: Whose) -> Self {
        Self { whose, told: HashSet::new(), known: HashMap::new() }
    }

    /// What stands open besides the firewall's own ports.
    #[must_use]
    pub fn look(&mut self, ports: &[Port]) -> Vec<Bystander> {
        let mut open = rows();
        open.retain(|row| !ports.iter().any(|port| port.exposed == row.local.port()));
        if self.whose == Whose::Workload {
            self.find_owners(&open);
            open.retain(|row| self.known.get(&row.inode) == Some(&true));
        }
        let open: BTreeSet<u16> = open.iter().map(|row| row.local.port()).collect();
        let covered = |port: u16| ports.iter().any(|pair| pair.internal == port);
        open.into_iter().map(|port| Bystander { port, covered: covered(port) }).take(MOST).collect()
    }

    /// Looks through all processes, and so only for sockets that are new.
    fn find_owners(&mut self, open: &[TcpRow]) {
        let present: HashSet<u64> = open.iter().map(|row| row.inode).collect();
        self.known.retain(|inode, _| present.contains(inode));
        let new: HashSet<u64> = present.into_iter().filter(|inode| !self.known.contains_key(inode)).collect();
        if !new.is_empty() {
            let owned = owners(&new, process::id());
            self.known.extend(new.into_iter().map(|inode| (inode, owned.contains_key(&inode))));
        }
    }

    /// What is to be told of these for the first time: of an application's port that the firewall passes on to nothing is, since
    /// almost every application listens there on all addresses and the network in front closes it.
    pub fn news(&mut self, seen: &[Bystander]) -> Vec<AuditDraft> {
        let uncovered = seen.iter().filter(|one| !one.covered).map(|one| one.port);
        let new = uncovered.filter(|port| self.told.len() < MOST && self.told.insert(*port));
        new.map(|port| AuditDraft::notice(desk::now(), Notice::UnprotectedPort, described(port), 1)).collect()
    }
}

fn described(port: u16) -> String {
    format!(
        "port {port} is listened on and does not stand behind the firewall: protect it with `--waas-port`, or close it"
    )
}

/// All sockets that wait for connections from elsewhere.
fn rows() -> Vec<TcpRow> {
    let tables = TABLES.iter().filter_map(|table| File::open(table).ok());
    tables.flat_map(|table| listening(BufReader::with_capacity(4096, table))).collect()
}

fn listening(table: impl BufRead) -> Vec<TcpRow> {
    let lines = table.lines().map_while(Result::ok).skip(1);
    let rows = lines.map_while(|line| TcpRow::parse(&line).filter(TcpRow::listens));
    rows.filter(|row| !row.local.ip().is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    use super::*;

    fn open(address: impl Into<std::net::IpAddr>) -> (TcpListener, u16) {
        let listener = TcpListener::bind((address.into(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn ports_seen(watch: &mut Watch, ports: &[Port]) -> Vec<(u16, bool)> {
        watch.look(ports).into_iter().map(|one| (one.port, one.covered)).collect()
    }

    /// Of ports that are listened on those count that others can reach and that are not the firewall's own.
    #[test]
    fn what_is_listened_on_is_seen() {
        let ((_one, everywhere), (_two, inside), (_three, own)) =
            (open(Ipv4Addr::UNSPECIFIED), open(Ipv4Addr::LOCALHOST), open(Ipv6Addr::UNSPECIFIED));
        let (_four, behind) = open(Ipv6Addr::UNSPECIFIED);
        let seen = ports_seen(&mut Watch::new(Whose::Network), &[Port { exposed: own, internal: behind }]);

        assert!(seen.contains(&(everywhere, false)), "{seen:?}");
        assert!(seen.contains(&(behind, true)), "{seen:?}");
        assert!(!seen.iter().any(|(port, _)| [inside, own].contains(port)), "{seen:?}");
    }

    /// On a network that is not the workload's alone, what others listen on is not its own.
    #[test]
    fn ports_of_others_are_theirs() {
        let (_one, port) = open(Ipv4Addr::UNSPECIFIED);

        assert!(!ports_seen(&mut Watch::new(Whose::Workload), &[]).iter().any(|(seen, _)| *seen == port));
    }

    /// Each port is told of once, one behind the firewall never, and no more than so many.
    #[test]
    fn each_port_is_told_of_once() {
        let mut watch = Watch::new(Whose::Network);
        let seen = [Bystander { port: 9090, covered: false }, Bystander { port: 8080, covered: true }];
        assert_eq!(watch.news(&seen).len(), 1);
        assert!(watch.news(&seen).is_empty());

        let many: Vec<Bystander> = (1..1000).map(|port| Bystander { port, covered: false }).collect();
        assert_eq!(watch.news(&many).len(), MOST - 1);
    }

    /// The reading of a table ends where its listening sockets do.
    #[test]
    fn connections_are_not_read() {
        let row = |state: &str| {
            format!("   0: 00000000:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 12 1 0 100\n")
        };
        let table = format!("  sl  local_address\n{}{}{}", row("0A"), row("01"), row("0A"));

        assert_eq!(listening(table.as_bytes()).len(), 1);
    }
}
