//! Copies of another process's descriptors (`pidfd_open(2)`, `pidfd_getfd(2)`).
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::{Errno, Result};

/// Lets a thread that is no leader be named (since 6.9).
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;

/// A handle on a process, or on one thread of it.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the thread `thread`; on kernels that name leaders only, pass its process id.
    ///
    /// # Errors
    /// `EINVAL` where threads cannot be named, `ESRCH` when it is gone.
    pub fn of_thread(thread: u32) -> Result<Self> {
        Self::open(thread, PIDFD_THREAD)
    }

    /// Opens the process `process`.
    ///
    /// # Errors
    /// `ESRCH` when it is gone.
    pub fn of_process(process: u32) -> Result<Self> {
        Self::open(process, 0)
    }

    fn open(id: u32, flags: libc::c_uint) -> Result<Self> {
        // SAFETY: integers only; the descriptor returned is ours alone.
        let descriptor = Errno::check_descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) })?;
        // SAFETY: fresh from the kernel, owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// True once the thread, or the last one of the process, has ended (`pidfd_open(2)`: then it polls as readable).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut asked = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure of ours, written to by the kernel; it does not wait.
        let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
        ready == 1
    }

    /// A copy of the process's descriptor number `descriptor`, sharing its open file description.
    ///
    /// # Errors
    /// `EBADF` when there is none, `EPERM` when the platform forbids it.
    pub fn copy(&self, descriptor: i32) -> Result<OwnedFd> {
        // SAFETY: integers only.
        let returned = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), descriptor, 0) };
        let copied = Errno::check_descriptor(returned)?;
        // SAFETY: fresh from the kernel (close-on-exec), owned by nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(copied) })
    }
}
