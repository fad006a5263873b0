//! Whether a program was made or changed since the workload started.
//!
//! The measure is the file's `ctime`, which nobody can set: every write, rename, change of mode or owner, and every copy of
//! an image's file into the container's own layer (overlayfs) stamps it with the clock. What the runtime unpacks and writes
//! before the start is older. So a `chown -R` over programs in an entrypoint script counts as a change of them: the inode
//! is a new one, and nothing in the container tells the copy from another file.
//!
//! Whether a changed program was there before is known from the names in the directories of programs, taken at the start.
//! For other places it is in doubt, and then it counts as what the policy takes more seriously.
use std::{
    collections::hash_map::RandomState,
    fs::{self, Metadata},
    hash::BuildHasher,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use defender_core::Change;
use defender_sys::file;

use super::needs::Needs;

/// Where programs are, when `PATH` says nothing (and when it does: an attacker need not go by it).
const DIRECTORIES: [&str; 7] =
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec"];
/// Names that are remembered; a directory beyond that is in doubt.
const MOST_NAMES: usize = 32 << 10;

/// The state of the file system when the workload started.
#[derive(Debug)]
pub struct Beginning {
    start: (i64, i64),
    hasher: RandomState,
    directories: Vec<PathBuf>,
    /// Hashes of the paths in these directories, sorted: names are not needed, and this is small.
    names: Vec<u64>,
}

impl Beginning {
    /// Takes the time, and no names yet.
    #[must_use]
    pub fn now() -> Self {
        Self { start: file::stamping_clock(), hasher: RandomState::new(), directories: Vec::new(), names: Vec::new() }
    }

    /// Takes the names of the programs that are there. Only of use before the workload runs.
    pub fn take_names(&mut self) {
        for directory in DIRECTORIES.into_iter().filter_map(|directory| fs::canonicalize(directory).ok()) {
            self.take_directory(directory);
        }
        self.names.sort_unstable();
    }

    fn take_directory(&mut self, directory: PathBuf) {
        if self.directories.contains(&directory) {
            return;
        }
        let Ok(entries) = fs::read_dir(&directory) else { return };
        let names: Vec<u64> =
            entries.flatten().map(|entry| self.hasher.hash_one(entry.path().as_path())).take(MOST_NAMES).collect();
        if self.names.len() + names.len() < MOST_NAMES {
            self.names.extend(names);
            self.directories.push(directory);
        }
    }

    /// True when a file changed since the start, or in the same tick of the clock.
    #[must_use]
    pub fn is_changed(&self, status: &Metadata) -> bool {
        (status.ctime(), status.ctime_nsec()) >= self.start
    }

    /// What the change of the file at `path` comes to, for a policy with these needs.
    #[must_use]
    pub fn change(&self, path: &str, status: &Metadata, needs: &Needs) -> Change {
        if !self.is_changed(status) {
            return Change::None;
        }
        match self.was_there(Path::new(path)) {
            Some(true) => Change::Modified,
            None if needs.modified > needs.new => Change::Modified,
            Some(false) | None => Change::New,
        }
    }

    fn was_there(&self, path: &Path) -> Option<bool> {
        let known = path.parent().is_some_and(|parent| self.directories.iter().any(|directory| directory == parent));
        known.then(|| self.names.binary_search(&self.hasher.hash_one(path)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use defender_core::Effect;

    use super::*;

    fn beginning(folder: &Path) -> Beginning {
        let mut beginning = Beginning { start: (0, 0), ..Beginning::now() };
        beginning.take_directory(folder.to_owned());
        beginning.names.sort_unstable();
        beginning
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("change-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::canonicalize(folder).unwrap()
    }

    #[test]
    fn a_file_is_new_or_modified_by_the_names_that_were_there() {
        let folder = folder("names");
        let (old, new) = (folder.join("old"), folder.join("new"));
        fs::write(&old, "x").unwrap();
        let beginning = beginning(&folder);
        fs::write(&new, "x").unwrap();
        let change =
            |path: &Path| beginning.change(path.to_str().unwrap(), &fs::metadata(path).unwrap(), &Needs::default());

        assert_eq!([Change::Modified, Change::New], [change(&old), change(&new)]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn in_doubt_the_policy_decides() {
        let beginning = Beginning { start: (0, 0), ..Beginning::now() };
        let status = fs::metadata("/proc/self/exe").unwrap();
        for (modified, new, change) in [
            (Effect::Prevent, Effect::Alert, Change::Modified),
            (Effect::Alert, Effect::Alert, Change::New),
            (Effect::Disable, Effect::Prevent, Change::New),
        ] {
            let needs = Needs { modified, new, ..Needs::default() };

            assert_eq!(change, beginning.change("/app/server", &status, &needs));
        }
    }

    #[test]
    fn setting_the_times_of_a_file_does_not_make_it_old() {
        let folder = folder("times");
        let path = folder.join("program");
        let beginning = Beginning::now();
        fs::write(&path, "x").unwrap();

        fs::File::options().append(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();

        let status = fs::metadata(&path).unwrap();
        assert_eq!(0, status.mtime());
        assert!(beginning.is_changed(&status));
        fs::remove_dir_all(folder).unwrap();
    }
}
