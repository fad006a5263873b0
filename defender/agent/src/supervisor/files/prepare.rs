//! What a request comes to: the files that it is about, for the judge, and the deed itself, to be done on open directories.
use std::{
    cell::Cell,
    fs::{File, Metadata},
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use defender_core::FileOperation;
use defender_sys::{Errno, Result, constants as c, names};

use super::{
    caller::Caller,
    request::{Place, Request},
    terminal,
    walk::{Found, Rules, Spot, Walk, is_special},
};

const STICKY_FOR_ALL: u32 = 0o1002;
const STICKY_FOR_GROUP: u32 = 0o1020;

/// A file that a request is about.
#[derive(Debug)]
pub struct Subject {
    /// What is done to it.
    pub operation: FileOperation,
    /// Its path, links followed, as seen from our root.
    pub path: Vec<u8>,
    /// The file, where it is there already.
    pub file: Option<File>,
}

/// How a request ends.
#[derive(Debug)]
pub enum Outcome {
    /// The call succeeds with 0.
    Done,
    /// The caller gets this file.
    Opened(File),
    /// It cannot be opened yet, and the caller has not asked to be told so: these flags are to be tried again.
    NotYet(File, i32),
}

/// A request whose paths have been walked.
pub struct Prepared<'a> {
    /// What it is about; nothing for what has no path, or no content.
    pub subjects: Vec<Subject>,
    /// Does it.
    pub act: Box<dyn FnOnce() -> Result<Outcome> + 'a>,
}

/// Walks the paths of requests.
pub struct Preparation<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What this machine does with links.
    pub rules: &'a Rules,
    /// Runs a walk with the caller's rights, or with ours where nothing is done on its behalf.
    pub rights: &'a dyn Fn(&mut dyn FnMut()) -> Result<()>,
}

impl<'a> Preparation<'a> {
    /// Walks the paths of `request`.
    ///
    /// # Errors
    /// What the call itself would say.
    pub fn prepare(&self, request: &'a Request) -> Result<Prepared<'a>> {
        match request {
            Request::Open { at, flags, mode } => self.open(at, *flags, *mode),
            Request::Rename { from, to, flags } => self.rename(from, to, *flags),
            Request::Link { from, to, flags } => self.link(from, to, *flags),
            Request::Symlink { target, at } => {
                self.make(at, move |spot| names::symlink(target, &spot.directory, &spot.name))
            }
            Request::MakeDirectory { at, mode } => {
                self.make(at, move |spot| names::make_directory(&spot.directory, &spot.name, *mode))
            }
            Request::MakeNode { at, mode, device } => {
                self.make(at, move |spot| names::make_node(&spot.directory, &spot.name, *mode, *device))
            }
            Request::Remove { at, flags } => self.remove(at, *flags),
            Request::Truncate { at, length } => {
                self.change(FileOperation::Write, at, 0, move |file| names::truncate(file, *length))
            }
            Request::Mode { at, mode, flags } => self.change(FileOperation::Attributes, at, *flags, move |file| {
                // A link has no mode of its own, and the file that it leads to is not meant.
                if file.metadata()?.is_symlink() { Err(Errno::EOPNOTSUPP) } else { names::change_mode(file, *mode) }
            }),
            Request::Owner { at, user, group, flags } => {
                self.change(FileOperation::Attributes, at, *flags, move |file| names::change_owner(file, *user, *group))
            }
        }
    }

    fn open(&self, at: &Place, flags: i32, mode: u32) -> Result<Prepared<'a>> {
        let creates = flags & c::O_CREAT != 0;
        let exclusive = creates && flags & c::O_EXCL != 0;
        if creates && at.path.last() == Some(&b'/') {
            return self.spot(at).and(Err(Errno::EISDIR));
        }
        match self.find(at, flags & c::O_NOFOLLOW == 0 && !exclusive, false)? {
            Found::File(..) if exclusive => Err(Errno::EEXIST),
            Found::File(file, directory) => {
                let status = file.metadata()?;
                if status.is_symlink() {
                    return Err(Errno::ELOOP);
                }
                if creates {
                    self.may_create_over(&status, directory.as_ref())?;
                }
                self.only_own_procfs(&file)?;
                let file = terminal::meant(file, self.caller)?;
                let subjects = subject(FileOperation::Write, &file, &status)?;
                let flags = flags & !(c::O_NOFOLLOW | if creates { c::O_CREAT | c::O_EXCL } else { 0 });
                Ok(Prepared { subjects, act: Box::new(move || open_again(file, flags)) })
            }
            Found::Free(_) if !creates => Err(Errno::ENOENT),
            Found::Free(spot) => {
                let subjects = vec![free_subject(&spot)?];
                // Should it be there by now, it has to be looked at again.
                let flags = flags | c::O_EXCL | c::O_NOFOLLOW;
                let act = move || names::open(&spot.directory, &spot.name, flags, mode & 0o7777).map(Outcome::Opened);
                Ok(Prepared { subjects, act: Box::new(act) })
            }
        }
    }

