//! Error numbers as values.
use std::{ffi::c_long, fmt, io};

/// An error number of the kernel (errno(3)).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// Result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;

macro_rules! errors {
    ($($name:ident),*) => { $(#[doc = concat!("`", stringify!($name), "` of errno(3).")] pub const $name: Self = Self(libc::$name);)* };
}

impl Errno {
    errors!(
        EACCES,
        EAGAIN,
        EALREADY,
        EBADF,
        ECHILD,
        ECONNREFUSED,
        ECONNRESET,
        EFAULT,
        EINPROGRESS,
        EINTR,
        EEXIST,
        EINVAL,
        EISDIR,
        ELOOP,
        EMFILE,
        ENOSYS,
        ENXIO,
        EROFS,
        EXDEV,
        ENAMETOOLONG,
        EISCONN,
        EMSGSIZE,
        ENOENT,
        ENOTDIR,
        EOPNOTSUPP,
        EPERM,
        EPROTONOSUPPORT,
        ESRCH
    );

    /// Never seen by a program: the kernel makes the call anew after a handler with `SA_RESTART`, and `EINTR` after any other
    /// (`include/linux/errno.h`). Only for callers that have a signal to handle.
    pub const ERESTARTSYS: Self = Self(512);

    /// The calling thread's last error.
    #[must_use]
    pub fn last() -> Self {
        Self(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// Result of a call that returns -1 and sets errno.
    ///
    /// # Errors
    /// The error number, when `returned` is negative.
    pub fn check<T: PartialOrd + Default>(returned: T) -> Result<T> {
        if returned < T::default() { Err(Self::last()) } else { Ok(returned) }
    }

    pub(crate) fn check_descriptor(returned: c_long) -> Result<i32> {
        Self::check(returned).map(|descriptor| descriptor as i32)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(formatter)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}
