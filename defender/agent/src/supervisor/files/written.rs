//! What was written: a look at files after they were closed, moved into place or made executable.
//!
//! The kernel tells of it (inotify), so a program cannot keep it back; what is looked at is the file, not what a call said. It is
//! too late then to keep the file from being written, so these detections only report.
use std::{
    collections::{HashMap, VecDeque},
    fs::{File, Metadata, OpenOptions},
    io::Read,
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use defender_core::{
    CompiledPolicy, Context, Decision, Effect, Event, FileEvent, FileOperation, Notice, Reason,
    content::{self, Finding},
    detected,
};
use defender_sys::{
    Errno, Result, constants as c,
    inotify::{Happened, Inotify},
    poll::{self, Interest},
};

use super::{caller::Caller, prepare::Subject};
use crate::supervisor::{judge::Judge, process};

/// Directories watched at a time; the one that was written to longest ago makes room.
const MOST_DIRECTORIES: usize = 512;
/// Writers and looked-at files that are remembered.
const MOST_FILES: usize = 4096;
const BY_CONTENT: [Reason; 3] = [Reason::BinaryWritten, Reason::SuspiciousElf, Reason::PackedBinary];
/// Machine numbers of ELF (elf(5)).
const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

/// Looks at files that were written.
pub struct Written {
    queue: Arc<Inotify>,
    watched: Arc<Mutex<Watched>>,
}

#[derive(Default)]
struct Watched {
    directories: HashMap<PathBuf, i32>,
    paths: HashMap<i32, PathBuf>,
    order: VecDeque<i32>,
    writers: HashMap<PathBuf, Writer>,
}

/// Who opened a file for writing last; 0 and nothing when unknown.
#[derive(Debug, Clone, Default)]
struct Writer {
    pid: u32,
    user: u32,
    program: String,
}

impl Written {
    /// Starts the thread that looks. To be called before the filter is made.
    ///
    /// # Errors
    /// When there is no thread, or no queue, to be had.
    pub fn start(judge: Judge) -> std::io::Result<Self> {
        let queue = Arc::new(Inotify::new()?);
        let watched = Arc::new(Mutex::new(Watched::default()));
        let looking =
            Looking { queue: queue.clone(), watched: watched.clone(), judge, seen: HashMap::new(), lost: false };
        thread::Builder::new().name("written".into()).spawn(move || looking.run())?;
        Ok(Self { queue, watched })
    }

    /// Something is about to be written: its directory is watched from before it happens.
    pub fn expect(&self, policy: &CompiledPolicy, caller: &Caller, subject: &Subject) {
        let wanted = BY_CONTENT.iter().any(|&reason| policy.detection(reason) != Effect::Disable);
        if !wanted || subject.operation == FileOperation::Remove {
            return;
        }
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(&subject.path));
        let Some(directory) = path.parent() else { return };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if !watched.directories.contains_key(directory) {
            // One that cannot be watched (a file system without, too many watches) is not; the rest still is.
            let Ok(watch) = self.queue.watch(directory) else { return };
            watched.add(watch, directory, &self.queue);
        }
        if watched.writers.len() >= MOST_FILES {
            watched.writers.clear();
        }
        // It may have ended when its file is looked at.
        let program = process::executable_path(caller.process);
        watched.writers.insert(path, Writer { pid: caller.process, user: caller.user, program });
    }
}

impl Watched {
    fn add(&mut self, watch: i32, directory: &Path, queue: &Inotify) {
        // The same directory by another path has the same number.
        if let Some(former) = self.paths.insert(watch, directory.to_owned()) {
            self.directories.remove(&former);
        } else {
            self.order.push_back(watch);
        }
        self.directories.insert(directory.to_owned(), watch);
        if self.order.len() > MOST_DIRECTORIES
            && let Some(oldest) = self.order.pop_front()
        {
            queue.forget(oldest);
            self.remove(oldest);
        }
    }

    fn remove(&mut self, watch: i32) {
        if let Some(path) = self.paths.remove(&watch) {
            self.directories.remove(&path);
        }
        self.order.retain(|&other| other != watch);
    }
}

struct Looking {
    queue: Arc<Inotify>,
    watched: Arc<Mutex<Watched>>,
    judge: Judge,
    /// What was looked at already, as it was then.
    seen: HashMap<PathBuf, State>,
    lost: bool,
}

/// Which file it is, when it was changed, how long it is, and whether it may be executed.
type State = (u64, u64, i64, i64, u64, bool);

