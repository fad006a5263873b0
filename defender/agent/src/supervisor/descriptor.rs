//! Copies of the workload's descriptors.
use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use defender_sys::{Errno, Result, pidfd::PidFd};

use super::process;

/// Handles kept, so that a thread that connects often is not opened each time.
const HANDLES_KEPT: usize = 256;
/// How often, at most, those of threads that ended are let go.
const SWEEP: Duration = Duration::from_secs(1);

/// Copies descriptors. A kept handle names one thread for good: when the thread is gone and its id is another's, it fails
/// with `ESRCH` and is opened anew.
#[derive(Default)]
pub struct Descriptors {
    handles: HashMap<u32, PidFd>,
    swept: Option<Instant>,
}

impl Descriptors {
    /// Copies descriptor number `descriptor` of the process that `thread` belongs to.
    ///
    /// # Errors
    /// `EBADF` when it has none; `EPERM` when the platform forbids copying; `ESRCH` when it is gone.
    pub fn copy(&mut self, thread: u32, descriptor: i32) -> Result<OwnedFd> {
        if let Some(handle) = self.handles.get(&thread) {
            match handle.copy(descriptor) {
                Err(Errno::ESRCH) => self.handles.remove(&thread),
                result => return result,
            };
        }
        self.make_room();
        self.handles.entry(thread).insert_entry(open(thread)?).get().copy(descriptor)
    }

    /// Lets go the handles of those that ended, before another is opened; all of them where all live and they are too many.
    fn make_room(&mut self) {
        if self.swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            self.swept = Some(Instant::now());
            self.handles.retain(|_, handle| !handle.has_ended());
        }
        if self.handles.len() >= HANDLES_KEPT {
            self.handles.clear();
        }
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
