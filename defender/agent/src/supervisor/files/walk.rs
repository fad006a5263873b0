//! Following a path as its caller would: from its root, its working directory or its descriptors, link by link.
//!
//! Nothing here can be raced: every step is taken from a directory that is open, and its end is an open directory with a name
//! in it, or an open file. The kernel walks the plain part; we walk where `/proc/self` would mean us, where a link of procfs
//! leads straight to a file, or where the caller has another root.
use std::{
    cell::Cell,
    collections::VecDeque,
    fs::{self, File, Metadata},
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use defender_sys::{Errno, Result, constants as c, names};

use super::{caller::Caller, request::Place};

/// As many as the kernel follows (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;
/// Inode of the root of every procfs.
const PROC_ROOT: u64 = 1;
const STICKY_FOR_ALL: u32 = 0o1002;
const LONGEST_PATH: usize = 4096;

/// A name in an open directory.
#[derive(Debug)]
pub struct Spot {
    /// The directory.
    pub directory: File,
    /// The name; with its trailing slash where the caller wrote one.
    pub name: Vec<u8>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A file that is there, opened without reading or writing, and the directory that it was found in.
    File(File, Option<File>),
    /// A name that is free.
    Free(Spot),
}

impl Spot {
    /// The name without trailing slashes.
    #[must_use]
    pub fn bare_name(&self) -> &[u8] {
        let end = self.name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        &self.name[..end]
    }

    /// The file of this name, links not followed.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub fn file(&self) -> Result<File> {
        names::open(&self.directory, self.bare_name(), c::O_PATH | c::O_NOFOLLOW, 0)
    }
}

/// What the walks of one call share.
pub struct Walk<'a> {
    caller: &'a Caller,
    rules: &'a Rules,
    links: Cell<u32>,
}

/// What this machine does with links.
#[derive(Debug)]
pub struct Rules {
    /// `fs.protected_symlinks` (proc(5)).
    protected_links: bool,
    /// `fs.protected_regular`, and of FIFOs.
    pub protected_files: u32,
    quick: Cell<bool>,
}

impl Rules {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        let number = |name: &str| -> u32 {
            let text = fs::read_to_string(format!("/proc/sys/fs/{name}")).unwrap_or_default();
            text.trim().parse().unwrap_or(1)
        };
        Self {
            protected_links: number("protected_symlinks") != 0,
            protected_files: number("protected_regular"),
            quick: Cell::new(true),
        }
    }
}

impl<'a> Walk<'a> {
    /// Walks for `caller`.
    #[must_use]
    pub fn new(caller: &'a Caller, rules: &'a Rules) -> Self {
        Self { caller, rules, links: Cell::new(0) }
    }

    /// The directory that a path starts from. To be asked with our own rights: procfs would refuse the caller's.
    ///
    /// # Errors
    /// `EBADF` for a descriptor that is not there, `ENOENT` for an empty path.
    pub fn start(&self, place: &Place) -> Result<File> {
        if place.path.first() == Some(&b'/') {
            return Ok(self.caller.root.try_clone()?);
        }
        let own = match place.directory {
            c::AT_FDCWD => "cwd".to_owned(),
            descriptor => format!("fd/{descriptor}"),
        };
        match self.caller.open_own(&own) {
            Err(Errno::ENOENT) if place.directory != c::AT_FDCWD => Err(Errno::EBADF),
            other => other,
        }
    }

    /// The directory and name that a path ends in; a link there is not followed.
    ///
    /// # Errors
    /// As the kernel's own walk.
    pub fn spot(&self, start: &File, path: &[u8]) -> Result<Spot> {
        let path = checked(path)?;
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let begin = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let directory = self.directory(start, &path[..begin])?;
        let name = if end == 0 { b".".to_vec() } else { path[begin..].to_vec() };
        Ok(Spot { directory, name })
    }

    /// The file that a path leads to, or the free name that it ends in; a link there is followed if `follow` says so.
    ///
    /// # Errors
    /// As the kernel's own walk.
    pub fn find(&self, start: &File, path: &[u8], follow: bool) -> Result<Found> {
        let mut spot = self.spot(start, path)?;
        loop {
            let slash = spot.name.last() == Some(&b'/');
            let file = match spot.file() {
                Ok(file) => file,
                Err(Errno::ENOENT) => return Ok(Found::Free(spot)),
                Err(errno) => return Err(errno),
            };
            let status = file.metadata()?;
            if !status.is_symlink() || !(follow || slash) {
                if slash && !status.is_dir() {
                    return Err(Errno::ENOTDIR);
                }
                return Ok(Found::File(file, Some(spot.directory)));
            }
            match self.follow(&spot.directory, spot.bare_name(), &file, &status)? {
                Followed::Straight(file) => return Ok(Found::File(file, None)),
                Followed::Text(mut text) => {
                    if slash {
                        text.push(b'/');
                    }
                    let root = text.first() == Some(&b'/');
                    spot = self.spot(if root { &self.caller.root } else { &spot.directory }, &text)?;
                }
            }
        }
    }

