//! ptrace around program starts, or for life where there is no filter (ptrace(2)), and waiting for children (wait4(2)).
//!
//! All of this belongs to one thread: a wait in another thread of the same process would steal its stops.
pub use crate::registers::{Call, call, refuse, stack_pointer};
use crate::{Errno, Result};

/// What happened to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It ended with this code.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// A new image is loaded and has not run; `former` is the thread id that called execve.
    Exec {
        /// Thread id before the exec made it the leader's.
        former: u32,
    },
    /// Our own interruption took effect, or a new thread or process of a tracee stopped before its first instruction.
    Interrupted,
    /// Job control stopped it.
    GroupStop,
    /// A signal is about to be delivered.
    Signal(i32),
    /// It is about to make a call for which its filter wants its tracer.
    Call,
    /// A tracee has made a thread or a process, which is traced too and will report itself.
    Parent,
}

const EVENT_STOP: i32 = 128;

fn request(operation: libc::c_uint, thread: u32, data: usize) -> Result<()> {
    // SAFETY: the operations used here (SEIZE, INTERRUPT, DETACH, CONT, LISTEN) take integers, not pointers, as data.
    Errno::check(unsafe { libc::ptrace(operation, thread as libc::pid_t, 0_usize, data) }).map(drop)
}

/// Begins to watch a thread for its next program start. It is killed if we end first.
///
/// # Errors
/// `EPERM` when it is traced already or we may not, `ESRCH` when it is gone.
pub fn seize(thread: u32) -> Result<()> {
    request(libc::PTRACE_SEIZE, thread, (libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL) as usize)
}

/// Begins to trace a thread, and everything that it will start, for life. All are killed if we end first.
///
/// # Errors
/// As [`seize`].
pub fn seize_for_life(thread: u32) -> Result<()> {
    let births = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
    let options = births | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE, thread, options as usize)
}

/// Lets a stopped thread run on while it stays traced, delivering `signal` (0 for none).
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn go_on(thread: u32, signal: i32) -> Result<()> {
    request(libc::PTRACE_CONT, thread, signal as usize)
}

/// Leaves a thread that job control stopped as it is, until it is continued.
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn leave_stopped(thread: u32) -> Result<()> {
    request(libc::PTRACE_LISTEN, thread, 0)
}

/// Makes sure that the thread stops soon, whether its execve succeeds or fails.
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn interrupt(thread: u32) -> Result<()> {
    request(libc::PTRACE_INTERRUPT, thread, 0)
}

/// Lets a stopped thread go, delivering `signal` (0 for none).
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn detach(thread: u32, signal: i32) -> Result<()> {
    request(libc::PTRACE_DETACH, thread, signal as usize)
}

fn event_message(thread: u32) -> Result<u32> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: GETEVENTMSG stores one unsigned long where its data argument points.
    Errno::check(unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, thread as libc::pid_t, 0_usize, &raw mut message) })?;
    Ok(message as u32)
}

/// The next thing that happened to any child, without waiting; none when nothing did.
///
/// # Errors
/// `ECHILD` when there is no child.
pub fn next_happening() -> Result<Option<(u32, Happening)>> {
    let mut status = 0;
    // SAFETY: the status pointer is valid; no resource usage is asked for.
    let child = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG | libc::__WALL, std::ptr::null_mut()) };
    let child = Errno::check(child)? as u32;
    Ok((child != 0).then(|| (child, happening(child, status))))
}

fn happening(child: u32, status: i32) -> Happening {
    if libc::WIFEXITED(status) {
        return Happening::Exited(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Happening::Killed(libc::WTERMSIG(status));
    }
    match status >> 16 {
        libc::PTRACE_EVENT_EXEC => Happening::Exec { former: event_message(child).unwrap_or(child) },
        libc::PTRACE_EVENT_SECCOMP => Happening::Call,
        EVENT_STOP if libc::WSTOPSIG(status) == libc::SIGTRAP => Happening::Interrupted,
        EVENT_STOP => Happening::GroupStop,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => Happening::Parent,
        _ => Happening::Signal(libc::WSTOPSIG(status)),
    }
}

/// Waits until a child that was killed is gone, whatever stops it goes through on the way.
pub fn wait_for_end(child: u32) {
    loop {
        let mut status = 0;
        // SAFETY: the status pointer is valid; no resource usage is asked for.
        let waited = unsafe { libc::wait4(child as libc::pid_t, &raw mut status, libc::__WALL, std::ptr::null_mut()) };
        if waited < 0 && Errno::last() != Errno::EINTR || libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            return;
        }
    }
}

/// Waits until a thread that was interrupted has stopped.
pub fn wait_for_stop(thread: u32) {
    let mut status = 0;
    // SAFETY: the status pointer is valid; no resource usage is asked for.
    while unsafe { libc::wait4(thread as libc::pid_t, &raw mut status, libc::__WALL, std::ptr::null_mut()) } < 0
        && Errno::last() == Errno::EINTR
    {}
}
