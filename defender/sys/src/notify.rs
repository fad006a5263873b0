//! The listener's end of seccomp notifications (`seccomp_unotify(2)`).
use std::{
    collections::HashSet,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{Errno, Result, narrow};

const RECEIVE: u64 = 0xc050_2100;
const SEND: u64 = 0xc018_2101;
const ID_VALID: u64 = 0x4008_2102;
const ADD_DESCRIPTOR: u64 = 0x4018_2103;
const SET_FLAGS: u64 = 0x4008_2104;
/// Since 5.14: the descriptor's number is the answer, in one step.
const AND_SEND: u32 = 2;
const SYNC_WAKE_UP: u64 = 1;
const CONTINUE: u32 = 1;

/// A system call that waits for our answer. Layout of `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Notification {
    /// Cookie of this call; valid while the caller waits.
    pub id: u64,
    /// Thread id of the caller, as we see it.
    pub thread: u32,
    flags: u32,
    /// Number of the system call.
    pub number: i32,
    architecture: u32,
    instruction_pointer: u64,
    /// Its arguments; pointers are the caller's.
    pub arguments: [u64; 6],
}

impl Notification {
    /// True for a call of the 32-bit table: structures that its arguments point to are those of a 32-bit program. Numbers and
    /// arguments are told in the words of the other table.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.architecture == narrow::I386
    }

    /// True when this is the call `first` once more, as far as can be seen from outside: what a restart by a signal looks like.
    #[must_use]
    pub fn repeats(&self, first: &Self) -> bool {
        (self.thread, self.number, self.architecture) == (first.thread, first.number, first.architecture)
            && self.instruction_pointer == first.instruction_pointer
            && self.arguments == first.arguments
    }

    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn of_table(architecture: u32, thread: u32, number: i32, arguments: [u64; 6]) -> Self {
        Self { thread, number, architecture, arguments, ..Self::default() }
    }
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Layout of `struct seccomp_notif_addfd`.
#[repr(C)]
struct Addition {
    id: u64,
    flags: u32,
    source: u32,
    number: u32,
    number_flags: u32,
}

/// What the caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The kernel runs the call as it is now in the caller's memory.
    Continue,
    /// The call returns this value.
    Value(i64),
    /// The call fails with this error.
    Fail(Errno),
}

/// The descriptor on which notifications arrive.
#[derive(Debug)]
pub struct Listener {
    descriptor: OwnedFd,
    /// True where a received call is interrupted by fatal signals only, so that it is never restarted (since 5.19).
    pub never_restarts: bool,
    /// True where an answer gives our processor to the caller at once (since 6.6).
    pub wakes_directly: bool,
    /// Calls whose arguments lie in memory: the kernel would read them again, and others than we did.
    in_memory: Mutex<HashSet<u64>>,
}

impl Listener {
    pub(crate) fn new(descriptor: OwnedFd, never_restarts: bool) -> Self {
        let mut listener = Self { descriptor, never_restarts, wakes_directly: false, in_memory: Mutex::default() };
        // Since 6.6: the waker gives its processor to the woken. Older kernels refuse, and nothing is lost. Unlike those of the
        // other requests, its argument is the value itself (kernel/seccomp.c, seccomp_notify_set_flags).
        // SAFETY: integers only.
        let set = unsafe { libc::ioctl(listener.descriptor.as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
        listener.wakes_directly = set == 0;
        listener
    }

    fn control<T>(&self, request: u64, argument: &mut T) -> Result<()> {
        self.request(request, argument).map(drop)
    }

    fn request<T>(&self, request: u64, argument: &mut T) -> Result<i32> {
        // SAFETY: each request is used with the structure that it is made for (see the callers in this file), and the
        // reference is valid and exclusive for the call.
        Errno::check(unsafe { libc::ioctl(self.descriptor.as_raw_fd(), request as _, std::ptr::from_mut(argument)) })
    }

    /// Takes one notification. Call it when poll says that there is one, or it blocks. One of the 32-bit table that cannot be
    /// read is answered with its error.
    ///
    /// # Errors
    /// `ENOENT` when the caller was killed or interrupted meanwhile, `EINTR` for a signal: both are normal.
    pub fn receive(&self) -> Result<Notification> {
        let mut notification = Notification::default();
        self.control(RECEIVE, &mut notification)?;
        let id = notification.id;
        match narrow::translate(&mut notification) {
            Ok(false) => return Ok(notification),
            // Read while the caller waits, or from who knows whom.
            Ok(true) if self.is_valid(id) => {
                self.in_memory().insert(id);
                return Ok(notification);
            }
            Ok(true) => {}
            Err(errno) => self.reply(id, Reply::Fail(errno))?,
        }
        Err(Errno::ENOENT)
    }

    fn in_memory(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while the caller of `id` still waits: what was read of its memory before this was its own.
    #[must_use]
    pub fn is_valid(&self, id: u64) -> bool {
        let mut id = id;
        let valid = self.control(ID_VALID, &mut id).is_ok();
        if !valid {
            self.in_memory().remove(&id);
        }
        valid
    }

    /// Answers.
    ///
    /// # Errors
    /// `ENOENT` when nobody waits any more: normal.
    pub fn reply(&self, id: u64, reply: Reply) -> Result<()> {
        // Whoever may not go on by this call has others that do the same with their arguments in registers.
        let again = self.in_memory().remove(&id) && reply == Reply::Continue;
        let (value, error, flags) = match if again { Reply::Fail(Errno::ENOSYS) } else { reply } {
            Reply::Continue => (0, 0, CONTINUE),
            Reply::Value(value) => (value, 0, 0),
            Reply::Fail(errno) => (0, -errno.0, 0),
        };
        self.control(SEND, &mut Response { id, value, error, flags })
    }

    /// Answers with a descriptor: the caller gets `file` as its lowest free number, and that number as the result.
    ///
    /// Where the caller cannot be interrupted meanwhile, our own copy is gone before it goes on: a file that is still open for
    /// writing somewhere cannot be executed.
    ///
    /// # Errors
    /// `EMFILE` when the caller may not have more (it is to be told so), `EINVAL` before Linux 5.9, `ENOENT` when nobody waits
    /// any more.
    pub fn reply_with_descriptor(&self, id: u64, file: OwnedFd, close_on_exec: bool) -> Result<()> {
        let number_flags = if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 };
        let (source, flags) = (file.as_raw_fd() as u32, if self.never_restarts { 0 } else { AND_SEND });
        let mut addition = Addition { id, flags, source, number: 0, number_flags };
        let number = match self.request(ADD_DESCRIPTOR, &mut addition) {
            Err(Errno(libc::EINVAL)) if flags == AND_SEND => {
                addition.flags = 0;
                self.request(ADD_DESCRIPTOR, &mut addition)?
            }
            result if flags == AND_SEND => return result.map(drop),
            result => result?,
        };
        drop(file);
        self.reply(id, Reply::Value(i64::from(number)))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
