//! Making a process small and opaque (prctl(2), capabilities(7)).
use std::ffi::c_ulong;

use crate::{Errno, Result};

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const CAP_SYS_PTRACE: u32 = 19;
const LAST_CAPABILITY: u32 = 63;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// One word of each capability set of a thread.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

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

/// Makes these of the thread's permitted capabilities the effective ones (bit N is capability N), and no others.
pub(crate) fn set_effective_capabilities(wanted: u64) -> Result<()> {
    let mut sets = capabilities()?;
    for (index, word) in sets.iter_mut().enumerate() {
        word.effective = (wanted >> (32 * index)) as u32 & word.permitted;
    }
    set_capabilities(&sets)
}

fn capabilities() -> Result<[Sets; 2]> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 fills two `Sets`, and both pointers are valid for the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

fn set_capabilities(sets: &[Sets; 2]) -> Result<()> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: version 3 reads two `Sets`, and both pointers are valid for the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}
