//! SHA-256 of executables, computed once for each state of a file, and within a time: programs wait for it.
use std::{collections::HashMap, fs::Metadata, io::Read, os::unix::fs::MetadataExt, time::Instant};

use defender_sys::file;
use ring::digest;

/// Files that are looked through; a larger one has no hash, so no allow list knows it.
pub const LARGEST_FILE: u64 = 256 << 20;
/// States of files that are remembered.
const MOST: usize = 512;
/// A file that changed less than this many seconds ago may change again within one tick of the clock that stamps it, and
/// look the same; such a state is never remembered. File systems stamp to two seconds at worst (FAT, some of NFS).
const REST: i64 = 3;

/// Everything that changes when a file does. `ctime` cannot be set by anybody; `mtime` can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(status: &Metadata) -> Self {
        Self {
            device: status.dev(),
            inode: status.ino(),
            size: status.size(),
            modified: (status.mtime(), status.mtime_nsec()),
            changed: (status.ctime(), status.ctime_nsec()),
        }
    }

    /// True when no change can have the same stamp as the last one.
    fn rests(&self, now: i64) -> bool {
        now - self.changed.0 > REST
    }
}

/// What was found out about files, bounded.
#[derive(Debug)]
pub struct Remembered<V>(HashMap<State, V>);

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V: Clone> Remembered<V> {
    /// What is known of the file with this status, or what `find` finds out now.
    pub fn get(&mut self, status: &Metadata, find: impl FnOnce() -> V) -> V {
        match self.try_get(status, || Ok::<V, std::convert::Infallible>(find())) {
            Ok(found) => found,
            Err(never) => match never {},
        }
    }

    /// The same, of what may not be found out now; that is not remembered.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn try_get<E>(&mut self, status: &Metadata, find: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let state = State::of(status);
        if let Some(known) = self.0.get(&state) {
            return Ok(known.clone());
        }
        let found = find()?;
        if state.rests(file::stamping_clock().0) {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(state, found.clone());
        }
        Ok(found)
    }
}

/// A file was not read to its end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

/// Lower-case hexadecimal SHA-256 of the file that `link` leads to; none when it cannot be read or is too large.
///
/// # Errors
/// [`Late`] when it was not read by `end`.
pub fn sha256(link: &str, end: Instant) -> Result<Option<String>, Late> {
    let mut context = digest::Context::new(&digest::SHA256);
    let read = each_chunk(link, end, |chunk| context.update(chunk))?;
    Ok(read.then(|| hexadecimal(context.finish().as_ref())))
}

/// Gives the content of a file piece by piece; false when it cannot be read to its end or is too large.
///
/// # Errors
/// [`Late`] when that took longer than until `end`. Within one piece nothing can interrupt it.
pub fn each_chunk(link: &str, end: Instant, mut take: impl FnMut(&[u8])) -> Result<bool, Late> {
    let Ok(file) = super::process::open(link) else { return Ok(false) };
    if file.metadata().map_or(true, |status| status.len() > LARGEST_FILE) {
        return Ok(false);
    }
    let mut file = file.take(LARGEST_FILE + 1);
    let mut chunk = vec![0; 128 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(file.limit() > 0),
            Ok(length) => take(&chunk[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
        if Instant::now() > end {
            return Err(Late);
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_content() {
        let path = std::env::temp_dir().join(format!("hash-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();

        let end = Instant::now() + Duration::from_mins(1);

        let hash = sha256(path.to_str().unwrap(), end).unwrap();

        // FIPS 180-4's example.
        assert_eq!(Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), hash.as_deref());
        assert_eq!(Ok(None), sha256("/nothing/here", end));
        assert_eq!(Err(Late), sha256(path.to_str().unwrap(), Instant::now()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_just_changed_is_looked_at_again_and_one_at_rest_is_not() {
        let path = std::env::temp_dir().join(format!("rest-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();
        let (fresh, rested) = (std::fs::metadata(&path).unwrap(), std::fs::metadata("/proc/self/exe").unwrap());
        let mut remembered = Remembered::default();

        assert_eq!([1, 2], [1, 2].map(|answer| remembered.get(&fresh, || answer)));
        assert_eq!(Err(Late), remembered.try_get(&fresh, || Err(Late)));
        // The test's own program may have been built just now, so its age decides what is to be expected.
        let second = if State::of(&rested).rests(file::stamping_clock().0) { 1 } else { 2 };
        assert_eq!([1, second], [1, 2].map(|answer| remembered.get(&rested, || answer)));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let status = std::fs::metadata("/").unwrap();
        let mut remembered = Remembered::default();
        for inode in 0..=MOST as u64 {
            remembered.0.insert(State { inode, changed: (0, 0), ..State::of(&status) }, ());
        }

        remembered.get(&std::fs::metadata("/proc/self/ns").unwrap(), || ());

        assert!(remembered.0.len() <= MOST + 1);
    }
}
