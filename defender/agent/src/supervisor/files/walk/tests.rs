use std::{os::unix::fs::symlink, path::Path};

use super::*;
use crate::supervisor::files::caller::{OwnRoot, open_path};

/// Numbers without any order, the same each time.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % sides
    }

    fn path(&mut self, top: &Path) -> Vec<u8> {
        let names = ["a", "b", "c", "f", "g", "l0", "l1", "l2", "l3", "l4", "l5", ".", "..", "missing", ""];
        let mut path = if self.roll(5) == 0 { format!("{}/", top.display()) } else { String::new() };
        for _ in 0..=self.roll(6) {
            path.push_str(names[self.roll(names.len())]);
            path.push('/');
        }
        if self.roll(4) != 0 {
            path.pop();
        }
        path.into_bytes()
    }
}

fn identity(file: &File) -> (u64, u64) {
    let status = file.metadata().unwrap();
    (status.dev(), status.ino())
}

/// A tree of directories, files and links that lead anywhere in it, in circles, and out of it.
fn tree(top: &Path, dice: &mut Dice) {
    fs::create_dir_all(top.join("a/b/c")).unwrap();
    fs::create_dir_all(top.join("c")).unwrap();
    for file in ["a/f", "a/b/g", "c/f", "g"] {
        fs::write(top.join(file), file).unwrap();
    }
    for directory in ["", "a", "a/b", "c"] {
        for link in 0..6 {
            let target = String::from_utf8(dice.path(top)).unwrap();
            let target = if target.is_empty() { ".".into() } else { target };
            symlink(target, top.join(directory).join(format!("l{link}"))).unwrap();
        }
    }
}

/// Every path leads where the kernel says it leads, or fails as the kernel fails.
#[test]
fn walks_end_where_the_kernels_end() {
    let top = std::env::temp_dir().join(format!("walk-{}", std::process::id()));
    let caller = Caller::of(std::process::id(), &OwnRoot::find().unwrap()).unwrap();
    let mut dice = Dice(2_463_534_242);
    let (mut files, mut free, mut failed) = (0, 0, 0);
    for round in 0..12 {
        let _ = fs::remove_dir_all(&top);
        tree(&top, &mut dice);
        let start = open_path(&top.to_string_lossy()).unwrap();
        let rules = Rules { protected_links: false, protected_files: 0, quick: Cell::new(round % 2 == 0) };
        for _ in 0..400 {
            let (path, follow) = (dice.path(&top), dice.roll(2) == 0);
            let from = if path.first() == Some(&b'/') { &caller.root } else { &start };
            let walked = Walk::new(&caller, &rules).find(from, &path, follow);
            let flags = if follow { c::O_PATH } else { c::O_PATH | c::O_NOFOLLOW };
            let kernel = names::open(&start, &path, flags, 0);
            let shown = String::from_utf8_lossy(&path);
            match (walked, kernel) {
                (Ok(Found::File(walked, _)), Ok(kernel)) => {
                    assert_eq!(identity(&kernel), identity(&walked), "{shown} {follow}");
                    files += 1;
                }
                (Ok(Found::Free(_)), Err(Errno::ENOENT)) => free += 1,
                (Err(walked), Err(kernel)) => {
                    assert_eq!(kernel, walked, "{shown} {follow}");
                    failed += 1;
                }
                (walked, kernel) => panic!("{shown} {follow}: {walked:?}, and the kernel {kernel:?}"),
            }
        }
    }
    assert!(files > 500 && free > 100 && failed > 500, "of each kind there were enough: {files} {free} {failed}");
    fs::remove_dir_all(&top).unwrap();
}
