//! Making a process small and opaque (prctl(2), capabilities(7)).
use std::ffi::c_ulong;

use crate::{Errno, Result};

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// `CAP_SYS_PTRACE` (capabilities(7)).
pub const CAP_SYS_PTRACE: u32 = 19;
/// `CAP_SYS_ADMIN` (capabilities(7)).
pub const CAP_SYS_ADMIN: u32 = 21;
const LAST_CAPABILITY: u32 = 63;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// One word of each capability set of a thread.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// All capability sets of a thread.
pub(crate) type AllSets = [Sets; 2];

fn control(option: i32, argument: c_ulong) -> Result<i32> {
    // SAFETY: prctl with integer arguments touches no memory of ours.
    Errno::check(unsafe { libc::prctl(option, argument, 0, 0, 0) })
}

/// Makes `/proc/self` unreadable for processes without `CAP_SYS_PTRACE`, and the process untraceable for them.
///
/// # Errors
/// Never in practice; the kernel's answer otherwise.
pub fn hide() -> Result<()> {
    control(libc::PR_SET_DUMPABLE, 0).map(drop)
}

pub(crate) fn show() -> Result<()> {
    control(libc::PR_SET_DUMPABLE, 1).map(drop)
}

/// From here on execve gives no privilege (`no_new_privs`).
///
/// # Errors
/// The kernel's answer.
pub fn no_new_privileges() -> Result<()> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Orphans among our descendants become our children.
///
/// # Errors
/// The kernel's answer.
pub fn adopt_orphans() -> Result<()> {
    control(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

/// True when this thread has a capability of the first 32.
#[must_use]
pub fn has_capability(capability: u32) -> bool {
    capabilities().is_ok_and(|sets| sets[0].effective & (1 << capability) != 0)
}

/// Makes `CAP_SYS_PTRACE` effective where it is only permitted: an image that runs as an ordinary user gives it to the
/// Defender's file as `cap_sys_ptrace+p`, since with `+ep` execve fails where the container does not allow it.
pub fn raise_ptrace_capability() {
    let Ok(mut sets) = capabilities() else { return };
    if sets[0].permitted & !sets[0].effective & (1 << CAP_SYS_PTRACE) != 0 {
        sets[0].effective |= 1 << CAP_SYS_PTRACE;
        // Without it the self-test finds what is missing and says so.
        let _ = set_capabilities(&sets);
    }
}

/// Allows this process as many descriptors as it may have, so that a workload that makes it hold many leaves some over; what
/// it was allowed before, for the workload.
pub(crate) fn allow_all_descriptors() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid structure to fill.
    Errno::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }).ok()?;
    let all = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: a valid structure.
    Errno::check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const all) }).ok()?;
    Some(limit)
}

/// Allows this process as many descriptors as it may have: a proxy holds two for each client.
pub fn raise_descriptor_limit() {
    // Where it is refused, fewer clients are served at a time.
    let _ = allow_all_descriptors();
}

/// Gives up every capability, for good.
///
/// # Errors
/// The kernel's answer.
pub fn drop_all_capabilities() -> Result<()> {
    for capability in 0..=LAST_CAPABILITY {
        // Beyond the kernel's last capability this fails, and without CAP_SETPCAP too: what follows still holds.
        let _ = control(libc::PR_CAPBSET_DROP, c_ulong::from(capability));
    }
    let _ = control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong);
    set_capabilities(&[Sets::default(); 2])
}

/// Takes `CAP_SYS_PTRACE` from this thread and from all that it will start. Async-signal-safe.
pub(crate) fn drop_ptrace_capability() -> Result<()> {
    let _ = control(libc::PR_CAPBSET_DROP, c_ulong::from(CAP_SYS_PTRACE));
    let _ = control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong);
    let mut sets = capabilities()?;
    let mask = !(1 << CAP_SYS_PTRACE);
    sets[0] = Sets {
        effective: sets[0].effective & mask,
        permitted: sets[0].permitted & mask,
        inheritable: sets[0].inheritable & mask,
    };
    set_capabilities(&sets)
}

/// Gives the thread these sets, bit N for capability N.
pub(crate) fn set_effective_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let half = |index: u32| Sets {
        effective: ((effective & permitted) >> (32 * index)) as u32,
        permitted: (permitted >> (32 * index)) as u32,
        inheritable: (inheritable >> (32 * index)) as u32,
    };
    set_capabilities(&[half(0), half(1)])
}

/// The calling thread's.
pub(crate) fn capabilities() -> Result<AllSets> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 fills two `Sets`, and both pointers are valid for the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

/// Gives them to the calling thread.
pub(crate) fn set_capabilities(sets: &AllSets) -> Result<()> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: version 3 reads two `Sets`, and both pointers are valid for the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}
