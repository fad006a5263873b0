//! sendto(2), sendmsg(2) and sendmmsg(2): datagrams are sent by us, from our own copies of address and payload.
//!
//! Messages on stream and local sockets have no destination of their own, so the kernel goes on with them. Which kind of
//! socket it is, is asked of a copied descriptor. A DNS question in a datagram to port 53 is judged on the way.
use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use defender_core::dns;
use defender_sys::{
    Errno, Result, constants, memory,
    notify::{Listener, Notification, Reply},
    poll::{self, Interest},
    socket::{self, Kind, Message},
};

use super::{
    connect::{read_address, socket_of},
    descriptor::Descriptors,
    destination::{Destinations, is_resolver, protocol},
    judge::Verdict,
    message::{LARGEST_DATAGRAM, LONGEST_NAME, Layout, MOST_PARTS, read_bytes},
    process,
};
use crate::dns_proxy::{DnsProxy, stand_in};

/// A full send buffer empties in microseconds; longer than this the supervisor does not wait for it.
const ROOM_SOON: Duration = Duration::from_millis(20);

/// Watches datagrams.
pub struct DatagramWatch {
    destinations: Destinations,
    dns: Option<DnsProxy>,
    descriptors: Descriptors,
    /// False where the platform forbids copying descriptors: then calls are judged and let go on, which can be raced.
    pub copies: bool,
}

impl DatagramWatch {
    /// Watches datagrams.
    #[must_use]
    pub fn new(destinations: Destinations, dns: Option<DnsProxy>) -> Self {
        Self { destinations, dns, descriptors: Descriptors::default(), copies: true }
    }

