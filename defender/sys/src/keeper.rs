//! The application as process 1, for inits that insist on it: process 1 forks the Defender, keeps its own place, and becomes
//! the application once the Defender has told it how.
//!
//! The filter's listener has to get from process 1 to the Defender, and whoever installs the filter is under it from then on,
//! with nobody there to answer. So a messenger, made before and sharing the descriptors (`CLONE_FILES`, clone(2)), sends it by
//! `SCM_RIGHTS` (unix(7)).
use std::{
    ffi::CString,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    ptr,
    sync::Arc,
};

use crate::{
    Errno, Result,
    bpf::Instruction,
    hardening,
    notify::Listener,
    poll::{self, Interest},
    signals::{self, Signals},
    spawn::{self, Launch},
};

/// Process ids are those of a container's own namespace.
pub const FIRST: u32 = 1;
const CANNOT_START: u8 = 126;
const MISSING: u8 = 127;
/// What the keeper answers once it is ready: the listener comes with it, or there is none.
const WITH_LISTENER: u8 = 1;
const RESTARTS: u8 = 2;
const FAILED: u8 = 4;

/// Which of the two processes runs on.
#[derive(Debug)]
pub enum Half {
    /// The Defender, which is a child of process 1 now.
    Defender(Keeper),
    /// Process 1 ends with this code: there was no application, or it could not be started.
    Ended(u8),
}

/// The Defender's end: process 1, waiting to be told what it becomes.
#[derive(Debug)]
pub struct Keeper(UnixStream);

/// Splits process 1 in two; to be called before there is a second thread. Signals in `ending` are passed on to the Defender as
/// long as there is no application.
///
/// # Errors
/// The kernel's answer; nothing was split then.
pub fn split(signals: &Signals, ending: &[i32]) -> io::Result<Half> {
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: there is one thread, so the child may do whatever the parent may.
    let child = Errno::check(unsafe { libc::fork() })?;
    if child != 0 {
        drop(theirs);
        return Ok(Half::Ended(keep(&ours, child, signals, ending)));
    }
    drop(ours);
    // SAFETY: no arguments; a fresh child leads no group, so this cannot fail.
    unsafe { libc::setsid() };
    let nothing = std::fs::File::open("/dev/null")?;
    // SAFETY: two valid descriptors; the application alone reads standard input.
    unsafe { libc::dup2(nothing.as_raw_fd(), 0) };
    Ok(Half::Defender(Keeper(theirs)))
}

impl Keeper {
    /// Has process 1 go under `filter`, if there is one, and wait before its program; the listener, where one was asked for.
    ///
    /// # Errors
    /// What the kernel said to the filter. Process 1 still waits for another try then.
    pub fn prepare(&self, launch: &Launch, filter: &[Instruction], listened: bool) -> Result<Option<Arc<Listener>>> {
        let mut message = vec![u8::from(listened)];
        append(&mut message, &instructions_as_bytes(filter));
        append(&mut message, launch.program.as_bytes());
        for texts in [&launch.arguments, &launch.environment] {
            message.extend((texts.len() as u32).to_ne_bytes());
            for text in texts {
                append(&mut message, text.as_bytes());
            }
        }
        let mut whole = Vec::new();
        append(&mut whole, &message);
        (&self.0).write_all(&whole)?;
        let (told, descriptor) = receive(&self.0)?;
        if told[0] & FAILED != 0 {
            return Err(Errno(i32::from_ne_bytes([told[1], told[2], told[3], told[4]])));
        }
        Ok(descriptor.map(|descriptor| Arc::new(Listener::new(descriptor, told[0] & RESTARTS == 0))))
    }

    /// The end by which process 1 is told to go on to its program: one byte.
    #[must_use]
    pub fn gate(self) -> OwnedFd {
        self.0.into()
    }
}

fn append(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend((bytes.len() as u32).to_ne_bytes());
    message.extend(bytes);
}

fn instructions_as_bytes(filter: &[Instruction]) -> Vec<u8> {
    let one = |instruction: &Instruction| {
        let [code, operand] = [u32::from(instruction.code), instruction.operand].map(u32::to_ne_bytes);
        [
            code[0],
            code[1],
            instruction.jump_true,
            instruction.jump_false,
            operand[0],
            operand[1],
            operand[2],
            operand[3],
        ]
    };
    filter.iter().flat_map(one).collect()
}

