//! What the workload was allowed to connect and to listen on, so that the audit of the kernel's table can tell the rest.
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use defender_core::TcpRow;

/// Approved connections kept. The audit forgets those that are over, so only a flood comes near.
const MOST_CONNECTED: usize = 65_536;
const MOST_BOUND: usize = 4096;
/// A connection that was approved is in the table within this time, or has failed; and one that has been there is over when
/// it is missing for as long (the table is read while it changes).
const SOON: Duration = Duration::from_secs(2);
/// On a machine that hangs it gets there later, and there is room for waiting while the book is half empty.
const LATE: Duration = Duration::from_secs(30);
/// Rounds of the audit that only take down what is there: connections whose calls were judged before it began.
const FIRST_ROUNDS: u32 = 2;

/// One book for the whole workload, shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct Approvals(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// Rounds of the audit so far; none while nobody audits, and then nothing is written down.
    rounds: Option<u32>,
    connected: HashMap<(u64, SocketAddr), Approved>,
    listened: HashSet<u16>,
    bound: HashSet<u64>,
    /// True once a connection could not be written down: from then on nobody can be accused.
    blind: bool,
}

#[derive(Debug)]
struct Approved {
    /// When it was, or was last seen in the table.
    at: Instant,
    seen: bool,
}

impl Approvals {
    /// True while connections are to be written down.
    pub fn wanted(&self) -> bool {
        self.book().rounds.is_some()
    }

    /// Begins or ends the audit.
    pub fn want(&self, wanted: bool) {
        let mut book = self.book();
        if !wanted {
            book.rounds = None;
            book.connected = HashMap::new();
        } else if book.rounds.is_none() {
            book.rounds = Some(0);
        }
    }

    /// True while the audit only takes down what is there.
    pub fn is_new(&self) -> bool {
        self.book().rounds.is_some_and(|rounds| rounds < FIRST_ROUNDS)
    }

    /// Writes down that the socket `inode` may connect to `remote`. Not the socket alone: it may be used again.
    pub fn connected(&self, inode: u64, remote: SocketAddr) {
        let mut book = self.book();
        if book.rounds.is_some() && book.connected.len() < MOST_CONNECTED {
            let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
            book.connected.insert((inode, remote), Approved { at: Instant::now(), seen: false });
        }
    }

    /// A connection was approved whose socket cannot be seen: the audit has no ground any more.
    pub fn lose_sight(&self) {
        self.book().blind = true;
    }

    /// Writes down that the workload listens on `port`: what has this port of its own was accepted.
    pub fn listened(&self, port: u16) {
        self.book().listened.insert(port);
    }

    /// Writes down that the socket `inode` was bound: accepted ones never are.
    pub fn bound(&self, inode: u64) {
        let mut book = self.book();
        if book.bound.len() >= MOST_BOUND {
            book.bound.clear();
        }
        book.bound.insert(inode);
    }

