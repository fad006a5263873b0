//! connect(2), made by us on a copied descriptor with our own copy of the address: what was judged is what is used.
//!
//! Local sockets are connected by the kernel itself, since their peer must see the caller's credentials and not ours.
use std::{
    net::{SocketAddr, SocketAddrV6},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use defender_core::{Effect, Protocol, Reason};
use defender_sys::{
    Errno, Result, constants,
    notify::{Listener, Notification, Reply},
    socket::{self, Address, Kind},
};

use super::{
    descriptor::Descriptors,
    destination::{Destinations, is_resolver, protocol},
    judge::Verdict,
    pending::Pending,
    process,
};
use crate::dns_proxy::{Asker, DnsProxy, StandIn, stand_in};

/// Watches connections.
pub struct ConnectWatch {
    destinations: Destinations,
    dns: Option<DnsProxy>,
    pub pending: Pending,
    descriptors: Descriptors,
    /// False where the platform forbids copying descriptors: then calls are judged and let go on, which can be raced.
    pub copies: bool,
}

impl ConnectWatch {
    /// Watches connections; look-ups go through `dns` where there is one.
    #[must_use]
    pub fn new(destinations: Destinations, dns: Option<DnsProxy>) -> Self {
        Self { destinations, dns, pending: Pending::new(), descriptors: Descriptors::default(), copies: true }
    }

    /// Answers a notified connect.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        if let Some(reply) = self.at_call(listener, call).unwrap_or_else(|errno| Some(Reply::Fail(errno))) {
            self.pending.reply(listener, call, reply);
        }
    }

    /// Answers the connect of a TCP fast open. One that does not wait goes on without the data, as where no cookie is known:
    /// its caller sends again when it is connected (musl's resolver knows no other way). Any other is refused, and programs
    /// then connect first.
    pub fn on_fast_open(&mut self, listener: &Listener, call: &Notification) {
        let reply = self.at_fast_open(listener, call).unwrap_or_else(|errno| Some(Reply::Fail(errno)));
        if let Some(reply) = reply {
            // The caller may be gone; then nobody waits for this.
            let _ = listener.reply(call.id, reply);
        }
    }

    fn at_fast_open(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        if !self.copies {
            return Err(Errno::EOPNOTSUPP);
        }
        let (socket, kind) = socket_of(&mut self.descriptors, listener, call)?;
        let waits = socket::status_flags(socket.as_fd())? & constants::O_NONBLOCK == 0;
        if !kind.is_inet() || !kind.is_stream() || waits {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.at_call(listener, call)? {
            Some(Reply::Value(_)) => Err(Errno::EINPROGRESS),
            other => Ok(other),
        }
    }

    /// Answers the waiting connects that are over.
    pub fn advance(&mut self, listener: &Listener) {
        self.pending.advance(listener, &self.destinations);
    }

    fn at_call(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        let address = read_address(call.thread, call.arguments[1], call.arguments[2] as u32)?;
        if !self.copies {
            return Ok(listener.is_valid(call.id).then(|| self.without_copy(call, &address)));
        }
        let socket = self.descriptors.of_call(listener, call)?;
        let kind = kind_for(socket.as_fd(), &address)?;
        match (left_to_the_kernel(kind, &address), address.inet()) {
            (Err(errno), Some(server)) => {
                self.destinations.exchanged(call.thread, server);
                return Err(errno);
            }
            (Ok(None), _) => {}
            (reply, _) => return reply,
        }
        if let (true, Some(dns)) = (kind.is_datagram(), &self.dns) {
            // Wherever it is to go now.
            let _ = stand_in::release(dns.stand_ins(), socket.as_fd());
        }
        let Some(server) = address.inet() else { return self.connect(call, socket, kind, address) };
        let proxy = self.proxy_for(call.thread, kind, server);
        let trusted = proxy.is_some() && self.dns.as_ref().is_some_and(|dns| dns.trusts(server.ip()));
        if self.destinations.judge(call.thread, protocol(kind), server, trusted) == Verdict::Stop {
            return Err(Errno::ECONNREFUSED);
        }
        match proxy {
            Some(proxy) => self.redirect(call, socket, kind, server, proxy),
            None => self.connect(call, socket, kind, address),
        }
    }

    fn without_copy(&self, call: &Notification, address: &Address) -> Reply {
        let Some(server) = address.inet() else { return Reply::Continue };
        match self.destinations.judge(call.thread, Protocol::Tcp, server, false) {
            Verdict::Stop => Reply::Fail(Errno::ECONNREFUSED),
            Verdict::Go => {
                self.destinations.approve_by_number(call.thread, call.arguments[0] as i32, server);
                Reply::Continue
            }
        }
    }

    /// Where a connection to a resolver goes instead; none when nobody needs its look-ups now, or it is none.
    fn proxy_for(&self, thread: u32, kind: Kind, server: SocketAddr) -> Option<StandIn> {
        let policy = self.destinations.judge.policy();
        let wanted = policy.source().dns.effect != Effect::Disable
            || policy.detection(Reason::UnresolvedAddress) != Effect::Disable;
        if !is_resolver(server) || !wanted || kind.is_raw() {
            return None;
        }
        let dns = self.dns.as_ref()?;
        if kind.is_datagram() && dns.lets_alone(|| process::executable_path(thread)) {
            return None;
        }
        dns.instead_of(protocol(kind), canonical(server))
    }

    fn redirect(
        &mut self,
        call: &Notification,
        socket: OwnedFd,
        kind: Kind,
        server: SocketAddr,
        proxy: StandIn,
    ) -> Result<Option<Reply>> {
        let again = socket.try_clone().map_err(Errno::from)?;
        let plain = || self.dns.as_ref().and_then(|dns| dns.loopback_for(canonical(server)));
        // Where the socket cannot get there, only its address is another than the server's.
        let proxy = if proxy.admit(socket.as_fd()).is_ok() { proxy } else { plain().ok_or(Errno::ECONNREFUSED)? };
        let reply = self.connect(call, socket, kind, Address::from(in_family_of(kind, proxy.place)));
        // Known to the proxy before the caller is answered, so no question can come too early.
        if let (Some(dns), Ok(client)) = (&self.dns, socket::local_address(again.as_fd())) {
            let asker = Asker {
                pid: process::status(call.thread).map_or(call.thread, |status| status.process),
                path: process::executable_path(call.thread),
                server: canonical(server),
            };
            dns.register(protocol(kind), canonical(client), asker);
        }
        reply
    }

    fn connect(&mut self, call: &Notification, socket: OwnedFd, kind: Kind, address: Address) -> Result<Option<Reply>> {
        if !kind.is_datagram() {
            self.destinations.approve(socket.as_fd(), &address);
        }
        let server = address.inet();
        let result = self.pending.connect(call, socket, address, !kind.is_datagram());
        if let (Err(Errno::ECONNREFUSED), Some(server)) = (&result, server) {
            self.destinations.refused(call.thread, protocol(kind), server);
        }
        result
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An IPv6 socket that means an IPv4 place: the same in its own family.
fn in_family_of(kind: Kind, place: SocketAddr) -> SocketAddr {
    match place {
        SocketAddr::V4(v4) if kind.domain == constants::AF_INET6 => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        other => other,
    }
}

/// What the kernel does itself: local sockets and netlink, whose addresses are no destinations. With an address that is
/// not theirs they get its own answer from us, so that a descriptor exchanged after this look gains nothing.
///
/// # Errors
/// `EINVAL`, for a local socket and an internet address.
pub fn left_to_the_kernel(kind: Kind, address: &Address) -> Result<Option<Reply>> {
    match kind.domain {
        constants::AF_UNIX | constants::AF_NETLINK if address.inet().is_some() => Err(Errno::EINVAL),
        constants::AF_UNIX | constants::AF_NETLINK => Ok(Some(Reply::Continue)),
        // Families that use internet addresses under a name of their own (AF_SMC) are no way round.
        _ if !kind.is_inet() && address.inet().is_none() => Ok(Some(Reply::Continue)),
        _ => Ok(None),
    }
}

/// What a socket is that is to be connected to `address`. Of a TCP socket one question tells enough: one of the other family
/// gets the kernel's own answer. Only for look-ups the family matters, since they go elsewhere.
fn kind_for(socket: BorrowedFd<'_>, address: &Address) -> Result<Kind> {
    let is_lookup = address.inet().is_none_or(is_resolver);
    if !is_lookup && socket::is_tcp(socket) {
        return Ok(Kind { domain: address.family(), kind: constants::SOCK_STREAM });
    }
    socket::kind(socket)
}

/// The socket that a call names, and what it is.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`, `EPERM` when the platform forbids copying, or `ENOENT` when nobody waits any more.
pub fn socket_of(descriptors: &mut Descriptors, listener: &Listener, call: &Notification) -> Result<(OwnedFd, Kind)> {
    let socket = descriptors.of_call(listener, call)?;
    let kind = socket::kind(socket.as_fd())?;
    Ok((socket, kind))
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
