//! Copies of the workload's descriptors.
use std::os::fd::OwnedFd;

use defender_sys::{Errno, Result, pidfd::PidFd};

use super::process;

/// Copies descriptor number `descriptor` of the process that `thread` belongs to.
///
/// # Errors
/// `EBADF` when it has none; `EPERM` when the platform forbids copying; `ESRCH` when it is gone.
pub fn copy(thread: u32, descriptor: i32) -> Result<OwnedFd> {
    open(thread)?.copy(descriptor)
}

/// Opens the thread, or before Linux 6.9, where only leaders have handles, its process.
fn open(thread: u32) -> Result<PidFd> {
    match PidFd::of_thread(thread) {
        Err(Errno::EINVAL) => {
            let process = process::status(thread).ok_or(Errno::ESRCH)?.process;
            PidFd::of_process(process)
        }
        other => other,
    }
}
