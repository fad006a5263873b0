//! sendto(2), sendmsg(2) and sendmmsg(2): datagrams are sent by us, from our own copies of address and payload.
//!
//! Messages on stream and local sockets have no destination of their own, so the kernel goes on with them. Which kind of
//! socket it is, is asked of a copied descriptor. A DNS question in a datagram to port 53 is judged on the way.
use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use defender_sys::{
    Errno, Result, constants, memory,
    notify::{Listener, Notification, Reply},
    poll::{self, Interest},
    socket::{self, Address, Kind, Message},
};

use super::{
    connect::{complete, connection, read_address},
    descriptor::Descriptors,
    judge::{Judge, Verdict},
    process,
};

const LARGEST_DATAGRAM: u64 = 65535;
const LARGEST_CONTROL: u64 = 4096;
/// `UIO_MAXIOV`: the kernel takes no more parts, or messages, in one call.
const MOST_PARTS: u64 = 1024;
/// Sizes of `struct msghdr` and `struct mmsghdr` on 64-bit machines.
const HEADER: usize = 56;
const HEADER_OF_MANY: u64 = 64;
/// A full send buffer empties in microseconds; longer than this the supervisor does not wait for it.
const ROOM_SOON: Duration = Duration::from_millis(20);
const DNS_PORT: u16 = 53;

/// Watches datagrams.
pub struct DatagramWatch {
    judge: Judge,
    descriptors: Descriptors,
    /// False where the platform forbids copying descriptors: then calls are judged and let go on, which can be raced.
    pub copies: bool,
}

impl DatagramWatch {
    /// Watches datagrams.
    #[must_use]
    pub fn new(judge: Judge) -> Self {
        Self { judge, descriptors: Descriptors::default(), copies: true }
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
            return self.without_copy(listener, call).map(Some);
        }
        let socket = self.descriptors.copy(call.thread, call.arguments[0] as i32)?;
        let kind = socket::kind(socket.as_fd())?;
        if !kind.is_inet() || !kind.is_datagram() {
            return Ok(Some(Reply::Continue));
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
        let mut count = 0;
        for index in 0..call.arguments[2].min(MOST_PARTS) {
            let at = call.arguments[1].wrapping_add(index * HEADER_OF_MANY);
            let result = read_header(call.thread, at).and_then(|message| {
                if !listener.is_valid(call.id) {
                    return Err(Errno::ENOENT);
                }
                let sent = self.send(call.thread, socket, kind, &message, flags)?;
                memory::write(call.thread, at.wrapping_add(HEADER as u64), &(sent as u32).to_ne_bytes())
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
        if self.judge_message(thread, kind, message) == Verdict::Stop {
            return Err(Errno::EPERM);
        }
        match socket::send(socket, message, flags | constants::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) if waits(socket, flags)? => {
                // Not ready in time, or a signal: the kernel's answer below is as good as any.
                let _ = poll::wait(&[(socket, Interest::Writable)], Some(ROOM_SOON));
                socket::send(socket, message, flags | constants::MSG_DONTWAIT)
            }
            other => other,
        }
    }

    fn judge_message(&self, thread: u32, kind: Kind, message: &Message) -> Verdict {
        let Some(server) = message.address.as_ref().and_then(Address::inet) else { return Verdict::Go };
        let resolver = server.port() == DNS_PORT;
        if self.judge.judge(connection(thread, kind, server, resolver), complete) == Verdict::Stop {
            return Verdict::Stop;
        }
        if resolver {
            let process = process::status(thread).map_or(thread, |status| status.process);
            return self.judge.judge_query(&message.payload, process, &process::executable_path(thread));
        }
        Verdict::Go
    }

    fn without_copy(&self, listener: &Listener, call: &Notification) -> Result<Reply> {
        let message = match i64::from(call.number) {
            constants::SYS_sendmmsg => read_header(call.thread, call.arguments[1])?,
            _ => read_message(call)?,
        };
        let kind = Kind { domain: message.address.as_ref().map_or(0, Address::family), kind: 0 };
        let stop = listener.is_valid(call.id) && self.judge_message(call.thread, kind, &message) == Verdict::Stop;
        Ok(if stop { Reply::Fail(Errno::EPERM) } else { Reply::Continue })
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
        return read_header(call.thread, call.arguments[1]);
    }
    Ok(Message {
        address: Some(read_address(call.thread, call.arguments[4], call.arguments[5] as u32)?),
        payload: read_bytes(call.thread, call.arguments[1], call.arguments[2], LARGEST_DATAGRAM)?,
        control: Vec::new(),
    })
}

/// Copies a whole `struct msghdr` with everything that it points to.
fn read_header(thread: u32, at: u64) -> Result<Message> {
    let mut header = [0; HEADER];
    memory::read(thread, at, &mut header)?;
    let word = |index: usize| {
        let bytes = header.get(8 * index..8 * index + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    };
    let (name, name_length) = (word(0), word(1) as u32);
    let address = if name == 0 { None } else { Some(read_address(thread, name, name_length)?) };
    let payload = read_parts(thread, word(2), word(3))?;
    Ok(Message { address, payload, control: read_bytes(thread, word(4), word(5), LARGEST_CONTROL)? })
}

fn read_parts(thread: u32, at: u64, count: u64) -> Result<Vec<u8>> {
    if count > MOST_PARTS {
        return Err(Errno::EMSGSIZE);
    }
    let mut payload = Vec::new();
    let vector = read_bytes(thread, at, count * 16, MOST_PARTS * 16)?;
    for part in vector.chunks_exact(16) {
        let (base, length) = part.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let rest = LARGEST_DATAGRAM - payload.len() as u64;
        payload.extend(read_bytes(thread, number(base), number(length), rest)?);
    }
    Ok(payload)
}

fn read_bytes(thread: u32, at: u64, length: u64, most: u64) -> Result<Vec<u8>> {
    if length > most {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = vec![0; length as usize];
    memory::read(thread, at, &mut bytes)?;
    Ok(bytes)
}