/// Process 1 until it is the application: its exit code if it never is.
fn keep(socket: &UnixStream, defender: i32, signals: &Signals, ending: &[i32]) -> u8 {
    loop {
        match wait_for_order(socket, defender, signals, ending) {
            None => return end_of(defender),
            Some(order) => become_application(socket, &order, signals),
        }
    }
}

/// What to become; none when the Defender has ended without saying so.
fn wait_for_order(socket: &UnixStream, defender: i32, signals: &Signals, ending: &[i32]) -> Option<Order> {
    loop {
        let ready = poll::wait(&[(socket.as_fd(), Interest::Readable), (signals.as_fd(), Interest::Readable)], None);
        while let Some(signal) = signals.take() {
            if ending.contains(&signal) {
                // One that is gone is noticed by its socket.
                let _ = signals::send(defender, signal);
            }
        }
        if ready.is_ok_and(|ready| ready.first() == Some(&true)) {
            return Order::read(socket).ok();
        }
    }
}

fn end_of(defender: i32) -> u8 {
    let mut status = 0;
    // SAFETY: a valid place for the status of a child of ours.
    while unsafe { libc::waitpid(defender, &raw mut status, 0) } < 0 && Errno::last() == Errno::EINTR {}
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) as u8 } else { libc::WEXITSTATUS(status) as u8 }
}

/// What the Defender wants process 1 to be.
struct Order {
    listened: bool,
    filter: Vec<Instruction>,
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Order {
    fn read(mut socket: &UnixStream) -> io::Result<Self> {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_ne_bytes(length) as usize];
        socket.read_exact(&mut bytes)?;
        Self::parse(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (listened, mut rest) = bytes.split_first()?;
        let filter = take(&mut rest)?.chunks_exact(8).map(instruction).collect();
        let program = CString::new(take(&mut rest)?).ok()?;
        let (arguments, environment) = (texts(&mut rest)?, texts(&mut rest)?);
        Some(Self { listened: *listened != 0, filter, program, arguments, environment })
    }
}

fn instruction(bytes: &[u8]) -> Instruction {
    Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jump_true: bytes[2],
        jump_false: bytes[3],
        operand: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_ne_bytes(*bytes) as usize)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn texts(rest: &mut &[u8]) -> Option<Vec<CString>> {
    (0..number(rest)?).map(|_| CString::new(take(rest)?).ok()).collect()
}

/// Goes under the filter, sends the listener, waits for the gate, and is the application. Comes back only when there was no
/// filter to be had, so that the Defender may try something weaker.
fn become_application(socket: &UnixStream, order: &Order, signals: &Signals) {
    let messenger = order.listened.then(|| Messenger::start(socket)).transpose();
    // Its own children must not trace it, and the Defender must: as for any application.
    let _ = hardening::drop_ptrace_capability();
    let _ = hardening::show();
    let installed = messenger.and_then(|messenger| {
        if let Some(messenger) = messenger {
            let (descriptor, never_restarts) = spawn::install_raw(&order.filter)?;
            messenger.send(&descriptor, never_restarts);
            return Ok(());
        }
        if !order.filter.is_empty() {
            spawn::install_silent(&order.filter)?;
        }
        answer(socket, [0; 5])
    });
    if let Err(errno) = installed {
        let [a, b, c, d] = errno.0.to_ne_bytes();
        // A Defender that is gone is noticed at the next read.
        let _ = answer(socket, [FAILED, a, b, c, d]);
        return;
    }
    let mut byte = [0];
    if !matches!((&*socket).read(&mut byte), Ok(1)) {
        // The Defender is gone: nobody would ever answer.
        exit(CANNOT_START);
    }
    let errno = spawn::execute(&order.program, &order.arguments, &order.environment, &signals.original_mask());
    let denied = if errno == Errno::EACCES { " (or its policy forbids it)" } else { "" };
    // Where nobody reads, nobody is told.
    let _ = writeln!(io::stderr(), "bartizan: the application cannot be started: {errno}{denied}");
    exit(if errno == Errno::ENOENT { MISSING } else { CANNOT_START });
}

fn exit(code: u8) -> ! {
    // SAFETY: ends the process; nothing that runs at a normal end matters to process 1.
    unsafe { libc::_exit(i32::from(code)) }
}

fn answer(mut socket: &UnixStream, bytes: [u8; 5]) -> Result<()> {
    Ok(socket.write_all(&bytes)?)
}

/// A child that shares our descriptors and is under no filter. Both ends are kept: the table is the same, and one that we
/// close is closed for it, too.
struct Messenger {
    pid: i32,
    orders: UnixStream,
    _theirs: UnixStream,
}

impl Messenger {
    fn start(socket: &UnixStream) -> Result<Self> {
        let (orders, theirs) = UnixStream::pair()?;
        // SAFETY: like fork, but for the shared descriptors; there is one thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_FILES | libc::SIGCHLD, 0, 0, 0, 0) };
        let pid = Errno::check_descriptor(pid)?;
        if pid == 0 {
            let mut order = [0; 5];
            let done = (&theirs).read_exact(&mut order).is_ok();
            let descriptor = RawFd::from_ne_bytes([order[1], order[2], order[3], order[4]]);
            let sent = done && send(socket, order[0], descriptor).is_ok();
            exit(u8::from(!sent));
        }
        Ok(Self { pid, orders, _theirs: theirs })
    }

