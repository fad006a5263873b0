//! Waiting for many sockets at once, at a cost that does not grow with those that are quiet (epoll(7)).
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Errno, Result};

const AT_ONCE: usize = 64;

/// A set of descriptors, each with a number of its owner's choice. It is readable itself while one of them is ready.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Makes an empty set.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn new() -> Result<Self> {
        // SAFETY: integers only.
        let descriptor = Errno::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: fresh from the kernel, owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Waits from now on for room to write, or an error, on `socket`.
    ///
    /// # Errors
    /// `ENOSPC` when the user may not wait for more.
    pub fn add_writable(&self, socket: BorrowedFd<'_>, number: u64) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLOUT as u32, u64: number };
        // SAFETY: the event is valid for the call, and the kernel copies it.
        Errno::check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Waits for it no more. Closing a descriptor is not enough when the open file has others.
    pub fn remove(&self, socket: BorrowedFd<'_>) {
        // SAFETY: integers, and a null pointer that the kernel does not look at. It cannot fail for a member.
        unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, socket.as_raw_fd(), std::ptr::null_mut());
        }
    }

    /// The numbers of those that are ready now, some of them if there are many.
    #[must_use]
    pub fn ready(&self) -> Vec<u64> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        // SAFETY: the buffer holds as many events as are asked for; it does not wait.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), AT_ONCE as i32, 0) };
        events.iter().take(count.max(0) as usize).map(|event| event.u64).collect()
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn says_who_is_ready_until_it_is_removed() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let set = Epoll::new().unwrap();
        assert_eq!(Vec::<u64>::new(), set.ready());

        set.add_writable(socket.as_fd(), 7).unwrap();
        assert_eq!(vec![7], set.ready());

        set.remove(socket.as_fd());
        assert_eq!(Vec::<u64>::new(), set.ready());
    }
}
