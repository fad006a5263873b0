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

use crate::{
    Errno, Result,
    bpf::Instruction,
    filter, hardening,
    keeper::{self, Keeper},
    notify::Listener,
    signals::Signals,
};

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
    /// True when 32-bit programs may run, under the same rules (x86-64 only).
    pub allow_32_bit: bool,
}

/// A started workload.
#[derive(Debug)]
pub struct Launched {
    /// Where its notifications arrive; none when it runs without a filter.
    pub listener: Option<Arc<Listener>>,
    /// Process id of its first process.
    pub child: u32,
    failure: OwnedFd,
    gate: Option<OwnedFd>,
}

impl Launched {
    /// Lets the first process of [`before_its_program`] go on to its program.
    ///
    /// # Errors
    /// The kernel's answer; it is stuck then.
    pub fn open_gate(&self) -> Result<()> {
        let Some(gate) = &self.gate else { return Ok(()) };
        // SAFETY: one byte of a valid buffer.
        Errno::check(unsafe { libc::write(gate.as_raw_fd(), [0_u8].as_ptr().cast(), 1) }).map(drop)
    }

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
    by_launcher(move || {
        let program = filter::program(&filter::Options {
            files: image.launch.watch_files,
            narrow: image.launch.allow_32_bit,
            ..protected()
        });
        image.fork(Some(Arc::new(install(&program)?)))
    })
}

/// Starts the first process of `launch`, which waits before its program until [`Launched::open_gate`], so that it can be
/// traced from there on. `filtered`: under a filter that asks nobody and refuses what would go round a tracer.
///
/// # Errors
/// As [`under_filter`].
pub fn before_its_program(launch: Launch, signals: &Signals, filtered: bool) -> Result<Launched> {
    let image = Image { gate: Some(pipe(libc::O_CLOEXEC)?), ..Image::new(launch, signals)? };
    if !filtered {
        return image.fork(None);
    }
    by_launcher(move || {
        install_silent(&filter::program(&filter::Options { silent: true, ..protected() }))?;
        image.fork(None)
    })
}

/// How process 1 is held, where it becomes the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Under the filter; its calls are notified.
    Asked,
    /// By its tracer, with a filter that asks nobody if `filtered`.
    Traced {
        /// True with that filter.
        filtered: bool,
    },
    /// Not at all.
    Free,
}

/// Makes process 1 the application of `launch`. It waits before its program until [`Launched::open_gate`].
///
/// # Errors
/// As [`under_filter`].
pub fn as_process_one(keeper: Keeper, launch: &Launch, held: Held) -> Result<Launched> {
    let options = match held {
        Held::Asked => Some(filter::Options { files: launch.watch_files, narrow: launch.allow_32_bit, ..protected() }),
        Held::Traced { filtered: true } => Some(filter::Options { silent: true, ..protected() }),
        Held::Traced { filtered: false } | Held::Free => None,
    };
    let program = options.map(|options| filter::program(&options)).unwrap_or_default();
    let listener = keeper.prepare(launch, &program, held == Held::Asked)?;
    // A failure is told by process 1 itself; nothing ever comes from here.
    let (failure, _) = pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    Ok(Launched { listener, child: keeper::FIRST, failure, gate: Some(keeper.gate()) })
}

/// Does it on a thread of its own, which must outlive the workload: a process whose parent thread ends is told so.
fn by_launcher(start: impl FnOnce() -> Result<Launched> + Send + 'static) -> Result<Launched> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("launcher".into()).stack_size(128 << 10).spawn(move || {
        let started = start();
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
    // SAFETY: getpgrp has no arguments and cannot fail.
    let group = unsafe { libc::getpgrp() } as u32;
    filter::Options { protected, group, first: own == 1, ..filter::Options::default() }
}

pub(crate) fn install(program: &[Instruction]) -> Result<Listener> {
    install_raw(program).map(|(descriptor, never_restarts)| Listener::new(descriptor, never_restarts))
}

/// Puts the calling thread under a filter that asks nobody.
pub(crate) fn install_silent(program: &[Instruction]) -> Result<()> {
    hardening::no_new_privileges()?;
    set_filter(program, SPEC_ALLOW).map(drop)
}

