//! Copies of the workload's descriptors.
use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use defender_sys::{
    Errno, Result,
    notify::{Listener, Notification},
    pidfd::PidFd,
};

use super::process;

/// Handles kept, so that a thread that connects often is not opened each time.
const HANDLES_KEPT: usize = 256;
/// How often, at most, those of threads that ended are let go.
const SWEEP: Duration = Duration::from_secs(1);

/// Copies descriptors. A kept handle names one thread for good: when the thread is gone and its id is another's, it fails
/// with `ESRCH` and is opened anew.
#[derive(Default)]
pub struct Descriptors {
    handles: HashMap<u32, Handle>,
    swept: Option<Instant>,
}

struct Handle {
    handle: PidFd,
    /// The process that it names where only processes have handles: such a one outlives the thread that it was opened for.
    process: Option<u32>,
}

impl Descriptors {
    /// Copies the descriptor that the first argument of `call` names, and makes sure that what was read of the caller's memory
    /// before was the caller's. A kept handle on a thread proves that by itself where only death interrupts a call: the thread
    /// had its id before the call arrived and has it still, so nobody else had it in between. Any other is followed by a question.
    ///
    /// # Errors
    /// As [`Self::copy`]; `ENOENT` when nobody waits any more.
    pub fn of_call(&mut self, listener: &Listener, call: &Notification) -> Result<OwnedFd> {
        let proven = self.handles.get(&call.thread).filter(|kept| kept.process.is_none() && listener.never_restarts);
        match proven.map(|kept| kept.handle.copy(call.arguments[0] as i32)) {
            None | Some(Err(Errno::ESRCH)) => {}
            Some(result) => return result,
        }
        let copied = self.copy(call.thread, call.arguments[0] as i32);
        if listener.is_valid(call.id) { copied } else { Err(Errno::ENOENT) }
    }

    /// Copies descriptor number `descriptor` of the process that `thread` belongs to.
    ///
    /// # Errors
    /// `EBADF` when it has none; `EPERM` when the platform forbids copying; `ESRCH` when it is gone.
    pub fn copy(&mut self, thread: u32, descriptor: i32) -> Result<OwnedFd> {
        if let Some(kept) = self.handles.get(&thread).filter(|kept| kept.is_of(thread)) {
            match kept.handle.copy(descriptor) {
                Err(Errno::ESRCH) => {}
                result => return result,
            }
        }
        self.make_room();
        self.handles.entry(thread).insert_entry(Handle::open(thread)?).get().handle.copy(descriptor)
    }

    /// Lets go the handles of those that ended, before another is opened; all of them where all live and they are too many.
    fn make_room(&mut self) {
        if self.swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            self.swept = Some(Instant::now());
            self.handles.retain(|_, handle| !handle.handle.has_ended());
        }
        if self.handles.len() >= HANDLES_KEPT {
            self.handles.clear();
        }
    }
}

impl Handle {
    /// Opens the thread, or before Linux 6.9, where only leaders have handles, its process.
    fn open(thread: u32) -> Result<Self> {
        match PidFd::of_thread(thread) {
            Err(Errno::EINVAL) => {
                let process = process::status(thread).ok_or(Errno::ESRCH)?.process;
                Ok(Self { handle: PidFd::of_process(process)?, process: Some(process) })
            }
            other => Ok(Self { handle: other?, process: None }),
        }
    }

    /// False when it names a process that `thread` belongs to no more: the id may have been given to a thread of another.
    fn is_of(&self, thread: u32) -> bool {
        self.process
            .is_none_or(|process| process == thread || Path::new(&format!("/proc/{process}/task/{thread}")).exists())
    }
}
