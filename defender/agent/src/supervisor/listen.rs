//! bind(2), listen(2) and unusual sockets: which ports the workload opens to others, and what it opens beside ports.
//!
//! Both calls are made by us on a copied descriptor, with our own copy of the address. A stream socket is judged when it
//! listens, since clients bind too; one for datagrams when it is bound, since from then on it receives.
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
};

use defender_core::{ConnectionEvent, Event, ListenEvent, Protocol, Reason};
use defender_sys::{
    Errno, Result, constants,
    notify::{Listener, Notification, Reply},
    socket::{self, Address, Kind},
};

use super::{
    approvals::Approvals,
    connect::{left_to_the_kernel, read_address, socket_of},
    descriptor::Descriptors,
    destination::{complete, protocol},
    judge::{Judge, Verdict},
    privilege, process,
};

/// Watches listening.
pub struct ListenWatch {
    judge: Judge,
    approvals: Approvals,
    descriptors: Descriptors,
    /// Below it, binding takes a capability (ip(7), `ip_unprivileged_port_start`).
    first_free_port: u16,
    /// False where the platform forbids copying descriptors: then calls are judged and let go on, which can be raced.
    pub copies: bool,
}

impl ListenWatch {
    /// Watches listening.
    #[must_use]
    pub fn new(judge: Judge, approvals: Approvals) -> Self {
        let first_free_port = privilege::first_free_port();
        Self { judge, approvals, descriptors: Descriptors::default(), first_free_port, copies: true }
    }

    /// Answers a notified bind.
    pub fn on_bind(&mut self, listener: &Listener, call: &Notification) {
        let reply = self.at_bind(listener, call).unwrap_or_else(|errno| Some(Reply::Fail(errno)));
        answer(listener, call, reply);
    }

    /// Answers a notified listen.
    pub fn on_listen(&mut self, listener: &Listener, call: &Notification) {
        let reply = self.at_listen(listener, call).unwrap_or_else(|errno| Some(Reply::Fail(errno)));
        answer(listener, call, reply);
    }

    /// Answers a notified socket(2): only raw, packet and SCTP ones are. All that counts is in its arguments, which nobody
    /// can change any more, so the kernel goes on with it.
    pub fn on_socket(&mut self, listener: &Listener, call: &Notification) {
        let [domain, kind, number, ..] = call.arguments.map(|argument| argument as i32);
        let what = match domain {
            constants::AF_INET | constants::AF_INET6 if number == constants::IPPROTO_SCTP => "sctp",
            constants::AF_INET | constants::AF_INET6 if kind & 0xf == constants::SOCK_SEQPACKET => "sctp",
            constants::AF_INET | constants::AF_INET6 if kind & 0xf == constants::SOCK_RAW => "raw",
            _ => "packet",
        };
        let reply = match self.judge_unusual(call.thread, what) {
            Verdict::Go => Reply::Continue,
            Verdict::Stop if what == "sctp" => Reply::Fail(Errno::EPROTONOSUPPORT),
            Verdict::Stop => Reply::Fail(Errno::EPERM),
        };
        answer(listener, call, Some(reply));
    }

    fn judge_unusual(&self, thread: u32, what: &str) -> Verdict {
        let mut event = Event::Connection(ConnectionEvent {
            protocol: Protocol::Raw,
            address: Ipv4Addr::UNSPECIFIED.into(),
            port: 0,
            pid: thread,
            path: String::new(),
            resolver: false,
            domain: None,
        });
        complete(&mut event);
        self.judge.detected(Reason::RawSocket, Some(what.to_owned()), event)
    }

    fn at_bind(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        let address = read_address(call.thread, call.arguments[1], call.arguments[2] as u32)?;
        if !listener.is_valid(call.id) {
            return Ok(None);
        }
        if !self.copies {
            return Ok(Some(self.bind_without_copy(call.thread, &address)));
        }
        let (socket, kind) = socket_of(&mut self.descriptors, listener, call)?;
        if let Some(reply) = left_to_the_kernel(kind, &address)? {
            return Ok(Some(reply));
        }
        let place = address.inet_on(kind.domain);
        if let Some(place) = place {
            self.check_privilege(call.thread, place.port())?;
            // A raw socket has no ports.
            if kind.is_datagram()
                && !kind.is_raw()
                && self.judge_place(call.thread, Protocol::Udp, place) == Verdict::Stop
            {
                return Err(Errno::EACCES);
            }
        }
        if kind.is_stream() {
            self.approvals.bound(socket::inode(socket.as_fd())?);
        }
        socket::bind(socket.as_fd(), &address).map(|()| Some(Reply::Value(0)))
    }

    /// We may bind what the caller may not, so we ask the kernel's question in its place.
    fn check_privilege(&self, thread: u32, port: u16) -> Result<()> {
        let privileged = port != 0 && port < self.first_free_port;
        if privileged && !privilege::may_bind_low_ports(thread) { Err(Errno::EACCES) } else { Ok(()) }
    }

    fn bind_without_copy(&self, thread: u32, address: &Address) -> Reply {
        let Some(place) = address.inet() else { return Reply::Continue };
        self.approvals.listened(place.port());
        // Whether it is for streams or datagrams cannot be seen.
        match self.judge_place(thread, Protocol::Tcp, place) {
            Verdict::Stop => Reply::Fail(Errno::EACCES),
            Verdict::Go => Reply::Continue,
        }
    }

    fn at_listen(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        if !self.copies {
            return Ok(Some(Reply::Continue));
        }
        let (socket, kind) = socket_of(&mut self.descriptors, listener, call)?;
        if !kind.is_inet() {
            // A local socket keeps its caller's credentials for its peers.
            return Ok(Some(Reply::Continue));
        }
        if !listener.is_valid(call.id) {
            return Ok(None);
        }
        let chosen = choose_port(socket.as_fd(), kind)?;
        let place = socket::local_address(socket.as_fd())?;
        let judged = if chosen { SocketAddr::new(place.ip(), 0) } else { place };
        if self.judge_place(call.thread, protocol(kind), judged) == Verdict::Stop {
            return Err(Errno::EACCES);
        }
        self.approvals.listened(place.port());
        socket::listen(socket.as_fd(), call.arguments[1] as i32).map(|()| Some(Reply::Value(0)))
    }

    fn judge_place(&self, thread: u32, protocol: Protocol, place: SocketAddr) -> Verdict {
        let event = ListenEvent {
            protocol,
            address: place.ip().to_canonical(),
            port: place.port(),
            pid: thread,
            path: String::new(),
        };
        self.judge.judge(Event::Listen(event), |event| {
            let Event::Listen(event) = event else { return };
            event.path = process::executable_path(event.pid);
            event.pid = process::status(event.pid).map_or(event.pid, |status| status.process);
        })
    }
}

/// A socket that listens without being bound gets its port from the kernel (ip(7)). It gets it now, so that it cannot be
/// bound to another one after it was judged. True when that was so.
fn choose_port(socket: BorrowedFd<'_>, kind: Kind) -> Result<bool> {
    if !kind.is_stream() || socket::local_address(socket)?.port() != 0 {
        return Ok(false);
    }
    let any: IpAddr = match kind.domain {
        constants::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    match socket::bind(socket, &Address::from(SocketAddr::new(any, 0))) {
        Ok(()) => Ok(true),
        // Somebody was quicker: then it has a port that can be judged.
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn answer(listener: &Listener, call: &Notification, reply: Option<Reply>) {
    if let Some(reply) = reply {
        // The caller may be gone; then nobody waits for this.
        let _ = listener.reply(call.id, reply);
    }
}