    /// `O_CREAT` on what is there: never a directory, and in a directory that all may write not another's file
    /// (`fs.protected_regular` and `fs.protected_fifos`, proc(5)).
    fn may_create_over(&self, file: &Metadata, directory: Option<&File>) -> Result<()> {
        if file.is_dir() {
            return Err(Errno::EISDIR);
        }
        let Some(directory) = directory else { return Ok(()) };
        let level = self.rules.protected_files;
        let foreign = file.uid() != self.caller.credentials.user;
        if level == 0 || !foreign || !(file.is_file() || file.file_type().is_fifo()) {
            return Ok(());
        }
        let directory = directory.metadata()?;
        let guarded = |bits| directory.mode() & bits == bits;
        let protected = guarded(STICKY_FOR_ALL) || (level >= 2 && guarded(STICKY_FOR_GROUP));
        if protected && file.uid() != directory.uid() { Err(Errno::EACCES) } else { Ok(()) }
    }

    /// Files of procfs may mean whoever opens them, which is us: only those of the caller itself are opened for it.
    fn only_own_procfs(&self, file: &File) -> Result<()> {
        if !names::is_procfs(file)? {
            return Ok(());
        }
        let path = names::path_of(file)?;
        let mut parts = path.split(|&byte| byte == b'/').skip(1);
        let own = self.caller.process.to_string();
        if parts.next() == Some(b"proc") && parts.next() == Some(own.as_bytes()) { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn rename(&self, from: &Place, to: &Place, flags: u32) -> Result<Prepared<'a>> {
        let (from, to) = (self.spot(from)?, self.spot(to)?);
        let mut subjects = vec![
            Subject { operation: FileOperation::Rename, path: path_of_spot(&from)?, file: Some(from.file()?) },
            Subject { operation: FileOperation::Rename, path: path_of_spot(&to)?, file: to.file().ok() },
        ];
        subjects.retain(|subject| !subject.path.ends_with(b"/.") && !subject.path.ends_with(b"/.."));
        let act =
            move || names::rename(&from.directory, &from.name, &to.directory, &to.name, flags).map(|()| Outcome::Done);
        Ok(Prepared { subjects, act: Box::new(act) })
    }

    fn link(&self, from: &Place, to: &Place, flags: i32) -> Result<Prepared<'a>> {
        let follow = flags & c::AT_SYMLINK_FOLLOW != 0;
        let Found::File(file, _) = self.find(from, follow, flags & c::AT_EMPTY_PATH != 0)? else {
            return Err(Errno::ENOENT);
        };
        let to = self.spot(to)?;
        let mut subjects = subject(FileOperation::Rename, &file, &file.metadata()?)?;
        subjects.push(Subject { operation: FileOperation::Rename, path: path_of_spot(&to)?, file: None });
        let act = move || names::link(&file, &to.directory, &to.name).map(|()| Outcome::Done);
        Ok(Prepared { subjects, act: Box::new(act) })
    }

