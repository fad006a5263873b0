//! What a file is, beyond what the standard library tells: its file system and its capabilities.
use std::{
    ffi::CStr,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd},
};

use crate::{Errno, Result};

/// Magic numbers of statfs(2) for file systems that live in memory.
const IN_MEMORY: [u64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

/// True when a file lies on tmpfs, ramfs or hugetlbfs (statfs(2)). Works on an `O_PATH` descriptor.
///
/// # Errors
/// The kernel's answer.
pub fn is_in_memory(file: BorrowedFd<'_>) -> Result<bool> {
    let mut status = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel fills one `statfs`.
    Errno::check(unsafe { libc::fstatfs(file.as_raw_fd(), status.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the structure is filled.
    let kind = unsafe { status.assume_init() }.f_type as u64 & 0xffff_ffff;
    Ok(IN_MEMORY.contains(&kind))
}

/// True when the file at `path` carries capabilities (`security.capability`, capabilities(7)).
#[must_use]
pub fn has_capabilities(path: &CStr) -> bool {
    // SAFETY: both names are NUL-terminated; without a buffer only the size is asked for.
    let size = unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    size > 0
}

/// Seconds and nanoseconds of the clock that file systems stamp files with (`CLOCK_REALTIME_COARSE`, `clock_gettime(2)`).
#[must_use]
pub fn stamping_clock() -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid; this clock exists since 2.6.32, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) };
    (time.tv_sec, time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn memory_and_disk_are_told_apart() {
        assert_eq!(Ok(true), is_in_memory(File::open("/dev/shm").unwrap().as_fd()));
        assert_eq!(Ok(false), is_in_memory(File::open("/proc/self").unwrap().as_fd()));
        assert!(!has_capabilities(c"/proc/self/exe"));
    }

    #[test]
    fn files_are_stamped_by_the_clock() {
        use std::os::unix::fs::MetadataExt;
        let path = std::env::temp_dir().join(format!("stamp-{}", std::process::id()));

        let before = stamping_clock();
        std::fs::write(&path, "x").unwrap();
        let status = std::fs::metadata(&path).unwrap();

        assert!((status.ctime(), status.ctime_nsec()) >= before);
        std::fs::remove_file(path).unwrap();
    }
}