    /// Sends the listener, and waits until that is done.
    fn send(self, descriptor: &OwnedFd, never_restarts: bool) {
        let [a, b, c, d] = descriptor.as_raw_fd().to_ne_bytes();
        let kind = WITH_LISTENER | if never_restarts { 0 } else { RESTARTS };
        // One that was killed leaves the Defender without an answer, and process 1 without a gate.
        let _ = (&self.orders).write_all(&[kind, a, b, c, d]);
        drop(self);
    }
}

impl Drop for Messenger {
    /// Afterwards nobody shares our descriptors any more.
    fn drop(&mut self) {
        // One without an order ends at this.
        let _ = self.orders.shutdown(std::net::Shutdown::Write);
        end_of(self.pid);
    }
}

fn send(socket: &UnixStream, kind: u8, descriptor: RawFd) -> Result<()> {
    let mut bytes = [kind, 0, 0, 0, 0];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut room = [0_u64; 4];
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    // SAFETY: arithmetic on a constant.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: `room` has the space that was just said, aligned for a header, so there is a first header and room for its data.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<RawFd>(), descriptor);
    }
    // SAFETY: a valid message whose parts outlive the call.
    Errno::check_descriptor(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) } as _).map(drop)
}

/// The answer and the descriptor that came with it.
fn receive(socket: &UnixStream) -> Result<([u8; 5], Option<OwnedFd>)> {
    let mut bytes = [0; 5];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut room = [0_u64; 4];
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&room) as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_WAITALL;
    // SAFETY: a valid message whose parts outlive the call.
    let length = Errno::check_descriptor(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) } as _)?;
    if length as usize != bytes.len() {
        return Err(Errno(libc::ECHILD));
    }
    // SAFETY: the kernel filled `room` as far as `message` says.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: not null, hence a whole header within `room`.
    if header.is_null() || unsafe { (*header).cmsg_type } != libc::SCM_RIGHTS {
        return Ok((bytes, None));
    }
    // SAFETY: rights come with at least one descriptor, which is ours now.
    let descriptor = unsafe { OwnedFd::from_raw_fd(ptr::read_unaligned(libc::CMSG_DATA(header).cast::<RawFd>())) };
    Ok((bytes, Some(descriptor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What process 1 reads is what the Defender said; what is cut short is nothing.
    #[test]
    fn orders_come_back() {
        let filter = [Instruction { code: 0x15, jump_true: 1, jump_false: 255, operand: 0xdead_beef }];
        let mut message = vec![1];
        append(&mut message, &instructions_as_bytes(&filter));
        append(&mut message, b"/bin/s6");
        for texts in [&[&b"s6"[..], b""][..], &[b"A=b"]] {
            message.extend((texts.len() as u32).to_ne_bytes());
            for text in texts {
                append(&mut message, text);
            }
        }

        let order = Order::parse(&message).unwrap();

        assert!(order.listened && order.filter == filter && order.program.as_bytes() == b"/bin/s6");
        assert_eq!((order.arguments.len(), order.environment.len()), (2, 1));
        for end in 0..message.len() {
            assert!(Order::parse(&message[..end]).is_none(), "{end}");
        }
    }
}