impl Looking {
    fn run(mut self) {
        while poll::wait(&[(self.queue.as_fd(), Interest::Readable)], None).is_ok() {
            for happened in self.queue.take() {
                self.look(&happened);
            }
        }
    }

    fn look(&mut self, happened: &Happened) {
        let (path, writer) = {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            if happened.last {
                return watched.remove(happened.watch);
            }
            let Some(directory) = watched.paths.get(&happened.watch) else {
                drop(watched);
                return self.count_lost(happened.watch);
            };
            let path = directory.join(std::ffi::OsStr::from_bytes(&happened.name));
            let writer = watched.writers.get(&path).cloned();
            (path, writer.unwrap_or_default())
        };
        // It may be gone or replaced by now; what replaced it is told too.
        let Ok((start, status)) = self.read(&path) else { return };
        let (policy, event) = (self.judge.policy(), event(&path, &writer));
        let executable = status.mode() & 0o111 != 0;
        for Finding { reason, because } in content::findings(&start, status.len(), executable, MACHINE) {
            match detected(&policy, reason, Some(because), &event, Context::default()) {
                Decision::Allow => {}
                // It was not stopped, whatever was wished.
                Decision::Alert(violation) | Decision::Prevent(violation) => {
                    self.judge.report(violation, Effect::Alert, event.clone());
                }
            }
        }
    }

    /// The start of a regular file that was not seen like this before; nothing of what was.
    fn read(&mut self, path: &Path) -> Result<(Vec<u8>, Metadata)> {
        // Looked at without opening first: opening a device may do something.
        let status = std::fs::symlink_metadata(path)?;
        if !status.is_file() {
            return Err(Errno::EINVAL);
        }
        if self.seen.get(path) == Some(&state(&status)) {
            return Ok((Vec::new(), status));
        }
        let (start, status) = settled(path)?;
        if self.seen.len() >= MOST_FILES {
            self.seen.clear();
        }
        self.seen.insert(path.to_owned(), state(&status));
        Ok((start, status))
    }

    /// The kernel tells when it had to give up some.
    fn count_lost(&mut self, watch: i32) {
        if watch < 0 && !self.lost {
            self.lost = true;
            self.judge.notice(Notice::NotEnforcing, "more files were written at once than could be looked at");
        }
    }
}

/// The start of a regular file, and what it was while that was read. `EAGAIN` when it changed meanwhile: it would be judged by a
/// length that it no longer has, and whoever changes it has yet to close it, which is told too.
fn settled(path: &Path) -> Result<(Vec<u8>, Metadata)> {
    let flags = c::O_NOFOLLOW | c::O_NONBLOCK | c::O_NOCTTY;
    let mut start = Vec::new();
    let mut file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(Errno::EINVAL);
    }
    file.by_ref().take(content::WORTH_READING as u64).read_to_end(&mut start)?;
    // Its length too: a file may be cut and written anew within one tick of its clock.
    let whole = status.len().min(content::WORTH_READING as u64) == start.len() as u64;
    if !whole || state(&file.metadata()?) != state(&status) {
        return Err(Errno::EAGAIN);
    }
    Ok((start, status))
}

fn state(status: &Metadata) -> State {
    let executable = status.mode() & 0o111 != 0;
    (status.dev(), status.ino(), status.mtime(), status.mtime_nsec(), status.len(), executable)
}

fn event(path: &Path, writer: &Writer) -> Event {
    let file = path.to_string_lossy().into_owned();
    let Writer { pid, user, program: path } = writer.clone();
    Event::File(FileEvent { operation: FileOperation::Write, file, pid, path, user })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// What is read of a file is as long as the file is said to be, however it is written meanwhile.
    #[test]
    fn a_file_is_never_read_half() {
        let path = std::env::temp_dir().join(format!("bartizan-written-{}", std::process::id()));
        let (done, whole) = (AtomicBool::new(false), vec![7; 40_000]);
        std::fs::write(&path, &whole).unwrap();

        let read: Vec<_> = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::fs::write(&path, &whole).unwrap();
                }
            });
            let read = (0..5_000).filter_map(|_| settled(&path).ok());
            let read = read.map(|(start, status)| (start.len() as u64, status.len())).collect();
            done.store(true, Ordering::Relaxed);
            read
        });

        std::fs::remove_file(&path).unwrap();
        assert!(!read.is_empty());
        assert!(read.iter().all(|(start, whole)| start == whole));
    }
}
