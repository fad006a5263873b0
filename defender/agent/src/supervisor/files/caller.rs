//! Who makes a call: rights to files, root directory, ids.
use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    sync::Arc,
};

use defender_sys::{
    Errno, Result, constants,
    credentials::{self, Credentials},
    names,
};

const LARGEST_STATUS: usize = 4 << 10;

/// The thread that makes a call. It waits for our answer, so nothing of this changes meanwhile.
#[derive(Debug)]
pub struct Caller {
    /// Its thread id.
    pub thread: u32,
    /// Its process id.
    pub process: u32,
    /// Its effective user id.
    pub user: u32,
    /// Its rights to files.
    pub credentials: Credentials,
    /// True when a signal waits that it handles.
    pub signal_waits: bool,
    /// Its root directory.
    pub root: File,
    /// True when its root directory is ours, in the same tree of mounts.
    pub same_root: bool,
    ours: Arc<Credentials>,
}

impl Caller {
    /// Finds out about a thread.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, `EACCES` when we may not look.
    pub fn of(thread: u32, own_root: &OwnRoot) -> Result<Self> {
        let text = read_status(&thread.to_string())?;
        let mut caller = parse(&text).ok_or(Errno::ESRCH)?;
        // Capabilities in another user namespace say nothing in ours.
        if caller.2.capabilities != 0 && !own_root.same_users(thread) {
            caller.2.capabilities = 0;
        }
        let root = looking(thread, &own_root.ours, || open_path(&format!("/proc/{thread}/root")))?;
        let same_root = own_root.place == place(&root)?;
        let (process, user, credentials, signal_waits) = caller;
        Ok(Self { thread, process, user, credentials, signal_waits, root, same_root, ours: own_root.ours.clone() })
    }

    /// Opens what a link of the caller's directory in procfs leads to.
    ///
    /// # Errors
    /// `EACCES` when we may not look; the kernel's answer.
    pub fn open_own(&self, name: &str) -> Result<File> {
        looking(self.thread, &self.ours, || open_path(&format!("/proc/{}/{name}", self.thread)))
    }
}

/// Looks at a thread: with our own rights, and where these do not reach it, as the user and group that it runs as.
///
/// Without `CAP_SYS_PTRACE` the kernel lets only the same user look at a process (ptrace(2), "access mode checking"), and
/// what counts for files of procfs is the file system user. A process whose ids differ among themselves, or that is not
/// dumpable, stays closed.
///
/// # Errors
/// `EPERM` or `EACCES` when we may not look either way; what `look` says.
pub fn looking<T>(thread: u32, ours: &Credentials, look: impl Fn() -> Result<T>) -> Result<T> {
    match look() {
        Err(errno) if is_closed(errno) => {
            let (_, _, theirs, _) = parse(&read_status(&thread.to_string())?).ok_or(Errno::ESRCH)?;
            let wanted = Credentials { user: theirs.user, group: theirs.group, ..ours.clone() };
            credentials::with(&wanted, ours, look)?
        }
        looked => looked,
    }
}

/// True for what the kernel says when we may not look.
#[must_use]
pub fn is_closed(errno: Errno) -> bool {
    errno == Errno::EPERM || errno == Errno::EACCES
}

/// Our own root directory and user namespace, to compare others with, and our rights.
#[derive(Debug)]
pub struct OwnRoot {
    place: (u64, u64, u64),
    users: Option<u64>,
    ours: Arc<Credentials>,
}

impl OwnRoot {
    /// Looks at our own.
    ///
    /// # Errors
    /// Not in practice.
    pub fn find() -> Result<Self> {
        Ok(Self { place: place(&open_path("/")?)?, users: users_of("self").ok(), ours: Arc::new(own_credentials()?) })
    }

    /// The mount of our root directory.
    #[must_use]
    pub fn mount(&self) -> u64 {
        self.place.2
    }

    fn same_users(&self, thread: u32) -> bool {
        let theirs = looking(thread, &self.ours, || users_of(&thread.to_string()));
        self.users.is_some() && self.users == theirs.ok()
    }
}

fn users_of(process: &str) -> Result<u64> {
    Ok(fs::metadata(format!("/proc/{process}/ns/user")).map(|status| status.ino())?)
}

/// Which directory it is, and in which mount. Without the mount (before Linux 5.8) no root is known to be ours.
fn place(root: &File) -> Result<(u64, u64, u64)> {
    let status = root.metadata()?;
    Ok((status.dev(), status.ino(), names::mount_of(root)))
}

/// Opens a path of ours without reading or writing.
///
/// # Errors
/// The kernel's answer.
pub fn open_path(path: &str) -> Result<File> {
    Ok(OpenOptions::new().read(true).custom_flags(constants::O_PATH).open(path)?)
}

/// The rights of the calling thread of our own.
///
/// # Errors
/// Not in practice.
pub fn own_credentials() -> Result<Credentials> {
    let text = read_status("thread-self")?;
    parse(&text).map(|(_, _, credentials, _)| credentials).ok_or(Errno::ESRCH)
}

/// One read gives all of it: the file is smaller than the buffer, unless a process is in very many groups.
fn read_status(process: &str) -> Result<String> {
    let mut bytes = vec![0; LARGEST_STATUS];
    let length = File::open(format!("/proc/{process}/status"))?.read(&mut bytes)?;
    if length == LARGEST_STATUS {
        return Ok(fs::read_to_string(format!("/proc/{process}/status"))?);
    }
    bytes.truncate(length);
    String::from_utf8(bytes).or_else(|error| Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Process, effective user, rights, and whether a signal waits.
fn parse(text: &str) -> Option<(u32, u32, Credentials, bool)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = |name: &str, index: usize| field(name)?.split_whitespace().nth(index)?.parse::<u32>().ok();
    let mask = |name: &str, radix: u32| u64::from_str_radix(field(name)?.trim(), radix).ok();
    let signals = |name| mask(name, 16).unwrap_or_default();
    let credentials = Credentials {
        user: number("Uid", 3)?,
        group: number("Gid", 3)?,
        groups: field("Groups")?.split_whitespace().filter_map(|group| group.parse().ok()).collect(),
        capabilities: mask("CapEff", 16)?,
        permitted: mask("CapPrm", 16)?,
        inheritable: mask("CapInh", 16)?,
        mask: mask("Umask", 8).unwrap_or(0o022) as u32,
    };
    let waits = (signals("SigPnd") | signals("ShdPnd")) & signals("SigCgt") & !signals("SigBlk") != 0;
    Some((number("Tgid", 0)?, number("Uid", 1)?, credentials, waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_by_field() {
        let text = "Umask:\t0027\nTgid:\t12\nPPid:\t3\nUid:\t0\t33\t0\t34\nGid:\t1\t2\t3\t4\nGroups:\t4 24 \nSigPnd:\t0\n\
                    ShdPnd:\t4000\nSigBlk:\t0\nSigCgt:\t4000\nCapInh:\t1\nCapPrm:\t2\nCapEff:\ta80425fb\n";
        let credentials = Credentials {
            user: 34,
            group: 4,
            groups: vec![4, 24],
            capabilities: 0xa804_25fb,
            permitted: 2,
            inheritable: 1,
            mask: 0o027,
        };

        assert_eq!(Some((12, 33, credentials, true)), parse(text));
        assert_eq!(None, parse("nonsense"));
    }

    #[test]
    fn our_own_root_is_ours() {
        let own = OwnRoot::find().unwrap();

        assert!(Caller::of(std::process::id(), &own).unwrap().same_root);
    }
}
