//! Looking at processes of other users without `CAP_SYS_PTRACE`: workers that gave up root, say.
//!
//! The kernel lets a thread look at a process whose real, effective and saved ids are all its own, that is dumpable and that has
//! no capability that the thread lacks (ptrace(2), "access mode checking"). So the thread of ours that has to look takes on
//! the ids that are compared, for that moment, and keeps its effective ids and its capabilities. A process that made itself
//! undumpable stays closed.
use std::{fs, io};

use defender_sys::{Errno, credentials::Likeness, memory};

use super::{privilege, process};

const NOWHERE: u64 = 1;
/// Processes that change their ids can then be looked at by anybody of their user, and for a moment so could we.
const OPENS_UP: &str = "/proc/sys/fs/suid_dumpable";

/// How far our own rights go.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    everybody: bool,
    nobody_else: bool,
}

impl Reach {
    /// That of this process.
    #[must_use]
    pub fn own() -> Self {
        Self { everybody: privilege::may_look_at_everybody(), nobody_else: opens_up() }
    }

    /// True when nobody is closed to us.
    #[must_use]
    pub fn is_everybody(self) -> bool {
        self.everybody
    }

    /// Lets this thread of ours look at a thread that is closed to it, as long as what is returned lives. None when that is not
    /// needed, or not allowed to us.
    #[must_use]
    pub fn toward(self, thread: u32) -> Option<Likeness> {
        if self.everybody || self.nobody_else || !is_closed(thread) { None } else { like(thread) }
    }
}

/// True when we may not look at the memory of a thread. Whether we may is asked before whether there is anything.
#[must_use]
pub fn is_closed(thread: u32) -> bool {
    matches!(memory::read(thread, NOWHERE, &mut [0]), Err(Errno::EPERM | Errno::EACCES))
}

/// Looks in a directory of `/proc`: with the rights that we have now, and where these do not reach the process, as its user.
///
/// # Errors
/// What `look` says.
pub fn looking<T>(process: u32, look: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match look() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !opens_up() => {
            let _likeness = like(process).ok_or(error)?;
            look()
        }
        looked => looked,
    }
}

fn like(thread: u32) -> Option<Likeness> {
    let (user, group) = process::owner(thread)?;
    Likeness::take_on(user, group).ok()
}

fn opens_up() -> bool {
    fs::read_to_string(OPENS_UP).is_ok_and(|value| value.trim() == "1")
}