    /// Walks to a directory.
    fn directory(&self, start: &File, path: &[u8]) -> Result<File> {
        let relative = if path.first() == Some(&b'/') { path.trim_ascii_start_of(b'/') } else { path };
        if relative.is_empty() {
            return Ok(start.try_clone()?);
        }
        if self.caller.same_root && self.rules.quick.get() {
            match names::open_without_magic(start, relative, c::O_PATH | c::O_DIRECTORY) {
                // Where `/proc/self` may have led there it is to be looked at closely.
                Ok(directory) if !names::is_procfs(&directory)? => return Ok(directory),
                Err(Errno::ENOSYS | Errno::EPERM) => self.rules.quick.set(false),
                Ok(_) | Err(Errno::ELOOP | Errno::EAGAIN | Errno::EXDEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.step_by_step(start, relative)
    }

    fn step_by_step(&self, start: &File, path: &[u8]) -> Result<File> {
        let mut current = start.try_clone()?;
        let mut rest: VecDeque<Vec<u8>> = VecDeque::new();
        push_front(&mut rest, path);
        while let Some(name) = rest.pop_front() {
            match name.as_slice() {
                b"." => continue,
                b".." if same(&current, &self.caller.root)? => continue,
                b".." => {
                    current = names::open(&current, b"..", c::O_PATH | c::O_DIRECTORY, 0)?;
                    continue;
                }
                _ => {}
            }
            let next = names::open(&current, &name, c::O_PATH | c::O_NOFOLLOW, 0)?;
            let status = next.metadata()?;
            if status.is_symlink() {
                match self.follow(&current, &name, &next, &status)? {
                    Followed::Straight(file) => current = file,
                    Followed::Text(text) => {
                        if text.first() == Some(&b'/') {
                            current = self.caller.root.try_clone()?;
                        }
                        push_front(&mut rest, &text);
                    }
                }
            } else if status.is_dir() {
                current = next;
            } else {
                return Err(Errno::ENOTDIR);
            }
            if !current.metadata()?.is_dir() {
                return Err(Errno::ENOTDIR);
            }
        }
        Ok(current)
    }

    fn follow(&self, directory: &File, name: &[u8], link: &File, status: &Metadata) -> Result<Followed> {
        self.links.set(self.links.get() + 1);
        if self.links.get() > MOST_LINKS {
            return Err(Errno::ELOOP);
        }
        if names::is_procfs(link)? {
            return self.follow_in_procfs(directory, name, link);
        }
        let parent = directory.metadata()?;
        let theirs = self.caller.credentials.user;
        let guarded = self.rules.protected_links && parent.mode() & STICKY_FOR_ALL == STICKY_FOR_ALL;
        if guarded && status.uid() != theirs && status.uid() != parent.uid() {
            return Err(Errno::EACCES);
        }
        names::read_link(link, b"").map(Followed::Text)
    }

    fn follow_in_procfs(&self, directory: &File, name: &[u8], link: &File) -> Result<Followed> {
        if !is_proc_root(directory)? {
            if is_of_the_defender(directory)? {
                return Err(Errno::EACCES);
            }
            return names::open(directory, name, c::O_PATH, 0).map(Followed::Straight);
        }
        let (process, thread) = (self.caller.process, self.caller.thread);
        Ok(Followed::Text(match name {
            b"self" => process.to_string().into_bytes(),
            b"thread-self" => format!("{process}/task/{thread}").into_bytes(),
            _ => names::read_link(link, b"")?,
        }))
    }
}

enum Followed {
    /// What the link says.
    Text(Vec<u8>),
    /// The file itself: a link of procfs has no path.
    Straight(File),
}

fn checked(path: &[u8]) -> Result<&[u8]> {
    match path.len() {
        0 => Err(Errno::ENOENT),
        LONGEST_PATH.. => Err(Errno::ENAMETOOLONG),
        _ => Ok(path),
    }
}

fn push_front(rest: &mut VecDeque<Vec<u8>>, path: &[u8]) {
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    for name in names.rev() {
        rest.push_front(name.to_vec());
    }
}

fn same(one: &File, other: &File) -> Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

fn is_proc_root(directory: &File) -> Result<bool> {
    Ok(directory.metadata()?.ino() == PROC_ROOT && names::is_procfs(directory)?)
}

/// True for a directory of ours in procfs. Its links are closed to others; to the kernel it would be we who ask.
fn is_of_the_defender(directory: &File) -> Result<bool> {
    let path = names::path_of(directory)?;
    let is_number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let id = path.split(|&byte| byte == b'/').find(is_number).map(String::from_utf8_lossy);
    Ok(id.is_none_or(|id| fs::metadata(format!("/proc/self/task/{id}")).is_ok()))
}

/// True for what is neither a file nor a directory nor a link.
#[must_use]
pub fn is_special(status: &Metadata) -> bool {
    let kind = status.file_type();
    kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
}

trait TrimStart {
    fn trim_ascii_start_of(&self, byte: u8) -> &[u8];
}

impl TrimStart for [u8] {
    fn trim_ascii_start_of(&self, byte: u8) -> &[u8] {
        let start = self.iter().position(|&other| other != byte).unwrap_or(self.len());
        &self[start..]
    }
}

#[cfg(test)]
mod tests;
