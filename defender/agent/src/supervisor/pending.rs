//! Connects that wait for their peer. The supervisor never does: it answers each when its socket becomes writable.
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use defender_core::Protocol;
use defender_sys::{
    Errno, Result, constants,
    epoll::Epoll,
    notify::{Listener, Notification, Reply},
    socket::{self, Address},
};

use super::{destination::Destinations, process, unheard::Unheard};

/// How often waiting connects are looked at for a signal that their caller must handle, and for their time.
pub const TICK: Duration = Duration::from_millis(50);
/// Callers looked at for a signal in one tick; the others have their turn in the next ones.
const LOOKS: usize = 32;
/// Beyond this many, a caller is told that there is no room (connect(2) has `EAGAIN` for that).
const MOST_PENDING: usize = 4096;

/// The connects of the workload that wait, and the results of those that are over.
pub struct Pending {
    waiting: BTreeMap<u64, Waiting>,
    /// None where there is no epoll to be had: then every tick looks at all of them.
    epoll: Option<Epoll>,
    next_number: u64,
    next_look: u64,
    last_tick: Instant,
    unheard: Unheard,
    /// True where a signal may restart a call that was answered already.
    pub restarts: bool,
}

struct Waiting {
    call: Notification,
    socket: OwnedFd,
    address: Address,
    flags: i32,
    inode: u64,
    /// When its `SO_SNDTIMEO` is over.
    until: Option<Instant>,
}

