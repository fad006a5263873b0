//! The system calls that write to files, read from the caller's registers and memory once, as values.
use defender_sys::{Result, constants as c, file_calls::FCHMODAT2, notify::Notification};

use crate::supervisor::process::path_at;

/// A path as a call gives it: relative to a directory unless it is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Descriptor of the directory, or `AT_FDCWD`.
    pub directory: i32,
    /// The path.
    pub path: Vec<u8>,
}

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// open(2) for more than reading.
    Open { at: Place, flags: i32, mode: u32 },
    /// rename(2).
    Rename { from: Place, to: Place, flags: u32 },
    /// link(2).
    Link { from: Place, to: Place, flags: i32 },
    /// symlink(2); what it says is not followed.
    Symlink { target: Vec<u8>, at: Place },
    /// unlink(2) and rmdir(2).
    Remove { at: Place, flags: i32 },
    /// mkdir(2).
    MakeDirectory { at: Place, mode: u32 },
    /// mknod(2).
    MakeNode { at: Place, mode: u32, device: u64 },
    /// truncate(2).
    Truncate { at: Place, length: i64 },
    /// chmod(2).
    Mode { at: Place, mode: u32, flags: i32 },
    /// chown(2).
    Owner { at: Place, user: u32, group: u32, flags: i32 },
}

impl Request {
    /// Reads a notified call; none when it is none of these.
    ///
    /// # Errors
    /// `EFAULT` and `ENAMETOOLONG` as the call itself; `EPERM` when the caller's memory is closed to us.
    pub fn read(call: &Notification) -> Result<Option<Self>> {
        let number = i64::from(call.number);
        match Self::read_modern(call, number)? {
            Some(request) => Ok(Some(request)),
            None => Self::read_old(call, number),
        }
    }

    fn read_modern(call: &Notification, number: i64) -> Result<Option<Self>> {
        let a = &call.arguments;
        let at = |index: usize| place(call, a[index] as i32, a[index + 1]);
        Ok(Some(match number {
            c::SYS_openat => Self::Open { at: at(0)?, flags: a[2] as i32, mode: a[3] as u32 },
            c::SYS_renameat => Self::Rename { from: at(0)?, to: at(2)?, flags: 0 },
            c::SYS_renameat2 => Self::Rename { from: at(0)?, to: at(2)?, flags: a[4] as u32 },
            c::SYS_linkat => Self::Link { from: at(0)?, to: at(2)?, flags: a[4] as i32 },
            c::SYS_symlinkat => Self::Symlink { target: path_at(call.thread, a[0])?, at: at(1)? },
            c::SYS_unlinkat => Self::Remove { at: at(0)?, flags: a[2] as i32 },
            c::SYS_mkdirat => Self::MakeDirectory { at: at(0)?, mode: a[2] as u32 },
            c::SYS_mknodat => Self::MakeNode { at: at(0)?, mode: a[2] as u32, device: a[3] },
            c::SYS_truncate => Self::Truncate { at: place(call, c::AT_FDCWD, a[0])?, length: a[1] as i64 },
            c::SYS_fchmod => Self::Mode { at: opened(a[0]), mode: a[1] as u32, flags: c::AT_EMPTY_PATH },
            c::SYS_fchmodat => Self::Mode { at: at(0)?, mode: a[2] as u32, flags: 0 },
            FCHMODAT2 => Self::Mode { at: at(0)?, mode: a[2] as u32, flags: a[3] as i32 },
            c::SYS_fchown => {
                Self::Owner { at: opened(a[0]), user: a[1] as u32, group: a[2] as u32, flags: c::AT_EMPTY_PATH }
            }
            c::SYS_fchownat => Self::Owner { at: at(0)?, user: a[2] as u32, group: a[3] as u32, flags: a[4] as i32 },
            _ => return Ok(None),
        }))
    }

    /// The calls that newer machines do not have any more.
    #[cfg(target_arch = "x86_64")]
    fn read_old(call: &Notification, number: i64) -> Result<Option<Self>> {
        let a = &call.arguments;
        let at = |index: usize| place(call, c::AT_FDCWD, a[index]);
        Ok(Some(match number {
            c::SYS_open => Self::Open { at: at(0)?, flags: a[1] as i32, mode: a[2] as u32 },
            c::SYS_creat => Self::Open { at: at(0)?, flags: c::O_CREAT | c::O_WRONLY | c::O_TRUNC, mode: a[1] as u32 },
            c::SYS_rename => Self::Rename { from: at(0)?, to: at(1)?, flags: 0 },
            c::SYS_link => Self::Link { from: at(0)?, to: at(1)?, flags: 0 },
            c::SYS_symlink => Self::Symlink { target: path_at(call.thread, a[0])?, at: at(1)? },
            c::SYS_unlink => Self::Remove { at: at(0)?, flags: 0 },
            c::SYS_rmdir => Self::Remove { at: at(0)?, flags: c::AT_REMOVEDIR },
            c::SYS_mkdir => Self::MakeDirectory { at: at(0)?, mode: a[1] as u32 },
            c::SYS_mknod => Self::MakeNode { at: at(0)?, mode: a[1] as u32, device: a[2] },
            c::SYS_chmod => Self::Mode { at: at(0)?, mode: a[1] as u32, flags: 0 },
            c::SYS_chown => Self::Owner { at: at(0)?, user: a[1] as u32, group: a[2] as u32, flags: 0 },
            c::SYS_lchown => {
                Self::Owner { at: at(0)?, user: a[1] as u32, group: a[2] as u32, flags: c::AT_SYMLINK_NOFOLLOW }
            }
            _ => return Ok(None),
        }))
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[allow(clippy::unnecessary_wraps)] // the same signature as where there are such calls
    fn read_old(_: &Notification, _: i64) -> Result<Option<Self>> {
        Ok(None)
    }
}

fn place(call: &Notification, directory: i32, address: u64) -> Result<Place> {
    Ok(Place { directory, path: path_at(call.thread, address)? })
}

fn opened(descriptor: u64) -> Place {
    Place { directory: descriptor as i32, path: Vec::new() }
}
