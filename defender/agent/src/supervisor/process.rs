//! Facts about processes, from `/proc` (proc(5)). All best effort: a process may end at any time.
use std::{
    fs::{self, File, Metadata},
    io::Read,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStringExt, fs::MetadataExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use defender_core::{Ancestor, ProcessEvent, ProcessFacts};
use defender_sys::{Errno, Result, constants, memory};

use super::reach;

const AT_EXECFN: u64 = 31;
const LONGEST_PATH: usize = 4096;
/// More than a policy or a reader needs, and far less than the kernel's two megabytes.
const LARGEST_COMMAND_LINE: usize = 16 << 10;
const LARGEST_VECTOR: usize = 1024;
/// A status is some 1500 bytes; lists of groups make it longer.
const LARGEST_STATUS: usize = 16 << 10;
/// Deeper trees of processes are cut off in audits.
pub const MOST_ANCESTORS: usize = 16;

/// Device and inode: which file it is, whatever it is called.
pub type Identity = (u64, u64);

/// A file that a path led to, held so that it stays the same.
#[derive(Debug)]
pub struct Found {
    /// Its absolute path after all links.
    pub path: String,
    handle: File,
}

impl Found {
    /// A path that leads to this very file, while it is held.
    #[must_use]
    pub fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd())
    }

    /// Its status; none when the file system does not answer.
    #[must_use]
    pub fn status(&self) -> Option<Metadata> {
        self.handle.metadata().ok()
    }
}

/// Looks up what execve would load, as the thread `thread` sees it: its root, its working directory, its descriptors.
///
/// # Errors
/// What the kernel says; `ENOENT` and `ENOTDIR` are final.
pub fn find(thread: u32, directory: i32, path: &[u8]) -> Result<Found> {
    let seen = as_seen_by(thread, directory, path);
    let handle = fs::OpenOptions::new().read(true).custom_flags(constants::O_PATH).open(&seen)?;
    let mut found = Found { path: String::new(), handle };
    found.path = text(fs::read_link(found.link())?.into_os_string().into_vec());
    Ok(found)
}

fn as_seen_by(thread: u32, directory: i32, path: &[u8]) -> std::path::PathBuf {
    let path = String::from_utf8_lossy(path);
    let seen = if let Some(rest) = path.strip_prefix("/proc/self/").or_else(|| path.strip_prefix("/proc/thread-self/"))
    {
        format!("/proc/{thread}/{rest}")
    } else if path.starts_with('/') {
        format!("/proc/{thread}/root{path}")
    } else if directory == constants::AT_FDCWD {
        format!("/proc/{thread}/cwd/{path}")
    } else if path.is_empty() {
        format!("/proc/{thread}/fd/{directory}")
    } else {
        format!("/proc/{thread}/fd/{directory}/{path}")
    };
    seen.into()
}

/// A path that leads to what a program was invoked by, as `process` sees it: by name, or by a descriptor of its own.
#[must_use]
pub fn link_to(process: u32, invoked: &str) -> String {
    match invoked.strip_prefix("/dev/fd/") {
        Some(descriptor) => format!("/proc/{process}/fd/{descriptor}"),
        None => format!("/proc/{process}/root{invoked}"),
    }
}

/// The image that a process runs: path after all links, and the status of the file.
#[must_use]
pub fn executable(process: u32) -> Option<(String, Metadata)> {
    let link = format!("/proc/{process}/exe");
    let status = reach::looking(process, || fs::metadata(&link)).ok()?;
    Some((executable_path(process), status))
}

/// Path of the image that a process runs; empty when unknown.
#[must_use]
pub fn executable_path(process: u32) -> String {
    let link = format!("/proc/{process}/exe");
    reach::looking(process, || fs::read_link(&link)).map(path_text).unwrap_or_default()
}

