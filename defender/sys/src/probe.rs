//! What this platform allows a supervisor, found by trying each primitive on a process of our own.
//!
//! Nothing is concluded from version numbers or profiles: container platforms publish neither, and both lie.
use std::{os::fd::AsFd, thread, time::Duration};

use crate::{
    Errno, Result,
    bpf::{self, Action, Instruction},
    hardening, memory,
    notify::{Listener, Reply},
    pidfd::PidFd,
    poll::{self, Interest},
    signals, spawn, trace,
};

/// For how long the trial's call may take to arrive, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(5);
/// The call that the trial's filter notifies: harmless, and nothing in between makes it.
const TRIAL_CALL: libc::c_long = libc::SYS_getpgid;
/// What the trial process's memory must read as.
static MARK: [u8; 16] = *b"bartizan's trial";

/// What was tried, and what the kernel or the container's profile said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub struct Probe {
    /// A filter that asks us about calls (`SECCOMP_FILTER_FLAG_NEW_LISTENER`).
    pub listener: Result<()>,
    /// Received calls are interrupted by fatal signals only (since 5.19).
    pub never_restarts: bool,
    /// The waker gives its processor to the woken (since 6.6).
    pub wakes_directly: bool,
    /// Watching a process that runs (`PTRACE_SEIZE`).
    pub watching: Result<()>,
    /// Copying descriptors (`pidfd_getfd`).
    pub copying: Result<()>,
    /// Reading memory by system call (`process_vm_readv`).
    pub memory_call: Result<()>,
    /// Reading memory by file (`/proc/PID/mem`).
    pub memory_file: Result<()>,
    /// Handles on threads that are no leaders (since 6.9).
    pub thread_handles: bool,
    /// We have `CAP_SYS_PTRACE`: processes that change their user stay open to us.
    pub trace_capability: bool,
    /// We, and so the workload, have `CAP_SYS_ADMIN`.
    pub admin_capability: bool,
}

impl Probe {
    /// Tries on a process that is no child of ours what was found on one that is: not every platform lets us watch and
    /// read it (Yama, prctl(2) `PR_SET_PTRACER`).
    pub fn try_on(&mut self, process: u32) {
        if let (Ok(()), Err(errno)) = (self.watching, watched(process)) {
            self.watching = Err(errno);
        }
        if let (Ok(()), Err(errno)) = (self.copying, PidFd::of_process(process).and_then(|handle| handle.copy(0))) {
            self.copying = Err(errno);
        }
    }

    /// True when a process's memory can be read in some way.
    #[must_use]
    pub fn reads_memory(&self) -> bool {
        self.memory_call.is_ok() || self.memory_file.is_ok()
    }
}

/// Tries everything once, on a process that is started for it and ended again. Call it before [`hardening::hide`], from the
/// thread that waits for children.
///
/// # Errors
/// When not even a process or a thread can be started.
pub fn run() -> Result<Probe> {
    let (listener, child) = thread::Builder::new()
        .name("probe".into())
        .stack_size(128 << 10)
        .spawn(|| {
            let listener = spawn::install(&trial_filter());
            fork_trial().map(|child| (listener, child))
        })?
        .join()
        .map_err(|_| Errno(libc::ECHILD))??;
    let probe = examine(listener.as_ref(), child);
    let _ = signals::send(child as i32, libc::SIGKILL);
    trace::wait_for_end(child);
    Ok(probe)
}

fn trial_filter() -> Vec<Instruction> {
    vec![
        bpf::load(bpf::NUMBER),
        bpf::if_equal(TRIAL_CALL as u32, 0, 1),
        bpf::finish(Action::Notify),
        bpf::finish(Action::Allow),
    ]
}

/// A process that makes the one call and then waits to be killed.
fn fork_trial() -> Result<u32> {
    // SAFETY: the child makes async-signal-safe calls only and never returns.
    let child = Errno::check(unsafe { libc::fork() })?;
    if child == 0 {
        let _ = hardening::drop_ptrace_capability();
        // SAFETY: calls with integers only; pause returns after a signal that is handled, and none is.
        unsafe {
            libc::syscall(TRIAL_CALL, 0);
            loop {
                libc::pause();
            }
        }
    }
    Ok(child as u32)
}

fn examine(listener: std::result::Result<&Listener, &Errno>, child: u32) -> Probe {
    let mut mark = [0; MARK.len()];
    let address = MARK.as_ptr() as u64;
    let same = |read: Result<()>, mark: &[u8]| read.and(if *mark == MARK { Ok(()) } else { Err(Errno::EFAULT) });
    let answered = listener.map_err(|errno| *errno).and_then(|listener| answer(listener, child));
    let memory_call = same(memory::read_by_call(child, address, &mut mark), &mark);
    mark = [0; MARK.len()];
    let memory_file = same(memory::read_by_file(child, address, &mut mark), &mark);
    Probe {
        listener: answered,
        never_restarts: listener.is_ok_and(|listener| listener.never_restarts),
        wakes_directly: listener.is_ok_and(|listener| listener.wakes_directly),
        copying: match PidFd::of_process(child).and_then(|handle| handle.copy(0)) {
            Ok(_) | Err(Errno::EBADF) => Ok(()),
            Err(errno) => Err(errno),
        },
        watching: trace::seize(child),
        memory_call,
        memory_file,
        thread_handles: PidFd::of_thread(child).is_ok(),
        trace_capability: hardening::has_capability(hardening::CAP_SYS_PTRACE),
        admin_capability: hardening::has_capability(hardening::CAP_SYS_ADMIN),
    }
}

fn answer(listener: &Listener, child: u32) -> Result<()> {
    let ready = poll::wait(&[(listener.as_fd(), Interest::Readable)], Some(PATIENCE))?;
    if ready.first() != Some(&true) {
        return Err(Errno(libc::ETIMEDOUT));
    }
    let call = listener.receive()?;
    if call.thread != child {
        return Err(Errno::ESRCH);
    }
    listener.reply(call.id, Reply::Continue)
}

/// Watches a process for a moment.
fn watched(process: u32) -> Result<()> {
    trace::seize(process)?;
    trace::interrupt(process)?;
    trace::wait_for_stop(process);
    trace::detach(process, 0)
}
