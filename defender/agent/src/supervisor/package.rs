//! What packages installed: the checksums in the databases of dpkg and apk.
//!
//! * dpkg: `/var/lib/dpkg/info/*.md5sums` (`deb-md5sums(5)`), and `/var/lib/dpkg/status.d/` of images made without dpkg.
//! * apk: `/lib/apk/db/installed`, where `Z:Q1…` is a SHA-1 in base64 (Alpine's package format).
//! * rpm keeps its checksums in a database (`SQLite`, Berkeley DB, `ndb`) whose reading would need more code than all of this,
//!   and is not looked at.
//!
//! The databases are read once, when a policy first asks, and kept as digests by hashed path. A database that was written
//! to after the workload's start may be the attacker's word, so it is left out; so is what a local diversion replaced.
use std::{
    collections::{HashSet, hash_map::RandomState},
    fs::{self, Metadata},
    hash::BuildHasher,
    io::Read,
    path::{Path, PathBuf},
    time::Instant,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use ring::digest;

use super::hash::{Late, Remembered, Unfinished};

/// Text of databases that is read in all, and entries that are kept.
const MOST_TEXT: u64 = 64 << 20;
const MOST_ENTRIES: usize = 400_000;

/// The checksum of a file as its package has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checksum {
    Md5([u8; 16]),
    Sha1([u8; 20]),
}

/// The databases, and what was found out by them.
pub struct Packages {
    root: PathBuf,
    index: Option<Index>,
    verdicts: Remembered<bool>,
    unfinished: Unfinished<Digests>,
}

type Digests = (Md5, digest::Context);

impl Packages {
    /// The databases of the system whose root directory is `root`; nothing is read yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root, index: None, verdicts: Remembered::default(), unfinished: Unfinished::default() }
    }

    /// True when a package owns the file at `path` and installed it otherwise. `link` leads to the file itself;
    /// `is_trusted` says whether a database is as old as it must be.
    ///
    /// # Errors
    /// [`Late`] when the file was not read by `end`.
    pub fn altered(
        &mut self,
        path: &str,
        link: &str,
        status: &Metadata,
        end: Instant,
        is_trusted: impl Fn(&Metadata) -> bool,
    ) -> Result<bool, Late> {
        let begin = Instant::now();
        let index = self.index.get_or_insert_with(|| Index::read(&self.root, is_trusted));
        // The databases are read once; that is not this file's time.
        let end = end + begin.elapsed();
        let expected = index.checksums(path);
        if expected.is_empty() {
            return Ok(false);
        }
        let unfinished = &mut self.unfinished;
        self.verdicts.try_get(status, || differs(unfinished, link, status, &expected, end))
    }
}

/// True when the content has none of these checksums. What cannot be read to its end is not called altered.
fn differs(
    unfinished: &mut Unfinished<Digests>,
    link: &str,
    status: &Metadata,
    expected: &[Checksum],
    end: Instant,
) -> Result<bool, Late> {
    let (wants_md5, wants_sha1) = (
        expected.iter().any(|checksum| matches!(checksum, Checksum::Md5(_))),
        expected.iter().any(|checksum| matches!(checksum, Checksum::Sha1(_))),
    );
    let fresh = || (Md5::new(), digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY));
    let read = unfinished.read(link, status, end, fresh, |(md5, sha1), chunk| {
        if wants_md5 {
            md5.update(chunk);
        }
        if wants_sha1 {
            sha1.update(chunk);
        }
    })?;
    let Some((md5, sha1)) = read else { return Ok(false) };
    let (md5, sha1) = (md5.finalize(), sha1.finish());
    Ok(!expected.iter().any(|checksum| match checksum {
        Checksum::Md5(value) => value[..] == md5[..],
        Checksum::Sha1(value) => value[..] == *sha1.as_ref(),
    }))
}

/// Checksums by hashed path, sorted.
#[derive(Debug, Default)]
struct Index {
    hasher: RandomState,
    entries: Vec<(u64, Checksum)>,
}

impl Index {
    fn read(root: &Path, is_trusted: impl Fn(&Metadata) -> bool) -> Self {
        let mut index = Self::default();
        let mut left = MOST_TEXT;
        let mut text_of = |path: &Path| -> Option<String> {
            let file = super::process::open(path).ok()?;
            let status = file.metadata().ok()?;
            left = left.checked_sub(status.len()).filter(|_| is_trusted(&status))?;
            let mut text = Vec::new();
            file.take(status.len()).read_to_end(&mut text).ok()?;
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        let diverted = text_of(&root.join("var/lib/dpkg/diversions")).map(|text| diversions(&text)).unwrap_or_default();
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/status.d"] {
            let files = fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path());
            for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "md5sums")) {
                let text = text_of(&file).unwrap_or_default();
                index.extend(md5sums(&text).filter(|(path, _)| !diverted.contains(path)));
            }
        }
        for file in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
            index.extend(apk(&text_of(&root.join(file)).unwrap_or_default()).into_iter());
        }
        index.entries.sort_unstable_by_key(|(path, _)| *path);
        index
    }

    fn extend(&mut self, files: impl Iterator<Item = (String, Checksum)>) {
        for (path, checksum) in files.take(MOST_ENTRIES - self.entries.len()) {
            self.entries.push((self.hasher.hash_one(merged(&path)), checksum));
        }
    }

    /// What any package says about `path`.
    fn checksums(&self, path: &str) -> Vec<Checksum> {
        let wanted = self.hasher.hash_one(merged(path));
        let start = self.entries.partition_point(|(path, _)| *path < wanted);
        self.entries[start..].iter().take_while(|(path, _)| *path == wanted).map(|(_, checksum)| *checksum).collect()
    }
}