    /// The connections in the table that were made without asking. Nothing in the first rounds.
    pub fn unseen(&self, rows: &[TcpRow]) -> Vec<TcpRow> {
        self.book().unseen(rows, Instant::now())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn unseen(&mut self, rows: &[TcpRow], now: Instant) -> Vec<TcpRow> {
        let Some(rounds) = self.rounds.filter(|_| !self.blind) else { return Vec::new() };
        self.rounds = Some(rounds.saturating_add(1));
        self.listened.extend(rows.iter().filter(|row| row.listens()).map(|row| row.local.port()));
        let live: HashSet<(u64, SocketAddr)> = rows.iter().map(|row| (row.inode, row.remote)).collect();
        let not_seen = if self.connected.len() > MOST_CONNECTED / 2 { SOON } else { LATE };
        self.connected.retain(|key, approved| {
            if live.contains(key) {
                *approved = Approved { at: now, seen: true };
            }
            now.duration_since(approved.at) < if approved.seen { SOON } else { not_seen }
        });
        let open = rows.iter().filter(|row| row.has_peer() && !self.is_known(row));
        let unseen: Vec<TcpRow> = open.copied().collect();
        if rounds >= FIRST_ROUNDS {
            return unseen;
        }
        let seen = |row: &TcpRow| ((row.inode, row.remote), Approved { at: now, seen: true });
        self.connected.extend(unseen.iter().map(seen));
        Vec::new()
    }

    fn is_known(&self, row: &TcpRow) -> bool {
        let accepted =
            !row.is_asking() && self.listened.contains(&row.local.port()) && !self.bound.contains(&row.inode);
        accepted || self.connected.contains_key(&(row.inode, row.remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTABLISHED: u8 = 1;

    fn row(local: &str, remote: &str, state: u8, inode: u64) -> TcpRow {
        TcpRow { local: local.parse().unwrap(), remote: remote.parse().unwrap(), state, inode }
    }

    /// Approvals whose first rounds are over.
    fn audited(rows: &[TcpRow]) -> Approvals {
        let approvals = Approvals::default();
        approvals.want(true);
        for _ in 0..FIRST_ROUNDS {
            assert_eq!(Vec::<TcpRow>::new(), approvals.unseen(rows));
        }
        approvals
    }

    #[test]
    fn only_what_was_not_approved_is_unseen() {
        let inherited = row("10.0.0.2:40000", "203.0.113.9:443", ESTABLISHED, 5);
        let approvals = audited(&[inherited]);
        approvals.connected(6, "[::ffff:203.0.113.9]:80".parse().unwrap());

        let known = row("10.0.0.2:40001", "203.0.113.9:80", ESTABLISHED, 6);
        let elsewhere = row("10.0.0.2:40001", "203.0.113.9:81", ESTABLISHED, 6);
        let nobody = row("10.0.0.2:40002", "203.0.113.9:81", ESTABLISHED, 0);

        assert_eq!(vec![elsewhere], approvals.unseen(&[inherited, known, elsewhere, nobody]));
    }

    #[test]
    fn accepted_connections_are_known_even_when_nobody_listens_any_more() {
        let listener = row("0.0.0.0:80", "0.0.0.0:0", 10, 1);
        let approvals = audited(&[listener]);
        approvals.listened(8080);

        let accepted = row("10.0.0.2:80", "203.0.113.9:5555", ESTABLISHED, 7);
        let later = row("10.0.0.2:8080", "203.0.113.9:5555", ESTABLISHED, 8);

        assert_eq!(Vec::<TcpRow>::new(), approvals.unseen(&[accepted, later]));
    }

    #[test]
    fn a_bound_or_asking_socket_does_not_pass_for_an_accepted_one() {
        let approvals = audited(&[row("0.0.0.0:80", "0.0.0.0:0", 10, 1)]);
        approvals.bound(7);

        let bound = row("10.0.0.2:80", "203.0.113.9:5555", ESTABLISHED, 7);
        let asking = row("10.0.0.2:80", "203.0.113.9:5556", 2, 8);

        assert_eq!(vec![bound, asking], approvals.unseen(&[bound, asking]));
    }

    #[test]
    fn an_approval_ends_with_its_connection() {
        let approvals = audited(&[]);
        let connection = row("10.0.0.2:40001", "203.0.113.9:80", ESTABLISHED, 6);
        approvals.connected(6, connection.remote);
        let mut book = approvals.book();
        let later = Instant::now() + SOON + SOON;

        assert_eq!(Vec::<TcpRow>::new(), book.unseen(&[connection], later));
        assert_eq!(Vec::<TcpRow>::new(), book.unseen(&[], later), "once it may have been overlooked");
        assert_eq!(Vec::<TcpRow>::new(), book.unseen(&[], later + SOON));
        assert_eq!(vec![connection], book.unseen(&[connection], later + SOON));
    }

    #[test]
    fn a_connection_may_come_late_unless_there_are_too_many() {
        let approvals = audited(&[]);
        let connection = row("10.0.0.2:40001", "203.0.113.9:80", ESTABLISHED, 6);
        approvals.connected(6, connection.remote);
        let mut book = approvals.book();
        let later = Instant::now() + 5 * SOON;

        assert_eq!(Vec::<TcpRow>::new(), book.unseen(&[], later));
        assert_eq!(Vec::<TcpRow>::new(), book.unseen(&[connection], later));

        for inode in 0..MOST_CONNECTED as u64 {
            book.connected.insert((inode + 10, connection.remote), Approved { at: Instant::now(), seen: false });
        }
        book.unseen(&[connection], later);
        assert_eq!(1, book.connected.len());
    }
}
