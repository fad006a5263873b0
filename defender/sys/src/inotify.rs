//! Word of what happens in directories (inotify(7)).
use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use crate::{Errno, Result};

const HEADER: usize = 16;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The watch that it happened in; -1 when some were lost.
    pub watch: i32,
    /// Name of the file in the watched directory.
    pub name: Vec<u8>,
    /// True when nothing more will come from this watch: its directory is gone.
    pub last: bool,
}

/// A queue of happenings.
#[derive(Debug)]
pub struct Inotify(OwnedFd);

impl Inotify {
    /// Makes one that watches nothing yet.
    ///
    /// # Errors
    /// `EMFILE` when the user has too many.
    pub fn new() -> Result<Self> {
        // SAFETY: integers only.
        let descriptor = Errno::check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: fresh from the kernel, owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Watches a directory for files that were written and closed, that came in by a new name, or got another mode. A directory
    /// that is watched already keeps its number.
    ///
    /// # Errors
    /// `ENOSPC` when there are too many watches, `ENOTDIR` for a file.
    pub fn watch(&self, directory: &Path) -> Result<i32> {
        let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))?;
        let events = libc::IN_CLOSE_WRITE | libc::IN_MOVED_TO | libc::IN_ATTRIB | libc::IN_CREATE | libc::IN_ONLYDIR;
        // SAFETY: a NUL-terminated path and integers.
        Errno::check(unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), events) })
    }

    /// Watches a directory no more.
    pub fn forget(&self, watch: i32) {
        // SAFETY: integers only. One that is gone with its directory is forgotten already.
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch) };
    }

    /// What happened since last asked; nothing when there is nothing.
    #[must_use]
    pub fn take(&self) -> Vec<Happened> {
        let mut buffer = vec![0; 64 << 10];
        // SAFETY: the buffer is as long as is said.
        let length = unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        buffer.truncate(usize::try_from(length).unwrap_or_default());
        parse(&buffer)
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads a row of `struct inotify_event`, whatever the bytes are.
fn parse(mut bytes: &[u8]) -> Vec<Happened> {
    let mut all = Vec::new();
    while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
        let word = |at: usize| header[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let Some((name, rest)) = rest.split_at_checked(word(12) as usize) else { break };
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let last = word(4) & libc::IN_IGNORED != 0;
        all.push(Happened { watch: word(0) as i32, name: name[..end].to_vec(), last });
        bytes = rest;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_files_are_told() {
        let folder = std::env::temp_dir().join(format!("inotify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let queue = Inotify::new().unwrap();
        let watch = queue.watch(&folder).unwrap();

        std::fs::write(folder.join("file"), "x").unwrap();

        assert!(queue.take().contains(&Happened { watch, name: b"file".to_vec(), last: false }));
        assert_eq!(Vec::<Happened>::new(), queue.take());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn broken_rows_end_the_reading() {
        assert_eq!(Vec::<Happened>::new(), parse(&[1; 40]));
        assert_eq!(Vec::<Happened>::new(), parse(&[0; 7]));
    }
}