/// The path that a freshly loaded image was started by (`AT_EXECFN`).
///
/// The kernel copied it to the new image's stack before anything ran there, so nobody can have changed it.
#[must_use]
pub fn invoked_path(process: u32) -> Option<String> {
    let vector = read_at_once(&format!("/proc/{process}/auxv"), LARGEST_VECTOR)?;
    // The first word is a small number; in the vector of a 32-bit program half of its value stands above it.
    let narrow = vector.first_chunk().is_some_and(|word| u64::from_ne_bytes(*word) > u64::from(u32::MAX));
    let words: Vec<u64> = vector.chunks_exact(if narrow { 4 } else { 8 }).map(pointer_of).collect();
    let address = words.chunks_exact(2).find(|pair| pair[0] == AT_EXECFN)?[1];
    memory::read_text(process, address, LONGEST_PATH).ok().map(text)
}

/// A path as it is when absolute, otherwise from the working directory of a process on; none when that is gone.
#[must_use]
pub fn from_its_directory(process: u32, path: String) -> Option<String> {
    if path.starts_with('/') {
        return Some(path);
    }
    let directory = fs::read_link(format!("/proc/{process}/cwd")).ok()?;
    Some(normal(&format!("{}/{path}", directory.display())))
}

/// Removes `.` and empty components; `..` is kept, since a link may stand before it.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// A path that execve was given, made absolute for people.
#[must_use]
pub fn absolute(thread: u32, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    if path.starts_with('/') {
        return path.into_owned();
    }
    let directory = fs::read_link(format!("/proc/{thread}/cwd")).unwrap_or_default();
    normal(&format!("{}/{path}", directory.display()))
}

/// True when a process has another root directory than ours: its paths are not what a policy means by them.
#[must_use]
pub fn has_other_root(process: u32) -> bool {
    fs::read_link(format!("/proc/{process}/root")).is_ok_and(|root| root != Path::new("/"))
}

/// Which file a link leads to; none when there is none.
#[must_use]
pub fn identity_of(link: &str) -> Option<Identity> {
    fs::metadata(link).ok().as_ref().map(identity)
}

/// Which file a status is of.
#[must_use]
pub fn identity(status: &Metadata) -> Identity {
    (status.dev(), status.ino())
}

/// The path of what a link in `/proc` leads to; empty when unknown.
#[must_use]
pub fn target_of(link: &str) -> String {
    fs::read_link(link).map(path_text).unwrap_or_default()
}

fn path_text(path: PathBuf) -> String {
    text(path.into_os_string().into_vec())
}

/// What the dynamic loader opens for a name: a path as it is, another name along the directories of libraries.
#[must_use]
pub fn find_library(process: u32, name: &[u8]) -> Option<String> {
    let found = |path: &[u8]| find(process, constants::AT_FDCWD, path).ok().map(|found| found.path);
    if name.contains(&b'/') {
        return found(name);
    }
    let in_directory = |directory: &&str| found(&[directory.as_bytes(), b"/", name].concat());
    found(name).or_else(|| ["/lib", "/usr/lib", "/lib64", "/usr/lib64"].iter().find_map(in_directory))
}

/// The processes above a process, the nearest first, as far as the Defender itself and at most [`MOST_ANCESTORS`].
#[must_use]
pub fn ancestors(process: u32) -> Vec<Ancestor> {
    let (own, mut above, mut at) = (std::process::id(), Vec::new(), process);
    while above.len() < MOST_ANCESTORS {
        match parent_of(at) {
            Some(pid) if pid != 0 && pid != own => at = pid,
            _ => break,
        }
        above.push(Ancestor { pid: at, path: executable_path(at) });
    }
    above
}

/// Path of the image that a process's parent runs; empty when it has none in the workload's view, or when unknown.
#[must_use]
pub fn parent_path(status: &Status) -> String {
    if status.parent == 0 { String::new() } else { executable_path(status.parent) }
}

/// The parent of a process as the kernel has it, which may be the Defender; none when the process is gone.
#[must_use]
pub fn parent_of(process: u32) -> Option<u32> {
    let line = read_at_once(&format!("/proc/{process}/stat"), 512)?;
    // The name before it may hold anything, also parentheses (proc(5)).
    let after = line.iter().rposition(|&byte| byte == b')')? + 1;
    String::from_utf8_lossy(&line[after..]).split_whitespace().nth(1)?.parse().ok()
}

