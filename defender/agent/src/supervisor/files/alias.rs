//! Further names of files that a policy speaks of, and directories that carry such files when they are moved.
use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    os::{fd::AsRawFd, unix::ffi::OsStrExt, unix::fs::MetadataExt},
};

use defender_core::CompiledPolicy;
use defender_sys::{Errno, Result, names};

/// A larger directory cannot be moved as a whole; programs then copy it, as they do between file systems.
const MOST_MOVED: usize = 10_000;
/// What detections speak of. A further name of these is as good as the first.
const SENSITIVE: [&str; 9] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/crontab",
    "/etc/ld.so.preload",
    "/root/.ssh/authorized_keys",
    "/root/.ssh",
];

/// The path of a denied file that `path` is only another name of: a hard link, or by another mount of the same directory.
///
/// `file` is the file at `path`, where there is one. Entries with wildcards have no file of their own and are not looked for.
#[must_use]
pub fn known_as(policy: &CompiledPolicy, path: &[u8], file: Option<&File>, root_mount: u64) -> Option<String> {
    let status = file.and_then(|file| file.metadata().ok());
    let linked = status.as_ref().is_some_and(|status| status.is_file() && status.nlink() > 1);
    let mounted = mount_of_path(path, file) != root_mount;
    if !linked && !mounted {
        return None;
    }
    let literal = policy.source().files.deny.iter().map(String::as_str).filter(|entry| !entry.contains(['*', '?']));
    let known: HashMap<(u64, u64), &str> =
        literal.chain(SENSITIVE).filter_map(|entry| Some((identity(&fs::metadata(entry).ok()?), entry))).collect();
    if let Some(entry) = status.as_ref().filter(|_| linked).and_then(|status| known.get(&identity(status))) {
        return Some((*entry).to_owned());
    }
    let text = String::from_utf8_lossy(path);
    let ends = text.match_indices('/').map(|(at, _)| at).skip(1).chain([text.len()]);
    ends.filter(|_| mounted).find_map(|end| {
        let entry = known.get(&identity(&fs::metadata(&text[..end]).ok()?))?;
        Some(format!("{entry}{}", &text[end..]))
    })
}

fn mount_of_path(path: &[u8], file: Option<&File>) -> u64 {
    if let Some(file) = file {
        return names::mount_of(file);
    }
    let slash = path.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
    let directory = String::from_utf8_lossy(&path[..slash.max(1)]).into_owned();
    super::caller::open_path(&directory).map(|directory| names::mount_of(&directory)).unwrap_or_default()
}

fn identity(status: &Metadata) -> (u64, u64) {
    (status.dev(), status.ino())
}

/// Everything beneath a directory, relative to it; nothing for what is no directory. Links are not followed.
///
/// # Errors
/// `EXDEV` when it is too much to look at, as if the directory were moved to another file system.
pub fn beneath(file: &File) -> Result<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    if !file.metadata()?.is_dir() {
        return Ok(found);
    }
    let top = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut open = vec![Vec::new()];
    while let Some(relative) = open.pop() {
        let directory = [top.as_bytes(), b"/", relative.as_slice()].concat();
        // One that vanished, or that we may not read, carries nothing that could be judged.
        let Ok(entries) = fs::read_dir(std::ffi::OsStr::from_bytes(&directory)) else { continue };
        for entry in entries.flatten() {
            let mut path = relative.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.file_name().as_bytes());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path.clone());
            }
            found.push(path);
            if found.len() > MOST_MOVED {
                return Err(Errno::EXDEV);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_beneath_a_directory_is_found() {
        let folder = std::env::temp_dir().join(format!("alias-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/c"), "x").unwrap();

        let mut found = beneath(&File::open(&folder).unwrap()).unwrap();

        found.sort();
        assert_eq!(vec![b"a".to_vec(), b"a/b".to_vec(), b"a/b/c".to_vec()], found);
        assert_eq!(Vec::<Vec<u8>>::new(), beneath(&File::open(folder.join("a/b/c")).unwrap()).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
