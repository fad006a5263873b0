//! connect(2), made by us on a copied descriptor with our own copy of the address: what was judged is what is used.
//!
//! The supervisor never waits for a peer. A blocking connect is begun without blocking; if it is not over at once it joins the
//! pending ones, which are answered when their socket becomes writable.
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use defender_core::{ConnectionEvent, Effect, Event, Protocol};
use defender_sys::{
    Errno, Result, constants,
    notify::{Listener, Notification, Reply},
    socket::{self, Address, Kind},
};

use super::{
    descriptor::Descriptors,
    judge::{Judge, Verdict},
    process,
};
use crate::dns_proxy::{Asker, DnsProxy};

const DNS_PORT: u16 = 53;
/// Results kept for calls that a signal restarts, and for how long.
const RESULTS_KEPT: usize = 1024;
const RESULT_LIFE: Duration = Duration::from_secs(1);
/// Beyond this many waiting connects, further ones are given back to the kernel as they are.
const MOST_PENDING: usize = 512;

/// Watches connections.
pub struct ConnectWatch {
    judge: Judge,
    dns: Option<DnsProxy>,
    pending: Vec<Pending>,
    results: HashMap<u64, (Result<()>, Instant)>,
    descriptors: Descriptors,
    /// True where a signal may restart a call that was answered already.
    pub restarts: bool,
    /// False where the platform forbids copying descriptors: then calls are judged and let go on, which can be raced.
    pub copies: bool,
}

struct Pending {
    call: u64,
    thread: u32,
    socket: OwnedFd,
    address: Address,
    flags: i32,
    inode: u64,
}

impl ConnectWatch {
    /// Watches connections; look-ups go through `dns` where there is one.
    #[must_use]
    pub fn new(judge: Judge, dns: Option<DnsProxy>) -> Self {
        Self {
            judge,
            dns,
            pending: Vec::new(),
            results: HashMap::new(),
            descriptors: Descriptors::default(),
            restarts: true,
            copies: true,
        }
    }

    /// Answers a notified connect.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        match self.at_call(listener, call) {
            Ok(Some(reply)) => drop(listener.reply(call.id, reply)),
            Ok(None) => {}
            Err(errno) => drop(listener.reply(call.id, Reply::Fail(errno))),
        }
    }

    fn at_call(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        let address = read_address(call.thread, call.arguments[1], call.arguments[2] as u32)?;
        if !listener.is_valid(call.id) {
            return Ok(None);
        }
        if !self.copies {
            return Ok(Some(self.without_copy(call, &address)));
        }
        let socket = self.descriptors.copy(call.thread, call.arguments[0] as i32)?;
        let kind = socket::kind(socket.as_fd())?;
        if !kind.is_inet() {
            return Ok(Some(Reply::Continue));
        }
        let Some(server) = address.inet() else { return self.connect(call, socket, kind, address) };
        let proxy = self.proxy_for(kind, server);
        if self.judge_connection(call.thread, kind, server, proxy.is_some()) == Verdict::Stop {
            return Err(Errno::ECONNREFUSED);
        }
        match proxy {
            Some(proxy) => self.redirect(call, socket, kind, server, proxy),
            None => self.connect(call, socket, kind, address),
        }
    }

    fn without_copy(&self, call: &Notification, address: &Address) -> Reply {
        let Some(server) = address.inet() else { return Reply::Continue };
        let kind = Kind { domain: address.family(), kind: 0 };
        match self.judge_connection(call.thread, kind, server, false) {
            Verdict::Stop => Reply::Fail(Errno::ECONNREFUSED),
            Verdict::Go => Reply::Continue,
        }
    }

    fn judge_connection(&self, thread: u32, kind: Kind, server: SocketAddr, resolver: bool) -> Verdict {
        self.judge.judge(connection(thread, kind, server, resolver), complete)
    }

    /// Where a connection to a resolver goes instead; none when look-ups are not judged now, or it is none.
    fn proxy_for(&self, kind: Kind, server: SocketAddr) -> Option<SocketAddr> {
        if server.port() != DNS_PORT || self.judge.policy().source().dns.effect == Effect::Disable {
            return None;
        }
        let proxy = self.dns.as_ref()?.instead_of(SocketAddr::new(server.ip().to_canonical(), DNS_PORT))?;
        match proxy {
            // An IPv6 socket that means an IPv4 server: the same in its own family.
            SocketAddr::V4(v4) if kind.domain == constants::AF_INET6 => {
                Some(SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0)))
            }
            other => Some(other),
        }
    }

    fn redirect(
        &mut self,
        call: &Notification,
        socket: OwnedFd,
        kind: Kind,
        server: SocketAddr,
        proxy: SocketAddr,
    ) -> Result<Option<Reply>> {
        let again = socket.try_clone().map_err(Errno::from)?;
        let reply = self.connect(call, socket, kind, Address::from(proxy));
        // Known to the proxy before the caller is answered, so no question can come too early.
        if let (Some(dns), Ok(client)) = (&self.dns, socket::local_address(again.as_fd())) {
            let asker = Asker {
                pid: process::status(call.thread).map_or(call.thread, |status| status.process),
                path: process::executable_path(call.thread),
                server: SocketAddr::new(server.ip().to_canonical(), server.port()),
            };
            dns.register(protocol(kind), SocketAddr::new(client.ip().to_canonical(), client.port()), asker);
        }
        reply
    }

    fn connect(&mut self, call: &Notification, socket: OwnedFd, kind: Kind, address: Address) -> Result<Option<Reply>> {
        let flags = socket::status_flags(socket.as_fd())?;
        if kind.is_datagram() || flags & constants::O_NONBLOCK != 0 || self.pending.len() >= MOST_PENDING {
            return socket::connect(socket.as_fd(), &address).map(|()| Some(Reply::Value(0)));
        }
        let inode = if self.restarts { socket::inode(socket.as_fd())? } else { 0 };
        match begin(socket.as_fd(), &address, flags) {
            Err(Errno::EINPROGRESS) => {
                self.pending.push(Pending { call: call.id, thread: call.thread, socket, address, flags, inode });
                Ok(None)
            }
            // A signal restarted the call after we had connected: the first result is the answer.
            Err(Errno::EISCONN | Errno::EALREADY) if self.result(inode).is_some() => {
                self.result(inode).unwrap_or(Ok(())).map(|()| Some(Reply::Value(0)))
            }
            result => {
                self.remember(inode, result);
                result.map(|()| Some(Reply::Value(0)))
            }
        }
    }

    fn result(&self, inode: u64) -> Option<Result<()>> {
        self.results.get(&inode).filter(|(_, at)| at.elapsed() < RESULT_LIFE).map(|(result, _)| *result)
    }

    fn remember(&mut self, inode: u64, result: Result<()>) {
        if !self.restarts {
            return;
        }
        if self.results.len() >= RESULTS_KEPT {
            self.results.retain(|_, (_, at)| at.elapsed() < RESULT_LIFE);
        }
        self.results.insert(inode, (result, Instant::now()));
    }

    /// The sockets of waiting connects.
    pub fn waiting(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pending.iter().map(|pending| pending.socket.as_fd())
    }

    /// Answers the waiting connects that are over, by the readiness of their sockets (in the order of [`Self::waiting`]), and
    /// those whose caller has a signal to handle.
    pub fn advance(&mut self, listener: &Listener, ready: &[bool]) {
        let pending = std::mem::take(&mut self.pending);
        for (index, one) in pending.into_iter().enumerate() {
            if !listener.is_valid(one.call) {
                continue;
            }
            let result = if ready.get(index).copied().unwrap_or(false) {
                proceed(one.socket.as_fd(), &one.address, one.flags)
            } else if process::status(one.thread).is_some_and(|status| status.signal_waits) {
                Err(Errno::EINTR)
            } else {
                Err(Errno::EINPROGRESS)
            };
            match result {
                Err(Errno::EINPROGRESS) => self.pending.push(one),
                result => {
                    self.remember(one.inode, result);
                    let reply = result.map_or_else(Reply::Fail, |()| Reply::Value(0));
                    let _ = listener.reply(one.call, reply);
                }
            }
        }
    }
}

