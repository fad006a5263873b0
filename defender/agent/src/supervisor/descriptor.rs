//! Copies of the workload's descriptors.
use std::{collections::HashMap, os::fd::OwnedFd};

use defender_sys::{Errno, Result, pidfd::PidFd};

use super::process;

/// Handles kept, so that a thread that connects often is not opened each time.
const HANDLES_KEPT: usize = 256;

/// Copies descriptors. A kept handle names one thread for good: when the thread is gone and its id is another's, it fails
/// with `ESRCH` and is opened anew.
#[derive(Default)]
pub struct Descriptors(HashMap<u32, PidFd>);

impl Descriptors {
    /// Copies descriptor number `descriptor` of the process that `thread` belongs to.
    ///
    /// # Errors
    /// `EBADF` when it has none; `EPERM` when the platform forbids copying; `ESRCH` when it is gone.
    pub fn copy(&mut self, thread: u32, descriptor: i32) -> Result<OwnedFd> {
        if let Some(handle) = self.0.get(&thread) {
            match handle.copy(descriptor) {
                Err(Errno::ESRCH) => self.0.remove(&thread),
                result => return result,
            };
        }
        if self.0.len() >= HANDLES_KEPT {
            self.0.clear();
        }
        self.0.entry(thread).insert_entry(open(thread)?).get().copy(descriptor)
    }
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