/// `/bin/ls` and `/usr/bin/ls` are one file on systems with a merged `/usr`, whatever the package calls it.
fn merged(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.strip_prefix("usr/").unwrap_or(path)
}

/// Lines `md5  path`, the path without leading slash.
fn md5sums(text: &str) -> impl Iterator<Item = (String, Checksum)> + '_ {
    text.lines().filter_map(|line| {
        let (sum, path) = line.split_once("  ")?;
        Some((path.to_owned(), Checksum::Md5(sixteen(sum)?)))
    })
}

fn sixteen(text: &str) -> Option<[u8; 16]> {
    let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// Paths that somebody put away for a file of their own (`dpkg-divert(1)`): three lines each, the first is the path.
fn diversions(text: &str) -> HashSet<String> {
    text.lines().step_by(3).map(|path| path.trim_start_matches('/').to_owned()).collect()
}

/// Records of lines `X:value`: `F:` names a directory, `R:` a file in it, `Z:` the checksum of that file.
fn apk(text: &str) -> Vec<(String, Checksum)> {
    let (mut directory, mut file, mut found) = ("", None, Vec::new());
    for line in text.lines() {
        match line.split_once(':') {
            Some(("F", value)) => (directory, file) = (value, None),
            Some(("R", value)) => file = Some(value),
            Some(("Z", value)) => {
                let sum = value.strip_prefix("Q1").and_then(|sum| BASE64_STANDARD.decode(sum).ok());
                let sum = sum.and_then(|sum| <[u8; 20]>::try_from(sum).ok());
                found.extend(
                    file.take().zip(sum).map(|(file, sum)| (format!("{directory}/{file}"), Checksum::Sha1(sum))),
                );
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + std::time::Duration::from_mins(1)
    }

    /// A root directory with one program whose package says that its content is `abc`.
    fn root(name: &str, database: &str, text: &str) -> (PathBuf, String) {
        let root = std::env::temp_dir().join(format!("package-{name}-{}", std::process::id()));
        let database = root.join(database);
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(database, text).unwrap();
        let program = root.join("usr/bin/prog");
        fs::write(&program, "abc").unwrap();
        (root, program.to_string_lossy().into_owned())
    }

    fn verdicts(root: PathBuf, program: &str) -> [bool; 2] {
        let altered = || {
            let status = fs::metadata(program).unwrap();
            Packages::at(root.clone()).altered("/usr/bin/prog", program, &status, soon(), |_| true).unwrap()
        };
        let before = altered();
        fs::write(program, "abd").unwrap();
        let verdicts = [before, altered()];
        fs::remove_dir_all(root).unwrap();
        verdicts
    }

    const ABC_MD5: &str = "900150983cd24fb0d6963f7d28e17f72  bin/prog\nnonsense\n0  x\n";

    #[test]
    fn a_program_of_dpkg_is_known_by_its_sum() {
        let (root, program) = root("dpkg", "var/lib/dpkg/info/prog:amd64.md5sums", ABC_MD5);

        assert_eq!([false, true], verdicts(root, &program));
    }

    #[test]
    fn a_program_of_apk_is_known_by_its_sum() {
        let text =
            "C:Q1x\nP:prog\nF:usr/bin\nM:0:0:755\nR:other\nR:prog\na:0:0:755\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\n";
        let (root, program) = root("apk", "lib/apk/db/installed", text);

        assert_eq!([false, true], verdicts(root, &program));
    }

    #[test]
    fn a_diverted_program_and_a_database_of_today_accuse_nobody() {
        let (root, program) = root("diverted", "var/lib/dpkg/info/prog.md5sums", ABC_MD5);
        fs::write(&program, "other").unwrap();
        let status = fs::metadata(&program).unwrap();
        let altered =
            |trusted: bool| Packages::at(root.clone()).altered("/usr/bin/prog", &program, &status, soon(), |_| trusted);

        assert_eq!([Ok(true), Ok(false)], [altered(true), altered(false)]);
        fs::write(root.join("var/lib/dpkg/diversions"), "/bin/prog\n/bin/prog.distrib\n:\n").unwrap();
        assert_eq!(Ok(false), altered(true));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn any_text_is_read_without_harm() {
        // Whatever the text, only whole lines of the right form become entries.
        let mut seed = 7_u32;
        for _ in 0..2000 {
            let text: String = (0..60)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ['F', 'R', 'Z', ':', 'Q', '1', '\n', ' ', 'a', 'ß', '/', '0'][(seed >> 16) as usize % 12]
                })
                .collect();

            assert!(apk(&text).is_empty());
            assert_eq!(0, md5sums(&text).count());
            diversions(&text);
        }
    }
}
