//! The system calls that write to files or to their names. Where a machine has no call of its own for something, its number
//! is not there (arm64 has the newer half only).

/// Flags of open(2) that ask for more than reading.
pub const WRITING: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;

/// `fchmodat2` (since 6.6); its number is the same on all machines.
pub const FCHMODAT2: i64 = 452;

/// Calls that open, and which of their arguments are the flags.
#[cfg(target_arch = "x86_64")]
pub const OPENING: &[(i64, u32)] = &[(libc::SYS_openat, 2), (libc::SYS_open, 1)];
/// Calls that open, and which of their arguments are the flags.
#[cfg(not(target_arch = "x86_64"))]
pub const OPENING: &[(i64, u32)] = &[(libc::SYS_openat, 2)];

/// Calls that change a file, or a name, whatever their arguments. Those that work on a descriptor which had to be opened for
/// writing (`ftruncate`, `write`, `mmap`) are not among them.
#[cfg(target_arch = "x86_64")]
pub const CHANGING: &[i64] = &[
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_truncate,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];
/// Calls that change a file, or a name, whatever their arguments. Those that work on a descriptor which had to be opened for
/// writing (`ftruncate`, `write`, `mmap`) are not among them.
#[cfg(not(target_arch = "x86_64"))]
pub const CHANGING: &[i64] = &[
    libc::SYS_truncate,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];

/// True for a call that a filter which watches files asks about.
#[must_use]
pub fn is_one(number: i64) -> bool {
    OPENING.iter().any(|&(opening, _)| opening == number) || CHANGING.contains(&number)
}
