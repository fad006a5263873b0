//! SHA-256 of executables, computed once for each state of a file, and within a time: programs wait for it.
use std::{
    collections::{HashMap, VecDeque},
    fs::{File, Metadata},
    io::{self, Read, Take},
    os::unix::fs::MetadataExt,
    time::Instant,
};

use defender_sys::file;
use ring::digest;

/// Files that are looked through; a larger one has no hash, so no allow list knows it.
pub const LARGEST_FILE: u64 = 256 << 20;
/// States of files that are remembered.
const MOST: usize = 512;
/// Files that are kept open between two attempts to read them.
const MOST_UNFINISHED: usize = 4;
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

/// Files that were not read to their end in time, each with what `H` made of its beginning: the next attempt goes on there.
pub struct Unfinished<H>(VecDeque<(State, Take<File>, H)>);

impl<H> Default for Unfinished<H> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<H> Unfinished<H> {
    /// What `update` makes, beginning with `fresh`, of all of the file with this status, to which `link` leads; none when it
    /// cannot be read to its end or is too large.
    ///
    /// # Errors
    /// [`Late`] when that took longer than until `end`, or `link` leads to another file by now.
    pub fn read(
        &mut self,
        link: &str,
        status: &Metadata,
        end: Instant,
        fresh: impl FnOnce() -> H,
        update: impl Fn(&mut H, &[u8]),
    ) -> Result<Option<H>, Late> {
        let state = State::of(status);
        let begun = self.0.iter().position(|(known, ..)| *known == state).and_then(|at| self.0.remove(at));
        let (mut file, mut made) = match begun {
            Some((_, file, made)) => (file, made),
            None => match open(link, &state)? {
                Some(file) => (file, fresh()),
                None => return Ok(None),
            },
        };
        let outcome = read_until(&mut file, end, |chunk| update(&mut made, chunk));
        // What may still change unseen is read from its beginning again.
        if outcome.is_err() && state.rests(file::stamping_clock().0) {
            self.0.truncate(MOST_UNFINISHED - 1);
            self.0.push_front((state, file, made));
            return Err(Late);
        }
        Ok(outcome?.then_some(made))
    }
}

impl Unfinished<digest::Context> {
    /// Lower-case hexadecimal SHA-256 of a file, under the same conditions.
    ///
    /// # Errors
    /// The same.
    pub fn sha256(&mut self, link: &str, status: &Metadata, end: Instant) -> Result<Option<String>, Late> {
        let context = || digest::Context::new(&digest::SHA256);
        let read = self.read(link, status, end, context, digest::Context::update)?;
        Ok(read.map(|context| hexadecimal(context.finish().as_ref())))
    }
}

fn open(link: &str, state: &State) -> Result<Option<Take<File>>, Late> {
    let Ok(file) = super::process::open(link) else { return Ok(None) };
    match file.metadata() {
        Ok(status) if State::of(&status) != *state => Err(Late),
        Ok(status) if status.len() <= LARGEST_FILE => Ok(Some(file.take(LARGEST_FILE + 1))),
        _ => Ok(None),
    }
}

/// Gives a file piece by piece; false when it cannot be read to its end or is too large. Within one piece nothing can
/// interrupt it.
fn read_until(file: &mut Take<File>, end: Instant, mut take: impl FnMut(&[u8])) -> Result<bool, Late> {
    let mut chunk = vec![0; 128 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(file.limit() > 0),
            Ok(length) => take(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn the_hash_is_that_of_the_content() {
        let path = std::env::temp_dir().join(format!("hash-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();
        let (link, status) = (path.to_str().unwrap(), std::fs::metadata(&path).unwrap());
        let sha256 = |link, end| Unfinished::default().sha256(link, &status, end);

        // FIPS 180-4's example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Ok(Some(expected.to_owned())), sha256(link, soon()));
        assert_eq!(Ok(None), sha256("/nothing/here", soon()));
        assert_eq!(Err(Late), sha256(link, Instant::now()));
        assert_eq!(Err(Late), sha256("/proc/self/exe", soon()), "another file than was meant");
        std::fs::remove_file(path).unwrap();
    }

    /// However often the time is over, all of the file is read once and in order.
    #[test]
    fn an_attempt_goes_on_where_the_last_one_ended() {
        let own = std::fs::metadata("/proc/self/exe").unwrap();
        let path = std::env::temp_dir().join(format!("slices-{}", std::process::id()));
        std::fs::copy("/proc/self/exe", &path).unwrap();
        // A file at rest; what was written just now is begun anew each time.
        let libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap_or("/proc/self/exe");
        let status = std::fs::metadata(libc).unwrap();
        let whole = Unfinished::default().sha256(libc, &status, soon()).unwrap();
        let mut unfinished = Unfinished::default();
        let mut attempts = 1;

        let hash = loop {
            match unfinished.sha256(libc, &status, Instant::now()) {
                Ok(hash) => break hash,
                Err(Late) => attempts += 1,
            }
            assert!(attempts < 10_000);
        };

        assert_eq!((whole, true), (hash, attempts > 2));
        let fresh = std::fs::metadata(&path).unwrap();
        let mut attempt = || unfinished.sha256(path.to_str().unwrap(), &fresh, Instant::now()).is_err();
        assert!(own.len() > 256 << 10 && (0..20).all(|_| attempt()), "a fresh file's beginning is not relied on");
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
