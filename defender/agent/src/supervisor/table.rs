//! The audit of the kernel's table of TCP sockets: the back-stop behind every way of connecting that is not asked about.
//!
//! In prevent mode whoever holds such a connection is killed. Connections that were accepted, inherited, or that belong to
//! processes which are not the workload's (the other containers of a task share its network) are nobody's fault.
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use defender_core::{ConnectionEvent, Effect, Event, Protocol, Reason, TcpRow};

use defender_sys::keeper;

use super::{
    approvals::Approvals,
    ending,
    judge::{Judge, Verdict},
    process, reach,
};
use crate::names::Names;

/// The kernel's tables of TCP sockets (proc(5)).
pub const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
/// Between two looks, when the policy wants them.
pub const PERIOD: Duration = Duration::from_millis(100);
/// The same, while it wants none.
pub const PERIOD_OFF: Duration = Duration::from_millis(500);
/// The kernel walks through its whole hash table for one look, which takes a millisecond or, on large machines, a hundred:
/// the pause is at least this many times as long as the look, when what is found is to be ended or only to be reported.
const SHARE_TO_PREVENT: u32 = 10;
const SHARE_TO_ALERT: u32 = 50;
/// A connection that no process of the workload holds is looked for again after this many rounds: it may be on its way.
pub const FOREIGN_ROUNDS: u32 = 3;
const REPORTED_KEPT: usize = 4096;

/// Starts the audit on a thread of its own, which lives as long as the Defender.
///
/// # Errors
/// When there is no room for a thread.
pub fn start(judge: Judge, names: Names, approvals: Approvals) -> io::Result<()> {
    let mut audit =
        Audit { judge, names, approvals, foreign: HashMap::new(), reported: HashSet::new(), own: std::process::id() };
    thread::Builder::new().name("audit".into()).stack_size(128 << 10).spawn(move || {
        loop {
            let pause = audit.round();
            thread::sleep(pause);
        }
    })?;
    Ok(())
}

struct Audit {
    judge: Judge,
    names: Names,
    approvals: Approvals,
    /// Sockets of others, by inode, and how many rounds they are left alone.
    foreign: HashMap<u64, u32>,
    reported: HashSet<(u64, std::net::SocketAddr)>,
    own: u32,
}

impl Audit {
    fn round(&mut self) -> Duration {
        let effect = self.judge.policy().detection(Reason::UnseenConnection);
        self.approvals.want(effect != Effect::Disable);
        let share = match effect {
            Effect::Disable | Effect::Allow => return PERIOD_OFF,
            Effect::Alert => SHARE_TO_ALERT,
            Effect::Prevent | Effect::Ban => SHARE_TO_PREVENT,
        };
        let begin = Instant::now();
        let unseen = self.approvals.unseen(&rows());
        self.foreign.retain(|_, rounds| {
            *rounds -= 1;
            *rounds > 0
        });
        let open: Vec<TcpRow> = unseen.into_iter().filter(|row| !self.foreign.contains_key(&row.inode)).collect();
        if !open.is_empty() {
            self.accuse(&open);
        }
        // The first looks only take down what is there; soon done is well done.
        if self.approvals.is_new() { PERIOD } else { PERIOD.max(begin.elapsed() * share) }
    }

    fn accuse(&mut self, rows: &[TcpRow]) {
        let wanted: HashSet<u64> = rows.iter().map(|row| row.inode).collect();
        let owners = owners(&wanted, self.own);
        let mut ended: HashSet<u32> = HashSet::new();
        for row in rows {
            match owners.get(&row.inode) {
                // Whoever was killed for one connection need not be told of for the others.
                Some(owners) if owners.iter().all(|owner| ended.contains(owner)) => {}
                Some(owners) => {
                    if self.judge_row(row, owners) == Verdict::Stop {
                        end(owners);
                        ended.extend(owners);
                    }
                }
                None => {
                    self.foreign.insert(row.inode, FOREIGN_ROUNDS);
                }
            }
        }
    }