impl Pending {
    /// Nothing waits yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            epoll: Epoll::new().ok(),
            next_number: 0,
            next_look: 0,
            last_tick: Instant::now(),
            unheard: Unheard::default(),
            restarts: true,
        }
    }

    /// Connects a socket for `call`; no answer yet when it has to wait.
    ///
    /// # Errors
    /// What the caller is to get.
    pub fn connect(
        &mut self,
        call: &Notification,
        socket: OwnedFd,
        address: Address,
        stream: bool,
    ) -> Result<Option<Reply>> {
        let flags = socket::status_flags(socket.as_fd())?;
        if !stream || flags & constants::O_NONBLOCK != 0 {
            return socket::connect(socket.as_fd(), &address).map(|()| Some(Reply::Value(0)));
        }
        let inode = if self.restarts { socket::inode(socket.as_fd())? } else { 0 };
        let lost = if self.restarts { self.unheard.result(call, inode) } else { None };
        match (begin(socket.as_fd(), &address, flags), lost) {
            // A signal restarted the call after we had connected: the first result is the answer.
            (Err(Errno::EISCONN | Errno::EALREADY), Some(result)) => self.note(call, inode, result),
            // A call that comes again, or another thread's, waits for the connection that was begun.
            (Err(Errno::EINPROGRESS | Errno::EALREADY), _) => {
                self.wait(call, socket, address, flags, inode).map(|()| None)
            }
            (result, _) => self.note(call, inode, result),
        }
    }

    /// Answers a call that [`Self::connect`] has found an answer for, or that it was not asked about.
    pub fn reply(&mut self, listener: &Listener, call: &Notification, reply: Reply) {
        self.unheard.reply(listener, call, reply);
    }

    /// The answer that a result means; the result is kept until it has arrived.
    fn note(&mut self, call: &Notification, inode: u64, result: Result<()>) -> Result<Option<Reply>> {
        if self.restarts {
            self.unheard.keep(call, inode, result);
        }
        result.map(|()| Some(Reply::Value(0)))
    }

    fn wait(&mut self, call: &Notification, socket: OwnedFd, address: Address, flags: i32, inode: u64) -> Result<()> {
        if self.waiting.len() >= MOST_PENDING {
            return Err(Errno::EAGAIN);
        }
        let until = socket::patience(socket.as_fd())?.and_then(|patience| Instant::now().checked_add(patience));
        self.next_number += 1;
        if let Some(epoll) = &self.epoll {
            epoll.add_writable(socket.as_fd(), self.next_number)?;
        }
        let waiting = Waiting { call: *call, socket, address, flags, inode, until };
        self.waiting.insert(self.next_number, waiting);
        Ok(())
    }

    /// What becomes readable when one of them is over.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.epoll.as_ref().filter(|_| !self.waiting.is_empty()).map(Epoll::as_fd)
    }

    /// True while one waits: then [`Self::advance`] wants to be called every [`TICK`].
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Answers those that are over, and now and then those whose caller has a signal to handle, no more time, or is gone.
    pub fn advance(&mut self, listener: &Listener, destinations: &Destinations) {
        if self.waiting.is_empty() {
            return;
        }
        for number in self.epoll.as_ref().map(Epoll::ready).unwrap_or_default() {
            self.proceed(number, listener, destinations);
        }
        if self.last_tick.elapsed() >= TICK {
            self.last_tick = Instant::now();
            self.tick(listener, destinations);
        }
    }

    fn tick(&mut self, listener: &Listener, destinations: &Destinations) {
        let numbers: Vec<u64> = self.waiting.keys().copied().collect();
        for number in &numbers {
            if self.epoll.is_none() {
                self.proceed(*number, listener, destinations);
            }
            let Some(one) = self.waiting.get(number) else { continue };
            let late = one.until.is_some_and(|until| until <= Instant::now());
            if late {
                // inet_stream_connect: what a caller gets whose time is over.
                self.finish(*number, Err(Errno::EINPROGRESS), listener);
            } else if !listener.is_valid(one.call.id) {
                self.forget(*number);
            }
        }
        let start = numbers.partition_point(|number| *number < self.next_look);
        for number in numbers.iter().cycle().skip(start).take(LOOKS.min(numbers.len())) {
            self.next_look = number + 1;
            let Some(one) = self.waiting.get(number) else { continue };
            if let Some(errno) = process::status(one.call.thread).and_then(interruption) {
                self.finish(*number, Err(errno), listener);
            }
        }
    }

    fn proceed(&mut self, number: u64, listener: &Listener, destinations: &Destinations) {
        let Some(one) = self.waiting.get(&number) else { return };
        // A caller that is gone, or handles a signal, has its flags back: they are not ours to change any more.
        if !listener.is_valid(one.call.id) {
            return self.forget(number);
        }
        let result = without_blocking(one.socket.as_fd(), one.flags, || ask_again(one.socket.as_fd(), &one.address));
        if result == Err(Errno::ECONNREFUSED)
            && let Some(server) = one.address.inet()
        {
            destinations.refused(one.call.thread, Protocol::Tcp, server);
        }
        if result != Err(Errno::EINPROGRESS) {
            self.finish(number, result, listener);
        }
    }

    fn finish(&mut self, number: u64, result: Result<()>, listener: &Listener) {
        let Some((call, inode)) = self.waiting.get(&number).map(|one| (one.call, one.inode)) else { return };
        self.forget(number);
        // An interrupted call that comes again is a new one.
        if self.restarts && !matches!(result, Err(Errno::EINTR | Errno::ERESTARTSYS)) {
            self.unheard.keep(&call, inode, result);
        }
        self.unheard.reply(listener, &call, result.map_or_else(Reply::Fail, |()| Reply::Value(0)));
    }

    fn forget(&mut self, number: u64) {
        if let (Some(one), Some(epoll)) = (self.waiting.remove(&number), &self.epoll) {
            epoll.remove(one.socket.as_fd());
        }
    }
}

/// What a caller gets that has a signal to handle. Only where it is certain that the caller itself will handle it may the
/// kernel choose between a restart and `EINTR`; another thread may take a signal that is the whole process's.
fn interruption(status: process::Status) -> Option<Errno> {
    match (status.own_signal_waits || (status.signal_waits && status.threads == 1), status.signal_waits) {
        (true, _) => Some(Errno::ERESTARTSYS),
        (false, true) => Some(Errno::EINTR),
        (false, false) => None,
    }
}

/// Begins to connect without blocking, and looks at once whether it is over: on loopback it often is.
fn begin(socket: BorrowedFd<'_>, address: &Address, flags: i32) -> Result<()> {
    without_blocking(socket, flags, || match socket::connect(socket, address) {
        Err(Errno::EINPROGRESS) => ask_again(socket, address),
        other => other,
    })
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