/// Puts the calling thread under `program`; the listener's descriptor, and whether received calls are never restarted.
pub(crate) fn install_raw(program: &[Instruction]) -> Result<(OwnedFd, bool)> {
    hardening::no_new_privileges()?;
    let set = |flags| set_filter(program, flags | NEW_LISTENER | SPEC_ALLOW);
    let (descriptor, never_restarts) = match set(WAIT_KILLABLE_RECV) {
        Err(Errno(libc::EINVAL)) => (set(0)?, false),
        other => (other?, true),
    };
    // SAFETY: fresh from the kernel (close-on-exec), owned by nobody else.
    Ok((unsafe { OwnedFd::from_raw_fd(descriptor) }, never_restarts))
}

/// Puts the calling thread, and what it will start, under `program`; the descriptor of the listener where one is asked for.
fn set_filter(program: &[Instruction], flags: libc::c_ulong) -> Result<i32> {
    let description =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast::<libc::sock_filter>() };
    // SAFETY: `Instruction` has the layout of `sock_filter`; pointer and length describe `program`, which the kernel copies.
    Errno::check_descriptor(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const description)
    })
}

fn pipe(flags: i32) -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    Errno::check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    // SAFETY: fresh from the kernel, owned by nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Everything that the child needs, allocated before fork.
struct Image {
    launch: Launch,
    mask: libc::sigset_t,
    failure: (OwnedFd, OwnedFd),
    gate: Option<(OwnedFd, OwnedFd)>,
    /// What this process was allowed before it gave itself more.
    descriptors: Option<libc::rlimit>,
}

impl Image {
    fn new(launch: Launch, signals: &Signals) -> Result<Self> {
        let failure = pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)?;
        Ok(Self {
            launch,
            mask: signals.original_mask(),
            failure,
            gate: None,
            descriptors: hardening::allow_all_descriptors(),
        })
    }

    fn fork(self, listener: Option<Arc<Listener>>) -> Result<Launched> {
        let (arguments, environment) = (pointers(&self.launch.arguments), pointers(&self.launch.environment));
        // SAFETY: the child calls nothing but async-signal-safe functions and never returns.
        let child = Errno::check(unsafe { libc::fork() })?;
        if child == 0 {
            let gate = self.gate.as_ref().map(|(end, _)| end.as_raw_fd());
            if let Some(descriptors) = &self.descriptors {
                // SAFETY: a valid structure; async-signal-safe in fact, being a mere system call.
                unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, descriptors) };
            }
            run(&self.launch.program, &arguments, &environment, &self.mask, (self.failure.1.as_raw_fd(), gate));
        }
        let gate = self.gate.map(|(_, end)| end);
        Ok(Launched { listener, child: child as u32, failure: self.failure.0, gate })
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
    (failure, gate): (i32, Option<i32>),
) -> ! {
    // SAFETY: only async-signal-safe calls, on memory that was prepared before fork; all pointers are NUL-terminated.
    unsafe {
        libc::setpgid(0, 0);
        if libc::isatty(0) == 1 {
            libc::tcsetpgrp(0, libc::getpgrp());
        }
        let _ = hardening::drop_ptrace_capability();
        let _ = hardening::show();
        if let Some(gate) = gate {
            let mut byte = 0_u8;
            // An end without a byte means that the Defender is gone.
            if libc::read(gate, (&raw mut byte).cast(), 1) != 1 {
                libc::_exit(126);
            }
        }
        let errno = become_program(program, arguments, environment, mask).0;
        let bytes = errno.to_ne_bytes();
        libc::write(failure, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(if errno == libc::ENOENT { 127 } else { 126 })
    }
}

/// Becomes a program; why that failed, if it comes back. Async-signal-safe.
fn become_program(
    program: &CStr,
    arguments: &[*const c_char],
    environment: &[*const c_char],
    mask: &libc::sigset_t,
) -> Errno {
    // SAFETY: async-signal-safe calls; all pointers are NUL-terminated.
    unsafe {
        // Rust ignores SIGPIPE at start; the application must not inherit that.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    Errno::last()
}

/// As [`become_program`], for texts that may be allocated for it.
pub(crate) fn execute(program: &CStr, arguments: &[CString], environment: &[CString], mask: &libc::sigset_t) -> Errno {
    become_program(program, &pointers(arguments), &pointers(environment), mask)
}
