//! Doing something with another's rights to files: one thread of ours takes them on for a call, then its own again.
//!
//! The C library changes credentials of all threads at once, so the calls are made directly (credentials(7), setfsuid(2)).
use std::marker::PhantomData;

use crate::{Errno, Result, hardening};

/// What decides about access to files, and about the mode and owner of new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// File system user id.
    pub user: u32,
    /// File system group id.
    pub group: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Effective capabilities, bit N for capability N.
    pub capabilities: u64,
    /// Capabilities that may be made effective.
    pub permitted: u64,
    /// Capabilities that execve may keep.
    pub inheritable: u64,
    /// Bits that new files do not get.
    pub mask: u32,
}

/// Gives the calling thread a mask of its own where the platform allows that; elsewhere the process has one.
pub fn separate_mask() {
    // SAFETY: an integer; it affects this thread's root, working directory and mask only. Refusal changes nothing.
    unsafe { libc::unshare(libc::CLONE_FS) };
}

/// Runs `action` with the rights of `wanted`, on a thread that has those of `own`.
///
/// # Errors
/// `EPERM` when this thread may not take them on; then `action` was not run.
pub fn with<T>(wanted: &Credentials, own: &Credentials, action: impl FnOnce() -> T) -> Result<T> {
    let restored = Restored { wanted, own };
    restored.take_on()?;
    let result = action();
    drop(restored);
    Ok(result)
}

/// Goes back to `own` when dropped.
struct Restored<'a> {
    wanted: &'a Credentials,
    own: &'a Credentials,
}

impl Restored<'_> {
    fn take_on(&self) -> Result<()> {
        let (wanted, own) = (self.wanted, self.own);
        if wanted.groups != own.groups {
            set_groups(&wanted.groups)?;
        }
        if wanted.group != own.group {
            set_group(wanted.group)?;
        }
        if wanted.user != own.user {
            set_user(wanted.user)?;
        }
        if (wanted.user, wanted.capabilities) != (own.user, own.capabilities) {
            hardening::set_effective_capabilities(wanted.capabilities, own.permitted, own.inheritable)?;
        }
        if wanted.mask != own.mask {
            // SAFETY: an integer.
            unsafe { libc::umask(wanted.mask) };
        }
        Ok(())
    }
}

impl Drop for Restored<'_> {
    /// What the thread had it is still permitted to have; were one of these refused, it would go on with less.
    fn drop(&mut self) {
        let (wanted, own) = (self.wanted, self.own);
        if wanted.mask != own.mask {
            // SAFETY: an integer.
            unsafe { libc::umask(own.mask) };
        }
        let regain = || hardening::set_effective_capabilities(own.capabilities, own.permitted, own.inheritable);
        if (wanted.user, wanted.capabilities) != (own.user, own.capabilities) {
            let _ = regain();
        }
        if wanted.user != own.user {
            let _ = set_user(own.user);
            let _ = regain();
        }
        if wanted.group != own.group {
            let _ = set_group(own.group);
        }
        if wanted.groups != own.groups {
            let _ = set_groups(&own.groups);
        }
    }
}

/// While it lives, its thread has another's real and file system ids, which is what the kernel compares when a process is
/// looked at (ptrace(2), "access mode checking"). Effective and saved ids and all capabilities stay: nothing else that the
/// thread does is allowed less or more, but new files would be the other's.
#[derive(Debug)]
pub struct Likeness {
    former: Ids,
    sets: hardening::AllSets,
    /// Credentials are a thread's own.
    _thread: PhantomData<*const ()>,
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    user: u32,
    group: u32,
    file_user: u32,
    file_group: u32,
}

impl Likeness {
    /// Takes on real and file system ids.
    ///
    /// # Errors
    /// `EPERM` when this thread may not; then it is who it was.
    pub fn take_on(user: u32, group: u32) -> Result<Self> {
        let likeness = Self { former: Ids::own()?, sets: hardening::capabilities()?, _thread: PhantomData };
        // Dropped when one of them is refused.
        likeness.be(Ids { user, group, file_user: user, file_group: group })?;
        Ok(likeness)
    }

    /// In this order: a change of the real id sets that of the file system, which in turn takes capabilities or gives them.
    fn be(&self, ids: Ids) -> Result<()> {
        set_real(libc::SYS_setresgid, ids.group)?;
        set_group(ids.file_group)?;
        set_real(libc::SYS_setresuid, ids.user)?;
        set_user(ids.file_user)?;
        hardening::set_capabilities(&self.sets)?;
        // Any change of these makes a process as open as `fs.suid_dumpable` says (proc(5)), which may be more than we are.
        hardening::hide()
    }
}

impl Drop for Likeness {
    /// What the thread had it may have again: it still has its effective ids and its capabilities.
    fn drop(&mut self) {
        let _ = self.be(self.former);
    }
}

impl Ids {
    fn own() -> Result<Self> {
        let (mut users, mut groups) = ([0_u32; 3], [0_u32; 3]);
        let [real, effective, saved] = &mut users;
        // SAFETY: three integers of ours to fill.
        Errno::check(unsafe { libc::getresuid(real, effective, saved) })?;
        let [real, effective, saved] = &mut groups;
        // SAFETY: as above.
        Errno::check(unsafe { libc::getresgid(real, effective, saved) })?;
        let (file_user, file_group) = (now(libc::SYS_setfsuid), now(libc::SYS_setfsgid));
        Ok(Self { user: users[0], group: groups[0], file_user, file_group })
    }
}

/// Sets the real id; effective and saved ones stay.
fn set_real(call: libc::c_long, id: u32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::syscall(call, id, u32::MAX, u32::MAX) }).map(drop)
}

fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length describe the slice.
    Errno::check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

fn set_user(user: u32) -> Result<()> {
    set(libc::SYS_setfsuid, user)
}

fn set_group(group: u32) -> Result<()> {
    set(libc::SYS_setfsgid, group)
}

/// These calls answer with the former id whether they worked or not; asked for an impossible one, they only answer.
fn set(call: libc::c_long, id: u32) -> Result<()> {
    // SAFETY: integers only.
    unsafe { libc::syscall(call, id) };
    if now(call) == id { Ok(()) } else { Err(Errno(libc::EPERM)) }
}

fn now(call: libc::c_long) -> u32 {
    // SAFETY: integers only.
    unsafe { libc::syscall(call, u32::MAX) as u32 }
}