/// Begins to connect without blocking, and looks at once whether it is over: on loopback it often is.
fn begin(socket: BorrowedFd<'_>, address: &Address, flags: i32) -> Result<()> {
    without_blocking(socket, flags, || match socket::connect(socket, address) {
        Err(Errno::EINPROGRESS) => ask_again(socket, address),
        other => other,
    })
}

/// Asks for the result of a connect that was begun.
fn proceed(socket: BorrowedFd<'_>, address: &Address, flags: i32) -> Result<()> {
    without_blocking(socket, flags, || ask_again(socket, address))
}

/// A second call turns a connection that is made into success, or says why there is none. A peer that has reset the
/// connection meanwhile had accepted it first, so the caller's own connect would have succeeded.
fn ask_again(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    match socket::connect(socket, address) {
        Err(Errno::EISCONN | Errno::ECONNRESET) => Ok(()),
        Err(Errno::EALREADY) => Err(Errno::EINPROGRESS),
        other => other,
    }
}

/// The flags belong to the open file, which the caller shares; it waits for us meanwhile.
fn without_blocking(socket: BorrowedFd<'_>, flags: i32, call: impl FnOnce() -> Result<()>) -> Result<()> {
    socket::set_status_flags(socket, flags | constants::O_NONBLOCK)?;
    let result = call();
    socket::set_status_flags(socket, flags)?;
    result
}

/// Reads the address argument of a call.
///
/// # Errors
/// `EINVAL` when it is too long, `EFAULT` when it is not there.
pub fn read_address(thread: u32, at: u64, length: u32) -> Result<Address> {
    if length as usize > socket::LARGEST_ADDRESS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; length as usize];
    defender_sys::memory::read(thread, at, &mut bytes)?;
    Address::new(bytes)
}

/// The event of a destination.
#[must_use]
pub fn connection(thread: u32, kind: Kind, server: SocketAddr, resolver: bool) -> Event {
    let address: IpAddr = server.ip().to_canonical();
    Event::Connection(ConnectionEvent {
        protocol: protocol(kind),
        address,
        port: server.port(),
        pid: thread,
        path: String::new(),
        resolver,
        domain: None,
    })
}

/// Adds the process to a connection's event.
pub fn complete(event: &mut Event) {
    let Event::Connection(event) = event else { return };
    event.path = process::executable_path(event.pid);
    event.pid = process::status(event.pid).map_or(event.pid, |status| status.process);
}

fn protocol(kind: Kind) -> Protocol {
    if kind.is_datagram() { Protocol::Udp } else { Protocol::Tcp }
}