    fn judge_row(&mut self, row: &TcpRow, owners: &[u32]) -> Verdict {
        if self.reported.len() >= REPORTED_KEPT {
            self.reported.clear();
        }
        if !self.reported.insert((row.inode, row.remote)) {
            return Verdict::Go;
        }
        let pid = owners.first().copied().unwrap_or_default();
        let domain = self.names.of(row.remote.ip()).first().map(|known| known.name.clone());
        let event = Event::Connection(ConnectionEvent {
            protocol: Protocol::Tcp,
            address: row.remote.ip(),
            port: row.remote.port(),
            pid,
            path: process::executable_path(pid),
            resolver: false,
            domain,
        });
        self.judge.detected(Reason::UnseenConnection, None, event)
    }
}

/// Kills the processes that hold a socket.
pub fn end(owners: &[u32]) {
    for owner in owners {
        // It may have ended just now; then so has its connection.
        ending::end(*owner);
    }
}

fn rows() -> Vec<TcpRow> {
    rows_of(TABLES)
}

/// What stands in these tables now.
#[must_use]
pub fn rows_of(tables: [&str; 2]) -> Vec<TcpRow> {
    let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    tables.flat_map(|table| table.lines().filter_map(TcpRow::parse).collect::<Vec<_>>()).collect()
}

/// The processes of the workload that hold the sockets with these inodes.
#[must_use]
pub fn owners(wanted: &HashSet<u64>, own: u32) -> HashMap<u64, Vec<u32>> {
    let mut owners: HashMap<u64, Vec<u32>> = HashMap::new();
    for process in workload(own) {
        for inode in sockets_of(process).filter(|inode| wanted.contains(inode)) {
            let holders = owners.entry(inode).or_default();
            if !holders.contains(&process) {
                holders.push(process);
            }
        }
    }
    owners
}

fn sockets_of(process: u32) -> impl Iterator<Item = u64> {
    let look = || {
        let mut found = Vec::new();
        for entry in fs::read_dir(format!("/proc/{process}/fd"))?.flatten() {
            match fs::read_link(entry.path()) {
                Ok(link) => found.extend(socket_inode(&link)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                // Closed meanwhile.
                Err(_) => {}
            }
        }
        Ok(found)
    };
    reach::looking(process, look).unwrap_or_default().into_iter()
}

/// Which socket a descriptor of a thread is; none when it is none, or we may not look.
#[must_use]
pub fn socket_of(thread: u32, descriptor: i32) -> Option<u64> {
    socket_inode(&fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?)
}

/// `socket:[12345]`.
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// All processes that are not the Defender's own.
fn workload(own: u32) -> Vec<u32> {
    if !ending::is_first_the_application() {
        return descendants(own);
    }
    let mut all = descendants(keeper::FIRST);
    all.retain(|process| *process != own);
    all.push(keeper::FIRST);
    all
}

/// All processes below `ancestor`. Orphans are ours too: they are given to us.
fn descendants(ancestor: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in processes {
        if let Some(parent) = process::parent_of(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![ancestor]);
    while let Some(parent) = next.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        next.extend(&below);
        found.extend(below);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener, TcpStream},
        os::fd::AsFd,
    };

    use super::*;

    #[test]
    fn own_connections_stand_in_the_table_with_their_inode() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let inode = defender_sys::socket::inode(client.as_fd()).unwrap();

        let row = rows().into_iter().find(|row| row.inode == inode).unwrap();

        assert_eq!((row.remote, row.has_peer()), (listener.local_addr().unwrap(), true));
        assert!(sockets_of(std::process::id()).any(|one| one == inode));
    }

    #[test]
    fn descendants_are_children_and_their_children() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 100 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.as_mut().unwrap()), &mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();

        let found = descendants(std::process::id());

        defender_sys::signals::send(grandchild as i32, defender_sys::constants::SIGKILL).unwrap();
        assert!(found.contains(&grandchild) && found.contains(&shell.id()));
        assert!(!found.contains(&std::process::id()));
        shell.wait().unwrap();
    }
}
