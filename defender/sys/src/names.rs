//! Calls on names in directories that are already open (openat(2) and its family), so that nothing is looked up twice.
use std::{
    ffi::CString,
    fs::File,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use crate::{Errno, Result};

/// `RESOLVE_NO_MAGICLINKS` of openat2(2).
const NO_MAGIC_LINKS: u64 = 2;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Layout of `struct open_how`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn text(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Errno(libc::EINVAL))
}

fn number(directory: impl AsFd) -> i32 {
    directory.as_fd().as_raw_fd()
}

/// openat(2); close-on-exec always.
///
/// # Errors
/// The kernel's answer.
pub fn open(directory: impl AsFd, name: &[u8], flags: i32, mode: u32) -> Result<File> {
    let name = text(name)?;
    // SAFETY: a NUL-terminated name and integers.
    let returned = unsafe { libc::openat(number(directory), name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    // SAFETY: fresh from the kernel, owned by nobody else.
    Errno::check(returned).map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }.into())
}

/// openat2(2) that crosses no magic link (`/proc/PID/fd/N` and the like).
///
/// # Errors
/// `ELOOP` for a magic link, `ENOSYS` before Linux 5.6 (`EPERM` in some containers), else the kernel's answer.
pub fn open_without_magic(directory: impl AsFd, name: &[u8], flags: i32) -> Result<File> {
    let name = text(name)?;
    let how = How { flags: (flags | libc::O_CLOEXEC) as u64, mode: 0, resolve: NO_MAGIC_LINKS };
    let (directory, size) = (number(directory), size_of::<How>());
    // SAFETY: a NUL-terminated name, and a structure of the size that is given.
    let returned = unsafe { libc::syscall(libc::SYS_openat2, directory, name.as_ptr(), &raw const how, size) };
    // SAFETY: fresh from the kernel, owned by nobody else.
    Errno::check_descriptor(returned).map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }.into())
}

