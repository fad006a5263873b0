//! Starting the workload under the filter.
//!
//! The filter is installed on one thread of its own, the launcher, which then forks the workload and waits for ever: the
//! rest of the Defender stays unfiltered, and no descriptor needs to be passed. The child does only what is
//! async-signal-safe between fork and exec (signal-safety(7)), for other threads may have held locks.
use std::{
    ffi::{CStr, CString, c_char},
    fs,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{Arc, mpsc},
    thread,
};

use crate::{Errno, Result, bpf::Instruction, filter, hardening, notify::Listener, signals::Signals};

const NEW_LISTENER: libc::c_ulong = 1 << 3;
/// Without it the kernel before 5.16 turns on a mitigation that slows whole runtimes down.
const SPEC_ALLOW: libc::c_ulong = 1 << 2;
/// Since 5.19: once we have received a notification, only a fatal signal interrupts its caller.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// Path of the program, already found.
    pub program: CString,
    /// Its argument vector.
    pub arguments: Vec<CString>,
    /// Its environment, each `NAME=value`.
    pub environment: Vec<CString>,
    /// True when its writes to files are notified too.
    pub watch_files: bool,
}

/// A started workload.
#[derive(Debug)]
pub struct Launched {
    /// Where its notifications arrive; none when it runs without a filter.
    pub listener: Option<Arc<Listener>>,
    /// Process id of its first process.
    pub child: u32,
    failure: OwnedFd,
}

impl Launched {
    /// Why the first program could not be started, once its process has ended; none when it was started.
    #[must_use]
    pub fn failure(&self) -> Option<Errno> {
        let mut errno = [0; 4];
        // SAFETY: the buffer holds the four bytes asked for; the pipe's end is non-blocking.
        let read = unsafe { libc::read(self.failure.as_raw_fd(), errno.as_mut_ptr().cast(), errno.len()) };
        (read == 4).then(|| Errno(i32::from_ne_bytes(errno)))
    }
}

/// Starts `launch` under the filter, with the signal mask that this process was started with.
///
/// # Errors
/// What the kernel says to the filter (`EACCES`, `EINVAL` or `EBUSY` where the platform has no room for it) or to fork.
/// Nothing was started then.
pub fn under_filter(launch: Launch, signals: &Signals) -> Result<Launched> {
    let image = Image::new(launch, signals)?;
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("launcher".into()).stack_size(128 << 10).spawn(move || {
        let options = filter::Options { files: image.launch.watch_files, ..protected() };
        let started = install(&filter::program(&options)).and_then(|listener| image.fork(Some(listener)));
        let running = started.is_ok();
        // The other end waits for exactly this.
        let _ = sender.send(started);
        if running {
            loop {
                thread::park();
            }
        }
    })?;
    receiver.recv().map_err(|_| Errno(libc::ECHILD))?
}

/// Starts `launch` without any filter: nothing will be judged.
///
/// # Errors
/// What the kernel says to fork.
pub fn without_filter(launch: Launch, signals: &Signals) -> Result<Launched> {
    Image::new(launch, signals)?.fork(None)
}

/// All threads that this process has now, and how a broadcast would reach it.
fn protected() -> filter::Options {
    let own = std::process::id();
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut protected: Vec<u32> = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    if !protected.contains(&own) {
        protected.push(own);
    }
    filter::Options { protected, refuse_broadcast: own != 1, files: false }
}

fn install(program: &[Instruction]) -> Result<Listener> {
    hardening::no_new_privileges()?;
    let set = |flags: libc::c_ulong| {
        let description = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr().cast_mut().cast::<libc::sock_filter>(),
        };
        // SAFETY: `Instruction` has the layout of `sock_filter`; pointer and length describe `program`, which the kernel copies.
        Errno::check_descriptor(unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const description)
        })
    };
    let (descriptor, never_restarts) = match set(NEW_LISTENER | SPEC_ALLOW | WAIT_KILLABLE_RECV) {
        Err(Errno(libc::EINVAL)) => (set(NEW_LISTENER | SPEC_ALLOW)?, false),
        other => (other?, true),
    };
    // SAFETY: fresh from the kernel (close-on-exec), owned by nobody else.
    Ok(Listener::new(unsafe { OwnedFd::from_raw_fd(descriptor) }, never_restarts))
}

/// Everything that the child needs, allocated before fork.
struct Image {
    launch: Launch,
    mask: libc::sigset_t,
    failure: (OwnedFd, OwnedFd),
}

impl Image {
    fn new(launch: Launch, signals: &Signals) -> Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        Errno::check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: fresh from the kernel, owned by nobody else.
        let failure = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        Ok(Self { launch, mask: signals.original_mask(), failure })
    }

    fn fork(self, listener: Option<Listener>) -> Result<Launched> {
        let (arguments, environment) = (pointers(&self.launch.arguments), pointers(&self.launch.environment));
        // SAFETY: the child calls nothing but async-signal-safe functions and never returns.
        let child = Errno::check(unsafe { libc::fork() })?;
        if child == 0 {
            run(&self.launch.program, &arguments, &environment, &self.mask, self.failure.1.as_raw_fd());
        }
        Ok(Launched { listener: listener.map(Arc::new), child: child as u32, failure: self.failure.0 })
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// The child's life before its program: own process group (in the foreground of a terminal, if there is one), no
/// `CAP_SYS_PTRACE`, readable by us, signals as this process found them.
fn run(
    program: &CStr,
    arguments: &[*const c_char],
    environment: &[*const c_char],
    mask: &libc::sigset_t,
    failure: i32,
) -> ! {
    // SAFETY: only async-signal-safe calls, on memory that was prepared before fork; all pointers are NUL-terminated.
    unsafe {
        libc::setpgid(0, 0);
        if libc::isatty(0) == 1 {
            libc::tcsetpgrp(0, libc::getpgrp());
        }
        let _ = hardening::drop_ptrace_capability();
        let _ = hardening::show();
        // Rust ignores SIGPIPE at start; the application must not inherit that.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        let errno = Errno::last().0;
        let bytes = errno.to_ne_bytes();
        libc::write(failure, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(if errno == libc::ENOENT { 127 } else { 126 })
    }
}
