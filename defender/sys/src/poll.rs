//! Waiting for descriptors (ppoll(2)).
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use crate::{Errno, Result};

/// What to wait for on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Readable,
    /// Room to write, or an end of connecting.
    Writable,
}

/// Waits until one of the descriptors is ready, or the time is over.
///
/// Gives one truth value per descriptor: true when it is ready, broken or hung up.
///
/// # Errors
/// `EINTR` for a signal.
pub fn wait(descriptors: &[(BorrowedFd<'_>, Interest)], patience: Option<Duration>) -> Result<Vec<bool>> {
    let mut entries: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|(descriptor, interest)| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: if *interest == Interest::Readable { libc::POLLIN } else { libc::POLLOUT },
            revents: 0,
        })
        .collect();
    let time = patience.map(|patience| libc::timespec {
        tv_sec: patience.as_secs() as libc::time_t,
        tv_nsec: patience.subsec_nanos().into(),
    });
    let time_pointer = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the entries and their count describe each other; the time is null or valid; no mask is given.
    Errno::check(unsafe {
        libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, time_pointer, std::ptr::null())
    })?;
    Ok(entries.iter().map(|entry| entry.revents != 0).collect())
}