/// What a symbolic link says; an empty name asks for `directory` itself, opened with `O_PATH`.
///
/// # Errors
/// `EINVAL` when it is no link.
pub fn read_link(directory: impl AsFd, name: &[u8]) -> Result<Vec<u8>> {
    let name = text(name)?;
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    // SAFETY: a NUL-terminated name; the buffer is as long as is said.
    let length = Errno::check(unsafe {
        libc::readlinkat(number(directory), name.as_ptr(), bytes.as_mut_ptr().cast(), bytes.len())
    })?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

/// True for a file of procfs.
///
/// # Errors
/// The kernel's answer.
pub fn is_procfs(file: impl AsFd) -> Result<bool> {
    let mut status = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: room for one structure.
    Errno::check(unsafe { libc::fstatfs(number(file), status.as_mut_ptr()) })?;
    // SAFETY: the call has filled it.
    Ok(unsafe { status.assume_init() }.f_type == PROC_SUPER_MAGIC)
}

/// The mount that a file is reached by; 0 before Linux 5.8.
#[must_use]
pub fn mount_of(file: impl AsFd) -> u64 {
    let mut status = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: an empty name with AT_EMPTY_PATH, and room for one structure, which was zeroed.
    let returned = unsafe {
        libc::statx(number(file), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_MNT_ID, status.as_mut_ptr())
    };
    // SAFETY: zeroed at first, and the call fills it whole.
    let status = unsafe { status.assume_init() };
    if returned == 0 && status.stx_mask & libc::STATX_MNT_ID != 0 { status.stx_mnt_id } else { 0 }
}

/// renameat2(2).
///
/// # Errors
/// The kernel's answer.
pub fn rename(from: impl AsFd, name: &[u8], to: impl AsFd, new_name: &[u8], flags: u32) -> Result<()> {
    let (name, new_name) = (text(name)?, text(new_name)?);
    let (from, to) = (number(from), number(to));
    // SAFETY: NUL-terminated names and integers.
    let returned = unsafe { libc::syscall(libc::SYS_renameat2, from, name.as_ptr(), to, new_name.as_ptr(), flags) };
    Errno::check(returned).map(drop)
}

/// linkat(2): a further name for an open file.
///
/// # Errors
/// The kernel's answer.
pub fn link(file: impl AsFd, directory: impl AsFd, name: &[u8]) -> Result<()> {
    let (path, name) = (text(itself(file).as_bytes())?, text(name)?);
    let (directory, follow) = (number(directory), libc::AT_SYMLINK_FOLLOW);
    // SAFETY: NUL-terminated names and integers.
    Errno::check(unsafe { libc::linkat(libc::AT_FDCWD, path.as_ptr(), directory, name.as_ptr(), follow) }).map(drop)
}

/// symlinkat(2).
///
/// # Errors
/// The kernel's answer.
pub fn symlink(target: &[u8], directory: impl AsFd, name: &[u8]) -> Result<()> {
    let (target, name) = (text(target)?, text(name)?);
    // SAFETY: NUL-terminated names.
    Errno::check(unsafe { libc::symlinkat(target.as_ptr(), number(directory), name.as_ptr()) }).map(drop)
}

/// unlinkat(2).
///
/// # Errors
/// The kernel's answer.
pub fn remove(directory: impl AsFd, name: &[u8], flags: i32) -> Result<()> {
    let name = text(name)?;
    // SAFETY: a NUL-terminated name and integers.
    Errno::check(unsafe { libc::unlinkat(number(directory), name.as_ptr(), flags) }).map(drop)
}

/// mkdirat(2).
///
/// # Errors
/// The kernel's answer.
pub fn make_directory(directory: impl AsFd, name: &[u8], mode: u32) -> Result<()> {
    let name = text(name)?;
    // SAFETY: a NUL-terminated name and integers.
    Errno::check(unsafe { libc::mkdirat(number(directory), name.as_ptr(), mode) }).map(drop)
}

/// mknodat(2).
///
/// # Errors
/// The kernel's answer.
pub fn make_node(directory: impl AsFd, name: &[u8], mode: u32, device: u64) -> Result<()> {
    let name = text(name)?;
    // SAFETY: a NUL-terminated name and integers.
    Errno::check(unsafe { libc::mknodat(number(directory), name.as_ptr(), mode, device) }).map(drop)
}

/// The file itself, opened again: what was looked at is what is opened.
///
/// # Errors
/// The kernel's answer.
pub fn reopen(file: impl AsFd, flags: i32) -> Result<File> {
    // An absolute path: the directory does not matter.
    let path = itself(&file);
    open(file, path.as_bytes(), flags, 0)
}

/// truncate(2) of an open file.
///
/// # Errors
/// The kernel's answer.
pub fn truncate(file: impl AsFd, length: i64) -> Result<()> {
    let path = text(itself(file).as_bytes())?;
    // SAFETY: a NUL-terminated path and an integer.
    Errno::check(unsafe { libc::truncate(path.as_ptr(), length) }).map(drop)
}

/// chmod(2) of an open file; it may have been opened with `O_PATH`.
///
/// # Errors
/// The kernel's answer.
pub fn change_mode(file: impl AsFd, mode: u32) -> Result<()> {
    let path = text(itself(file).as_bytes())?;
    // SAFETY: a NUL-terminated path and an integer.
    Errno::check(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop)
}

/// chown(2) of an open file, or of a link opened with `O_PATH`.
///
/// # Errors
/// The kernel's answer.
pub fn change_owner(file: impl AsFd, user: u32, group: u32) -> Result<()> {
    // SAFETY: an empty name with AT_EMPTY_PATH, and integers.
    let returned = unsafe { libc::fchownat(number(file), c"".as_ptr(), user, group, libc::AT_EMPTY_PATH) };
    Errno::check(returned).map(drop)
}

/// The path under which the kernel knows an open file now, as seen from our root.
///
/// # Errors
/// The kernel's answer.
pub fn path_of(file: impl AsFd) -> Result<Vec<u8>> {
    let path = itself(&file);
    read_link(file, path.as_bytes())
}

/// Sets the flags of an open file that can be changed after opening (`F_SETFL` of fcntl(2)).
///
/// # Errors
/// The kernel's answer.
pub fn set_flags(file: impl AsFd, flags: i32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::fcntl(number(file), libc::F_SETFL, flags) }).map(drop)
}

fn itself(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", number(file))
}