/// The argument vector of a process, capped.
#[must_use]
pub fn arguments(process: u32) -> Vec<String> {
    // What cannot be read is not reported; the decision does not hang on it.
    let mut bytes = read_at_once(&format!("/proc/{process}/cmdline"), LARGEST_COMMAND_LINE).unwrap_or_default();
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// Opens an ordinary file of the workload for reading. A pipe without a writer, put in its place, must not hold us up.
///
/// # Errors
/// What the kernel says; `InvalidInput` for what is no file.
pub fn open(path: impl AsRef<Path>) -> std::io::Result<File> {
    let file = fs::OpenOptions::new().read(true).custom_flags(constants::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

/// At most so many bytes of a file, by one read: of one in `/proc` that is all of it, and every further call would be paid
/// at each program start. None when it cannot be read.
#[must_use]
pub fn read_at_once(path: &str, most: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; most];
    let length = open(path).ok()?.read(&mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// An argument vector in a process's memory, before its execve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector {
    /// Where it starts.
    pub address: u64,
    /// True when its pointers have 32 bits.
    pub narrow: bool,
}

/// The first strings of an argument vector.
#[must_use]
pub fn arguments_at(thread: u32, vector: Vector, most: usize) -> Vec<String> {
    let (address, size) = (vector.address, if vector.narrow { 4 } else { 8 });
    let mut pointers = vec![0; size * most];
    if address == 0 || memory::read(thread, address, &mut pointers).is_err() {
        // The vector may end right before a page that is not there: one by one, then.
        let one = |index: usize| {
            let mut pointer = vec![0; size];
            memory::read(thread, address.wrapping_add((size * index) as u64), &mut pointer).ok()?;
            Some(pointer)
        };
        pointers = (0..most).map_while(one).flatten().collect();
    }
    let pointers = pointers.chunks_exact(size).map(pointer_of);
    pointers
        .take_while(|pointer| *pointer != 0)
        .map_while(|pointer| memory::read_text(thread, pointer, LONGEST_PATH).ok().map(text))
        .collect()
}

/// A pointer of 32 or 64 bits.
fn pointer_of(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(word) => u64::from_ne_bytes(word),
        Err(_) => bytes.try_into().map_or(0, |half| u64::from(u32::from_ne_bytes(half))),
    }
}

/// What `/proc/ID/status` says that matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Process id (thread group).
    pub process: u32,
    /// Parent process id; 0 when there is none, or when it is the Defender: what the workload sees begins at its own first
    /// process, and processes whose parent has ended are nobody's.
    pub parent: u32,
    /// Effective user id.
    pub user: u32,
    /// True when a signal waits that the process handles and does not block.
    pub signal_waits: bool,
    /// True when one of these is for this thread alone.
    pub own_signal_waits: bool,
    /// How many threads the process has.
    pub threads: u32,
}

/// Reads a thread's status.
#[must_use]
pub fn status(thread: u32) -> Option<Status> {
    let text = read_at_once(&format!("/proc/{thread}/status"), LARGEST_STATUS)?;
    let status = parse_status(&String::from_utf8_lossy(&text));
    Some(if status.parent == std::process::id() { Status { parent: 0, ..status } } else { status })
}

fn parse_status(text: &str) -> Status {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = |name: &str, index: usize| field(name)?.split_whitespace().nth(index)?.parse().ok();
    let mask =
        |name: &str| field(name).and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or_default();
    Status {
        process: number("Tgid", 0).unwrap_or_default(),
        parent: number("PPid", 0).unwrap_or_default(),
        user: number("Uid", 1).unwrap_or_default(),
        signal_waits: (mask("SigPnd") | mask("ShdPnd")) & mask("SigCgt") & !mask("SigBlk") != 0,
        own_signal_waits: mask("SigPnd") & mask("SigCgt") & !mask("SigBlk") != 0,
        threads: number("Threads", 0).unwrap_or_default(),
    }
}

/// The effective user and group of a thread.
#[must_use]
pub fn owner(thread: u32) -> Option<(u32, u32)> {
    let text = read_at_once(&format!("/proc/{thread}/status"), LARGEST_STATUS)?;
    let text = String::from_utf8_lossy(&text);
    let effective = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    Some((effective("Uid:")?, effective("Gid:")?))
}

/// The name that a process shows of itself; anybody may read it, and it may choose it.
#[must_use]
pub fn name(process: u32) -> String {
    let name = read_at_once(&format!("/proc/{process}/comm"), 64).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// A running process as custom rules on what it does see it; none when it is gone, for what is empty would count as known.
/// Costs a dozen reads of `/proc`: for those rules only.
#[must_use]
pub fn portrait(thread: u32) -> Option<ProcessEvent> {
    let status = status(thread)?;
    let pid = status.process;
    let path = executable_path(pid);
    if path.is_empty() {
        return None;
    }
    Some(ProcessEvent {
        invoked: path.clone(),
        path,
        arguments: arguments(pid),
        pid,
        parent_pid: status.parent,
        parent_path: parent_path(&status),
        user: status.user,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: None,
        facts: ProcessFacts {
            ancestors: ancestors(pid).into_iter().map(|one| one.path).collect(),
            ..ProcessFacts::default()
        },
    })
}

/// The process that traces a thread, if any.
#[must_use]
pub fn tracer(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()?;
    (tracer != 0).then_some(tracer)
}

/// Reads the path that a system call names.
///
/// # Errors
/// `EFAULT`, `ENAMETOOLONG`, or `EPERM` when the process's memory is closed to us.
pub fn path_at(thread: u32, address: u64) -> Result<Vec<u8>> {
    memory::read_text(thread, address, LONGEST_PATH)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// True when there is a file at `path` that this process may execute (access(2) is close enough: the kernel has the last word).
#[must_use]
pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|status| status.is_file() && status.mode() & 0o111 != 0)
}

/// Errors after which there is nothing to race: the kernel would find nothing either.
#[must_use]
pub fn is_final(errno: Errno) -> bool {
    errno == Errno::ENOENT || errno == Errno::ENOTDIR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_by_field() {
        let text = "Name:\tx\nTgid:\t12\nPPid:\t3\nUid:\t0\t33\t0\t0\nThreads:\t2\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000004000\n\
                    SigBlk:\t0000000000000000\nSigIgn:\t0\nSigCgt:\t0000000000004000\n";

        assert_eq!(
            Status { process: 12, parent: 3, user: 33, signal_waits: true, own_signal_waits: false, threads: 2 },
            parse_status(text)
        );
        assert_eq!(Status::default(), parse_status("nonsense"));
    }

    #[test]
    fn links_are_followed() {
        let (own, folder) = (std::process::id(), std::env::temp_dir().join(format!("process-{}", std::process::id())));
        let (script, link) = (folder.join("script"), folder.join("link"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink(&script, &link).unwrap();

        let found = find(own, constants::AT_FDCWD, link.as_os_str().as_encoded_bytes()).unwrap();

        let path = fs::canonicalize(&script).unwrap().to_string_lossy().into_owned();
        assert_eq!(identity_of(&path), identity_of(&found.link()));
        assert_eq!(path, found.path);
        assert_eq!(Some(Errno::ENOENT), find(own, constants::AT_FDCWD, b"/nothing/here").err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_process_knows_who_is_above_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();

        assert_eq!(Some(std::process::id()), parent_of(child.id()));
        assert_eq!(Vec::<Ancestor>::new(), ancestors(child.id()), "the Defender itself is none of them");
        let status = status(child.id()).unwrap();
        assert_eq!((0, String::new()), (status.parent, parent_path(&status)), "nor is it anybody's parent");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(None, parent_of(u32::MAX));
    }

    // Emulation shows the emulator's own auxiliary vector and arguments in /proc, so this is for real processors.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn own_invocation_is_known() {
        let own = std::process::id();

        let invoked = from_its_directory(own, invoked_path(own).unwrap()).unwrap();
        let identity = identity_of(&link_to(own, &invoked)).unwrap();

        assert_eq!(super::identity(&executable(own).unwrap().1), identity);
        assert_eq!(std::env::args().collect::<Vec<_>>(), arguments(own));
    }
}
