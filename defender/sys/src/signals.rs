//! Signals as data (signalfd(2)), and sending them.
use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::{Errno, Result};

/// Signals that a thread brings upon itself: blocking them would only make its end unclear.
const SYNCHRONOUS: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// The signals of this process, to be read one by one. Made before any other thread is started, so that all inherit the
/// blocked mask.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
    original: libc::sigset_t,
}

impl Signals {
    /// Blocks every signal that can be handled and opens a descriptor for them.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn block() -> Result<Self> {
        let mut all = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: just initialised.
        let mut all: libc::sigset_t = unsafe { all.assume_init() };
        for signal in SYNCHRONOUS {
            // SAFETY: a valid set and a valid number.
            unsafe { libc::sigdelset(&raw mut all, signal) };
        }
        let mut original = MaybeUninit::uninit();
        // SAFETY: both sets are valid; the old mask is written to `original`.
        Errno::check(-unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, original.as_mut_ptr()) })?;
        // SAFETY: a valid set; -1 asks for a new descriptor.
        let descriptor =
            Errno::check(unsafe { libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        Ok(Self {
            // SAFETY: fresh from the kernel, owned by nobody else.
            descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) },
            // SAFETY: pthread_sigmask filled it.
            original: unsafe { original.assume_init() },
        })
    }

    /// The next signal that came, if any.
    #[must_use]
    pub fn take(&self) -> Option<i32> {
        let mut information = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer holds one record, which is all that is asked for.
        let read = unsafe { libc::read(self.descriptor.as_raw_fd(), information.as_mut_ptr().cast(), size) };
        // SAFETY: a whole record was read.
        (read == size as isize).then(|| unsafe { information.assume_init() }.ssi_signo as i32)
    }

    pub(crate) fn original_mask(&self) -> libc::sigset_t {
        self.original
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Sends a signal to a process, or with a negative id to a process group (kill(2)).
///
/// # Errors
/// `ESRCH` when there is none.
pub fn send(process: i32, signal: i32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::kill(process, signal) }).map(drop)
}

/// Sends a signal to one thread (tgkill(2)).
///
/// # Errors
/// `ESRCH` when there is none.
pub fn send_to_thread(process: u32, thread: u32, signal: i32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) }).map(drop)
}
