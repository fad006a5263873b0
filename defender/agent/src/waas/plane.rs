//! What all connections share: the policy in force, the application's connections, what is counted and told.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Write as _,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use defender_core::AuditDraft;
use defender_waf::firewall::{Client, Exchange, Firewall, Standing};
use tokio::sync::watch;

use super::{
    counters::Counters, discoveries::Discoveries, limits::Limits, pool::Pool, reverse::Reverse, settings::Settings,
    upstream2::Shared,
};
use crate::enforcement::FailMode;

/// Takes what is to be reported; it must neither block nor fail.
pub trait Reporter: Send + Sync {
    /// Takes one audit.
    fn report(&self, draft: AuditDraft);

    /// Is shown every exchange at its end, whether there is anything to report or not. Nobody looks unless he says so.
    fn ended(&self, _client: Client, _exchange: &mut Exchange<'_>) {}
}

/// A policy in force.
#[derive(Debug)]
pub struct Armed {
    /// Names exactly this policy.
    pub hash: String,
    /// What judges.
    pub firewall: Firewall,
    /// What of the policy concerns the proxy itself.
    pub settings: Settings,
    /// The proxy's bounds under this policy.
    pub limits: Limits,
}

/// Shared with whoever brings policies and asks for the state.
pub struct Plane {
    /// The policy in force, swapped whole: each request is judged by one.
    pub armed: ArcSwapOption<Armed>,
    /// What went through.
    pub counters: Counters,
    /// What applications' endpoints are.
    pub discoveries: Discoveries,
    /// What happens while there is no policy.
    pub fail_mode: FailMode,
    /// The proxy's bounds without a policy.
    pub limits: Limits,
    /// Takes what is to be told.
    pub reporter: Arc<dyn Reporter>,
    prefix: String,
    exchanges: AtomicU64,
    began: Instant,
    /// Unix milliseconds then.
    began_at: u64,
}

impl Plane {
    /// A plane without policy. `instance` makes event numbers unique beyond this process.
    #[must_use]
    pub fn new(fail_mode: FailMode, limits: Limits, reporter: Arc<dyn Reporter>, instance: &str) -> Self {
        Self {
            armed: ArcSwapOption::empty(),
            counters: Counters::default(),
            discoveries: Discoveries::default(),
            fail_mode,
            limits,
            reporter,
            prefix: instance.chars().take(20).collect(),
            exchanges: AtomicU64::new(0),
            began: Instant::now(),
            began_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        }
    }

    /// Unix milliseconds, of a clock that never goes back.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.began_at + self.began.elapsed().as_millis() as u64
    }

    /// The number of the next exchange, for block pages and audits.
    #[must_use]
    pub fn next_id(&self) -> String {
        let mut id = String::with_capacity(32);
        id.push_str(&self.prefix);
        // Writing to memory cannot fail.
        let _ = write!(id, "{:012x}", self.exchanges.fetch_add(1, Ordering::Relaxed));
        id
    }
}

/// What lives on the proxy's own thread.
pub struct Local {
    /// What is shared with other threads.
    pub plane: Arc<Plane>,
    /// Connections to the application.
    pub pool: Pool,
    /// Connections to applications that speak HTTP/2.
    pub shared: Shared,
    /// What clients did before.
    pub standing: Standing,
    /// Names of clients' addresses.
    pub reverse: Rc<Reverse>,
    /// True once no more requests are to be taken.
    pub draining: watch::Receiver<bool>,
    clients: RefCell<HashMap<IpAddr, usize>>,
    open: Cell<usize>,
    held: Cell<usize>,
}

impl Local {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(plane: Arc<Plane>, standing: Standing, reverse: Reverse, draining: watch::Receiver<bool>) -> Self {
        let (pool, shared, clients, open, held) = Default::default();
        Self { plane, pool, shared, standing, reverse: Rc::new(reverse), draining, clients, open, held }
    }

    /// True once no more requests are to be taken.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Room for a connection of this client; none when there are too many.
    pub fn admit(self: &Rc<Self>, client: IpAddr) -> Option<Admission> {
        let limits = &self.plane.limits;
        let mut clients = self.clients.borrow_mut();
        let of_client = clients.get(&client).copied().unwrap_or(0);
        if self.open.get() >= limits.connections || of_client >= limits.connections_of_client {
            self.plane.counters.refused_connections.add();
            return None;
        }
        clients.insert(client, of_client + 1);
        self.open.set(self.open.get() + 1);
        self.plane.counters.connections.add();
        Some(Admission { local: self.clone(), client })
    }
}

/// What one request holds because of its body, of what all may hold together.
pub struct Held<'l> {
    local: &'l Local,
    bytes: Cell<usize>,
}

impl<'l> Held<'l> {
    /// Nothing is held.
    #[must_use]
    pub fn new(local: &'l Local) -> Self {
        Self { local, bytes: Cell::new(0) }
    }

    /// It holds so many bytes from now on; false, and nothing changes, when there is no room for more than it had.
    pub fn hold(&self, bytes: usize) -> bool {
        let before = self.bytes.get();
        let all = self.local.held.get() - before + bytes;
        let fits = bytes <= before || all <= self.local.plane.limits.held;
        if fits {
            self.local.held.set(all);
            self.bytes.set(bytes);
        }
        fits
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// A connection's place, given back at its end.
pub struct Admission {
    local: Rc<Local>,
    client: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut clients = self.local.clients.borrow_mut();
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
        self.local.open.set(self.local.open.get() - 1);
        self.local.plane.counters.connections.subtract();
    }
}