    /// Answers a notified sendto, sendmsg or sendmmsg.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        let reply = self.at_call(listener, call).unwrap_or_else(|errno| Some(Reply::Fail(errno)));
        if let Some(reply) = reply {
            // The caller may be gone; then nobody waits for this.
            let _ = listener.reply(call.id, reply);
        }
    }

    fn at_call(&mut self, listener: &Listener, call: &Notification) -> Result<Option<Reply>> {
        let flags = flags_of(call);
        // TCP fast open would connect and send in one call; without it programs connect first.
        if flags & constants::MSG_FASTOPEN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.copies {
            return self.let_go(listener, call).map(Some);
        }
        let (socket, kind) = socket_of(&mut self.descriptors, listener, call)?;
        if !kind.is_inet() || !kind.is_datagram() {
            return self.let_go(listener, call).map(Some);
        }
        if i64::from(call.number) == constants::SYS_sendmmsg {
            return self.send_many(listener, call, socket.as_fd(), kind, flags);
        }
        let message = read_message(call)?;
        if !listener.is_valid(call.id) {
            return Ok(None);
        }
        let sent = self.send(call.thread, socket.as_fd(), kind, &message, flags)?;
        Ok(Some(Reply::Value(sent as i64)))
    }

    fn send_many(
        &self,
        listener: &Listener,
        call: &Notification,
        socket: BorrowedFd<'_>,
        kind: Kind,
        flags: i32,
    ) -> Result<Option<Reply>> {
        let (layout, mut count) = (Layout::of(call.is_narrow()), 0);
        for index in 0..call.arguments[2].min(MOST_PARTS) {
            let at = call.arguments[1].wrapping_add(index * layout.header_of_many());
            let result = layout.message(call.thread, at).and_then(|message| {
                if !listener.is_valid(call.id) {
                    return Err(Errno::ENOENT);
                }
                let sent = self.send(call.thread, socket, kind, &message, flags)?;
                memory::write(call.thread, at.wrapping_add(layout.header()), &(sent as u32).to_ne_bytes())
            });
            match result {
                Ok(()) => count += 1,
                Err(errno) if count == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(Some(Reply::Value(count)))
    }

    fn send(&self, thread: u32, socket: BorrowedFd<'_>, kind: Kind, message: &Message, flags: i32) -> Result<usize> {
        let elsewhere = match self.judge_message(thread, kind, message) {
            Judged::Go => None,
            Judged::Stop => return Err(Errno::EPERM),
            Judged::Nowhere(payload) => Some(Message { payload, ..message.clone() }),
        };
        // A socket whose look-ups go to a stand-in still reaches every other place.
        let places = self.dns.as_ref().map_or(&[][..], |dns| dns.stand_ins());
        let untied = message.address.is_some() && stand_in::release(places, socket);
        let sent = send_soon(socket, elsewhere.as_ref().unwrap_or(message), flags);
        if untied {
            stand_in::retie(socket);
        }
        // The caller sent what it wanted to, as far as it is concerned.
        if elsewhere.is_some() { sent.map(|_| message.payload.len()) } else { sent }
    }

    fn judge_message(&self, thread: u32, kind: Kind, message: &Message) -> Judged {
        let address = message.address.as_ref();
        let Some(server) = address.and_then(|address| address.inet_on(kind.domain)) else { return Judged::Go };
        let asks = is_resolver(server) && !kind.is_raw();
        let trusted = asks && self.dns.as_ref().is_some_and(|dns| dns.trusts(server.ip()));
        if self.destinations.judge(thread, protocol(kind), server, trusted) == Verdict::Stop {
            return Judged::Stop;
        }
        if !asks {
            return Judged::Go;
        }
        let process = process::status(thread).map_or(thread, |status| status.process);
        let verdict = self.destinations.judge.judge_query(&message.payload, process, &process::executable_path(thread));
        match (verdict, &self.dns) {
            (Verdict::Go, Some(dns)) => {
                // The answer goes to the caller itself, so that its source is right; what it says is asked for again.
                dns.ask_again(&message.payload, server);
                Judged::Go
            }
            (Verdict::Go, None) => Judged::Go,
            // musl waits until its patience is over when it cannot send, so it gets an answer: there is no such name.
            (Verdict::Stop, _) if trusted => dns::nowhere(&message.payload).map_or(Judged::Stop, Judged::Nowhere),
            (Verdict::Stop, _) => Judged::Stop,
        }
    }

    /// For sockets whose messages have no destination of their own, and where descriptors cannot be copied: the kernel goes
    /// on, but not with an address that would be refused, in case the descriptor is exchanged for another.
    fn let_go(&self, listener: &Listener, call: &Notification) -> Result<Reply> {
        for part in parts_of(call) {
            let (name, length) = part.name(call.thread)?;
            if name == 0 {
                continue;
            }
            let address = read_address(call.thread, name, length.min(LONGEST_NAME))?;
            // Which domain the socket has is not known, so an address without a family is taken for one with.
            let kind = Kind { domain: constants::AF_INET, kind: 0 };
            let asks = address.inet_on(kind.domain).is_some_and(is_resolver);
            let payload = if asks { part.payload(call.thread)? } else { Vec::new() };
            let message = Message { address: Some(address), payload, control: Vec::new() };
            // Another payload cannot be sent in the caller's place here.
            if listener.is_valid(call.id) && self.judge_message(call.thread, kind, &message) != Judged::Go {
                return Ok(Reply::Fail(Errno::EPERM));
            }
        }
        Ok(Reply::Continue)
    }
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Go,
    Stop,
    /// It goes to its resolver with this question instead, for a name that does not exist.
    Nowhere(Vec<u8>),
}

/// The connect(2) that a TCP fast open begins with; none for any other call.
#[must_use]
pub fn fast_open(call: &Notification) -> Option<Notification> {
    if flags_of(call) & constants::MSG_FASTOPEN == 0 || i64::from(call.number) == constants::SYS_sendmmsg {
        return None;
    }
    let (name, length) = parts_of(call).first()?.name(call.thread).ok()?;
    let mut connect = *call;
    connect.arguments = [call.arguments[0], name, length.into(), 0, 0, 0];
    Some(connect)
}

/// Where one message of a call is described.
enum Part {
    /// sendto: the name, its length, the payload and its length.
    Arguments([u64; 4]),
    /// A `struct msghdr` at this address.
    Header(Layout, u64),
}

fn parts_of(call: &Notification) -> Vec<Part> {
    let layout = Layout::of(call.is_narrow());
    let [_, first, count, _, name, length] = call.arguments;
    match i64::from(call.number) {
        constants::SYS_sendto => vec![Part::Arguments([name, length, first, count])],
        constants::SYS_sendmsg => vec![Part::Header(layout, first)],
        _ => {
            let at = |index| first.wrapping_add(index * layout.header_of_many());
            (0..count.min(MOST_PARTS)).map(|index| Part::Header(layout, at(index))).collect()
        }
    }
}

impl Part {
    fn name(&self, thread: u32) -> Result<(u64, u32)> {
        match self {
            Self::Arguments([name, length, ..]) => Ok((*name, *length as u32)),
            Self::Header(layout, at) => layout.name(thread, *at),
        }
    }

    fn payload(&self, thread: u32) -> Result<Vec<u8>> {
        match self {
            Self::Arguments([.., payload, length]) => read_bytes(thread, *payload, *length, LARGEST_DATAGRAM),
            Self::Header(layout, at) => layout.message(thread, *at).map(|message| message.payload),
        }
    }
}

fn send_soon(socket: BorrowedFd<'_>, message: &Message, flags: i32) -> Result<usize> {
    match socket::send(socket, message, flags | constants::MSG_DONTWAIT) {
        Err(Errno::EAGAIN) if waits(socket, flags)? => {
            // Not ready in time, or a signal: the kernel's answer below is as good as any.
            let _ = poll::wait(&[(socket, Interest::Writable)], Some(ROOM_SOON));
            socket::send(socket, message, flags | constants::MSG_DONTWAIT)
        }
        other => other,
    }
}

fn waits(socket: BorrowedFd<'_>, flags: i32) -> Result<bool> {
    Ok(flags & constants::MSG_DONTWAIT == 0 && socket::status_flags(socket)? & constants::O_NONBLOCK == 0)
}

fn flags_of(call: &Notification) -> i32 {
    let argument = match i64::from(call.number) {
        constants::SYS_sendmsg => 2,
        _ => 3,
    };
    call.arguments[argument] as i32
}

fn read_message(call: &Notification) -> Result<Message> {
    if i64::from(call.number) == constants::SYS_sendmsg {
        return Layout::of(call.is_narrow()).message(call.thread, call.arguments[1]);
    }
    Ok(Message {
        address: Some(read_address(call.thread, call.arguments[4], call.arguments[5] as u32)?),
        payload: read_bytes(call.thread, call.arguments[1], call.arguments[2], LARGEST_DATAGRAM)?,
        control: Vec::new(),
    })
}