    fn make(&self, at: &Place, make: impl FnOnce(&Spot) -> Result<()> + 'a) -> Result<Prepared<'a>> {
        let spot = self.spot(at)?;
        let subjects = vec![free_subject(&spot)?];
        Ok(Prepared { subjects, act: Box::new(move || make(&spot).map(|()| Outcome::Done)) })
    }

    fn remove(&self, at: &Place, flags: i32) -> Result<Prepared<'a>> {
        let spot = self.spot(at)?;
        let (path, file) = (path_of_spot(&spot)?, Some(spot.file()?));
        let subjects = vec![Subject { operation: FileOperation::Remove, path, file }];
        let act = move || names::remove(&spot.directory, &spot.name, flags).map(|()| Outcome::Done);
        Ok(Prepared { subjects, act: Box::new(act) })
    }

    fn change(
        &self,
        operation: FileOperation,
        at: &Place,
        flags: i32,
        change: impl FnOnce(&File) -> Result<()> + 'a,
    ) -> Result<Prepared<'a>> {
        let follow = flags & c::AT_SYMLINK_NOFOLLOW == 0;
        let Found::File(file, _) = self.find(at, follow, flags & c::AT_EMPTY_PATH != 0)? else {
            return Err(Errno::ENOENT);
        };
        self.only_own_procfs(&file)?;
        let subjects = subject(operation, &file, &file.metadata()?)?;
        Ok(Prepared { subjects, act: Box::new(move || change(&file).map(|()| Outcome::Done)) })
    }

    fn find(&self, at: &Place, follow: bool, itself: bool) -> Result<Found> {
        let walk = Walk::new(self.caller, self.rules);
        let start = walk.start(at)?;
        if itself && at.path.is_empty() {
            return Ok(Found::File(start, None));
        }
        self.with_rights(|| walk.find(&start, &at.path, follow))
    }

    fn spot(&self, at: &Place) -> Result<Spot> {
        let walk = Walk::new(self.caller, self.rules);
        let start = walk.start(at)?;
        self.with_rights(|| walk.spot(&start, &at.path))
    }

    fn with_rights<T>(&self, walk: impl Fn() -> Result<T>) -> Result<T> {
        let result = Cell::new(Err(Errno::EPERM));
        (self.rights)(&mut || result.set(walk()))?;
        result.into_inner()
    }
}

/// Opens a file that was looked at and judged. Nothing is waited for: a FIFO may have no reader yet, a lease another holder.
///
/// # Errors
/// The kernel's answer.
pub fn open_again(file: File, flags: i32) -> Result<Outcome> {
    let waits = flags & c::O_NONBLOCK == 0;
    match names::reopen(&file, flags | c::O_NONBLOCK | c::O_NOCTTY) {
        Ok(opened) => {
            if waits {
                names::set_flags(&opened, flags)?;
            }
            Ok(Outcome::Opened(opened))
        }
        Err(Errno::ENXIO) if waits && file.metadata()?.file_type().is_fifo() => Ok(Outcome::NotYet(file, flags)),
        Err(Errno::EAGAIN) if waits => Ok(Outcome::NotYet(file, flags)),
        Err(errno) => Err(errno),
    }
}

/// The file as a subject, unless it is none: a directory, a device, a pipe, or a file without name.
fn subject(operation: FileOperation, file: &File, status: &Metadata) -> Result<Vec<Subject>> {
    let directory = status.is_dir() && operation == FileOperation::Write;
    if directory || (is_special(status) && !status.file_type().is_block_device()) || status.nlink() == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Subject { operation, path: names::path_of(file)?, file: Some(file.try_clone()?) }])
}

fn free_subject(spot: &Spot) -> Result<Subject> {
    Ok(Subject { operation: FileOperation::Create, path: path_of_spot(spot)?, file: None })
}

fn path_of_spot(spot: &Spot) -> Result<Vec<u8>> {
    let mut path = names::path_of(&spot.directory)?;
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(spot.bare_name());
    Ok(path)
}
