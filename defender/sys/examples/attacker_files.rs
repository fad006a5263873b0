//! Attacks on files and ordinary work with them, for the tests: `attacker_files WORD ARGUMENT…`.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)]
mod patience;

use std::{
    env,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["race-buffer", good, bad, tries] => race_buffer(good, bad, patience::tries(tries.parse().unwrap())),
        ["race-link", good, bad, tries] => race_link(good, bad, patience::tries(tries.parse().unwrap())),
        ["race-rename", good, bad, tries] => race_rename(good, bad, patience::tries(tries.parse().unwrap())),
        ["errands", folder] => errands(Path::new(folder)),
        ["writer", folder, count] => writer(Path::new(folder), count.parse().unwrap()),
        ["write-and-run", folder, tries] => write_and_run(Path::new(folder), tries.parse().unwrap()),
        ["interrupted", folder] => interrupted(Path::new(folder)),
        ["behind", denied, public] => behind(denied, public),
        ["write", path] => println!("{}", code(fs::write(path, "evil"))),
        [way, folder] => attack(way, Path::new(folder)),
        _ => panic!("unknown words"),
    }
}

fn text(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()
}

fn code<T>(result: std::io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap(), |_| 0)
}

/// Opens for writing and truncates, by a path in memory that another thread changes all the time.
fn race_buffer(good: &str, bad: &str, tries: u32) {
    let (good, bad) =
        (CString::new(good).unwrap().into_bytes_with_nul(), CString::new(bad).unwrap().into_bytes_with_nul());
    assert_eq!(good.len(), bad.len());
    let buffer = Box::leak(good.clone().into_boxed_slice());
    let at = buffer.as_mut_ptr() as usize;
    let over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let flipper = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            for source in [&bad, &good] {
                unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), at as *mut u8, source.len()) };
            }
        }
    });
    for _ in 0..tries {
        scribble(at as *const libc::c_char);
    }
    over.store(true, Ordering::Relaxed);
    flipper.join().unwrap();
}

fn scribble(path: *const libc::c_char) {
    let file = unsafe { libc::open(path, libc::O_WRONLY | libc::O_TRUNC | libc::O_CREAT, 0o600) };
    if file >= 0 {
        unsafe { libc::write(file, b"evil".as_ptr().cast(), 4) };
        unsafe { libc::close(file) };
    }
}

/// Opens a link that another thread turns from one file to another all the time.
fn race_link(good: &str, bad: &str, tries: u32) {
    let (link, spare) = (PathBuf::from(format!("{good}.link")), PathBuf::from(format!("{good}.spare")));
    symlink(good, &link).unwrap();
    let (target, turned) = ([bad.to_owned(), good.to_owned()], link.clone());
    let over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let flipper = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            for target in &target {
                symlink(target, &spare).unwrap();
                fs::rename(&spare, &turned).unwrap();
            }
        }
    });
    let path = text(&link);
    for _ in 0..tries {
        scribble(path.as_ptr());
    }
    over.store(true, Ordering::Relaxed);
    flipper.join().unwrap();
}

/// Renames over a path in memory that another thread changes all the time.
fn race_rename(good: &str, bad: &str, tries: u32) {
    let source = format!("{good}.new");
    let (good, bad) =
        (CString::new(good).unwrap().into_bytes_with_nul(), CString::new(bad).unwrap().into_bytes_with_nul());
    let at = Box::leak(good.clone().into_boxed_slice()).as_mut_ptr() as usize;
    let over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let flipper = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            for text in [&bad, &good] {
                unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), at as *mut u8, text.len()) };
            }
        }
    });
    let from = text(&source);
    for _ in 0..tries {
        fs::write(&source, "evil").unwrap();
        unsafe { libc::rename(from.as_ptr(), at as *const libc::c_char) };
    }
    over.store(true, Ordering::Relaxed);
    flipper.join().unwrap();
}

/// One way to change `FOLDER/denied/secret`, or to put something beside it.
fn attack(way: &str, folder: &Path) {
    let (denied, secret, mine) = (folder.join("denied"), folder.join("denied/secret"), folder.join("mine"));
    fs::write(&mine, "evil").unwrap();
    let beside = text(denied.join("planted"));
    // What fails is meant to fail when the Defender prevents it; the test looks at the file afterwards.
    let _ = match way {
        "open" => fs::write(&secret, "evil"),
        "append" => OpenOptions::new().append(true).open(&secret).and_then(|mut file| file.write_all(b"evil")),
        "create" => fs::write(denied.join("planted"), "evil"),
        "truncate" => done(unsafe { libc::truncate(text(&secret).as_ptr(), 0) }),
        "read-truncate" => OpenOptions::new().read(true).custom_flags(libc::O_TRUNC).open(&secret).map(drop),
        "chmod" => fs::set_permissions(&secret, fs::Permissions::from_mode(0o777)),
        "fchmod" => File::open(&secret).and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o777))),
        "chown" => std::os::unix::fs::chown(&secret, Some(1000), None),
        "fchown" => File::open(&secret).and_then(|file| std::os::unix::fs::fchown(&file, Some(1000), None)),
        "remove" => fs::remove_file(&secret),
        "rename-over" => fs::rename(&mine, &secret),
        "rename-away" => fs::rename(&secret, folder.join("taken")),
        "exchange" => exchange(&mine, &secret),
        "hard-link" => {
            fs::hard_link(&secret, folder.join("hard")).and_then(|()| fs::write(folder.join("hard"), "evil"))
        }
        "symlink" => symlink(&secret, folder.join("soft")).and_then(|()| fs::write(folder.join("soft"), "evil")),
        "symlink-directory" => {
            symlink(&denied, folder.join("way")).and_then(|()| fs::write(folder.join("way/../way/secret"), "evil"))
        }
        "old-link" => fs::write(folder.join("old-link"), "evil"),
        "dots" => fs::write(folder.join("./denied/../denied//./secret"), "evil"),
        "proc-root" => fs::write(format!("/proc/self/root{}", secret.display()), "evil"),
        "proc-thread-root" => fs::write(format!("/proc/thread-self/root{}", secret.display()), "evil"),
        "proc-cwd" => env::set_current_dir(&denied).and_then(|()| fs::write("/proc/self/cwd/secret", "evil")),
        "proc-pid-cwd" => {
            env::set_current_dir(&denied).unwrap();
            fs::write(format!("/proc/{}/cwd/secret", std::process::id()), "evil")
        }
        "proc-child-cwd" => {
            let mut child = std::process::Command::new("/bin/cat");
            let mut child = child.current_dir(&denied).stdin(std::process::Stdio::piped()).spawn().unwrap();
            let written = fs::write(format!("/proc/{}/cwd/secret", child.id()), "evil");
            drop(child.stdin.take());
            child.wait().and(written)
        }
        "proc-fd" => {
            let file = File::open(&secret).unwrap();
            fs::write(format!("/proc/self/fd/{}", file.as_raw_fd()), "evil")
        }
        "proc-fd-directory" => {
            let directory = File::open(&denied).unwrap();
            fs::write(format!("/proc/self/fd/{}/secret", directory.as_raw_fd()), "evil")
        }
        "relative" => env::set_current_dir(&denied).and_then(|()| fs::write("secret", "evil")),
        "openat" => openat(&File::open(&denied).unwrap(), "secret"),
        "moved" => {
            let directory = File::open(&denied).unwrap();
            let _ = fs::rename(&denied, folder.join("elsewhere"));
            openat(&directory, "secret")
        }
        "parent-moved" => {
            let (here, there) = (folder.to_owned(), folder.with_extension("moved"));
            fs::rename(&here, &there)
                .and_then(|()| fs::write(there.join("denied/secret"), "evil"))
                .and_then(|()| fs::rename(&there, &here))
        }
        "planted-directory" => {
            fs::create_dir(folder.join("tree")).unwrap();
            fs::write(folder.join("tree/secret"), "evil").unwrap();
            fs::rename(&denied, folder.join("gone")).and_then(|()| fs::rename(folder.join("tree"), &denied))
        }
        "tmpfile" => tmpfile(folder, &beside),
        "memory-link" => done(unsafe { libc::symlink(c"/nowhere".as_ptr(), beside.as_ptr()) }),
        "directory" => fs::create_dir(denied.join("planted")),
        "node" => done(unsafe { libc::mknod(beside.as_ptr(), libc::S_IFREG | 0o600, 0) }),
        "chroot" => {
            std::os::unix::fs::chroot(folder).unwrap();
            fs::write("/denied/secret", "evil")
        }
        "unprivileged" => unprivileged(&secret),
        "keep-capabilities" => keep_capabilities(&secret),
        "many-users" => many_users(&secret),
        "undumpable" => {
            done(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }).and_then(|()| fs::write(&secret, "evil"))
        }
        "openat2" => openat2(&secret),
        _ => panic!("unknown way {way}"),
    };
}

fn done(returned: i32) -> std::io::Result<()> {
    if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    let (one, other, here) = (text(one), text(other), libc::AT_FDCWD);
    done(unsafe { libc::syscall(libc::SYS_renameat2, here, one.as_ptr(), here, other.as_ptr(), libc::RENAME_EXCHANGE) }
        as i32)
}

fn openat(directory: &File, name: &str) -> std::io::Result<()> {
    let name = CString::new(name).unwrap();
    let file = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), libc::O_WRONLY | libc::O_TRUNC) };
    done(file)?;
    unsafe { File::from_raw_fd(file) }.write_all(b"evil")
}

fn openat2(path: &Path) -> std::io::Result<()> {
    let (path, how) = (text(path), [(libc::O_WRONLY | libc::O_TRUNC) as u64, 0, 0]);
    done(unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), 24) } as i32)
}

fn tmpfile(folder: &Path, beside: &CString) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(folder)?;
    (&file).write_all(b"evil")?;
    let itself = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    let here = libc::AT_FDCWD;
    done(unsafe { libc::linkat(here, itself.as_ptr(), here, beside.as_ptr(), libc::AT_SYMLINK_FOLLOW) })
}

/// As another user, who owns the file: the Defender's own rights must not matter.
fn unprivileged(secret: &Path) -> std::io::Result<()> {
    done(unsafe { libc::setgid(1000) })?;
    done(unsafe { libc::setuid(1000) })?;
    fs::write(secret, "evil")
}

/// Becomes another user, and keeps root's right to every file.
fn keep_capabilities(secret: &Path) -> std::io::Result<()> {
    done(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1) })?;
    done(unsafe { libc::setresuid(1000, 1000, 1000) })?;
    may_write_everything()?;
    fs::write(secret, "evil")
}

/// The same, with ids that differ among themselves, and dumpable again: nobody else has the same ids.
fn many_users(secret: &Path) -> std::io::Result<()> {
    done(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1) })?;
    done(unsafe { libc::setresuid(1001, 1002, 1003) })?;
    may_write_everything()?;
    done(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) })?;
    fs::write(secret, "evil")
}

/// Makes `CAP_DAC_OVERRIDE` effective again, of what is permitted.
fn may_write_everything() -> std::io::Result<()> {
    let header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    done(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) } as i32)?;
    sets[0] = sets[1] & 1 << 1;
    done(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) } as i32)
}

/// Writes to a denied file, and meanwhile to another until that takes long, too; prints how both ended, and whether in time.
fn behind(denied: &str, public: &str) {
    let timed = |path: &str| {
        let begin = Instant::now();
        (code(fs::write(path, "evil")), begin.elapsed())
    };
    let denied = denied.to_owned();
    let first = thread::spawn(move || timed(&denied));
    let second = loop {
        let (code, took) = timed(public);
        if took > Duration::from_millis(200) {
            break (code, took);
        }
    };
    let [first, second] = [first.join().unwrap(), second].map(|(code, took)| (code, took < Duration::from_secs(2)));
    println!("{} {} {} {}", first.0, first.1, second.0, second.1);
}

fn writer(folder: &Path, count: u32) {
    for index in 0..count {
        fs::write(folder.join(format!("file-{index}")), index.to_string()).unwrap();
    }
    println!("{}", fs::read_dir(folder).unwrap().count());
}

extern "C" fn noted(_: i32) {}

/// Waits for a reader of a pipe until a signal comes that is handled; prints the error that the wait ends with.
fn interrupted(folder: &Path) {
    let path = text(folder.join("pipe"));
    unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = noted as *const () as libc::sighandler_t;
    unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    let hundred = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
    let timer = libc::itimerval { it_interval: hundred, it_value: hundred };
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    println!("{}", code(done(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY) })));
}

/// Writes a program and starts it at once: a descriptor that somebody else still had would make that fail (`ETXTBSY`).
fn write_and_run(folder: &Path, tries: u32) {
    let (program, bytes) = (folder.join("program"), fs::read("/bin/true").unwrap());
    let run = |_: &u32| {
        // Its mode is right from the start, so that the start is the very next thing.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&program).unwrap();
        file.write_all(&bytes).unwrap();
        drop(file);
        std::process::Command::new(&program).status().is_ok_and(|status| status.success())
    };
    println!("{}", (0..tries).filter(run).count());
}

/// Ordinary work with files, each step told as a line: the lines must be the same with and without the Defender.
fn errands(folder: &Path) {
    env::set_current_dir(folder).unwrap();
    replacing();
    flags();
    modes();
    failures();
    pipes();
    names();
    other_user();
}

fn replacing() {
    fs::write("status.new", "new").unwrap();
    File::open("status.new").unwrap().sync_all().unwrap();
    fs::write("status", "old").unwrap();
    println!("link {}", code(fs::hard_link("status", "status.old")));
    println!("rename {}", code(fs::rename("status.new", "status")));
    println!("{} {}", fs::read_to_string("status").unwrap(), fs::read_to_string("status.old").unwrap());
    println!("gone {}", code(fs::rename("status.new", "status")));
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as i16;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open("lock").unwrap();
    println!("lock {}", unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) });
    fs::remove_file("lock").unwrap();
    println!("unlinked {}", file.metadata().unwrap().nlink());
}

fn flags() {
    let mut one = OpenOptions::new().append(true).create(true).open("log").unwrap();
    let mut other = OpenOptions::new().append(true).open("log").unwrap();
    one.write_all(b"a").unwrap();
    other.write_all(b"b").unwrap();
    one.write_all(b"c").unwrap();
    println!("append {}", fs::read_to_string("log").unwrap());
    let new = || OpenOptions::new().write(true).create_new(true).open("only");
    println!("exclusive {} {}", code(new()), code(new()));
    for flags in [libc::O_CLOEXEC, 0, libc::O_NONBLOCK, libc::O_SYNC] {
        let file = unsafe { libc::open(c"only".as_ptr(), libc::O_RDWR | flags) };
        let (own, status) = unsafe { (libc::fcntl(file, libc::F_GETFD), libc::fcntl(file, libc::F_GETFL)) };
        println!("flags {own} {status:o} number {file}");
        unsafe { libc::close(file) };
    }
    let nameless = OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).open(".");
    println!("nameless {}", code(nameless));
    println!("null {} {}", code(fs::write("/dev/null", "x")), code(OpenOptions::new().write(true).open("/dev/full")));
    println!("comm {}", code(fs::write("/proc/self/comm", "renamed")));
    println!("{}", fs::read_to_string("/proc/self/comm").unwrap().trim());
}

fn modes() {
    for mask in [0o022, 0o077, 0] {
        unsafe { libc::umask(mask) };
        let (file, directory) = (format!("file-{mask}"), format!("directory-{mask}"));
        fs::write(&file, "").unwrap();
        fs::create_dir(&directory).unwrap();
        unsafe { libc::mknod(text(format!("node-{mask}")).as_ptr(), libc::S_IFIFO | 0o666, 0) };
        for name in [file, directory, format!("node-{mask}")] {
            println!("mode {name} {:o}", fs::metadata(&name).unwrap().mode());
        }
    }
    unsafe { libc::umask(0o022) };
    fs::create_dir("shared").unwrap();
    std::os::unix::fs::chown("shared", None, Some(50)).unwrap();
    fs::set_permissions("shared", fs::Permissions::from_mode(0o2775)).unwrap();
    fs::write("shared/file", "").unwrap();
    fs::create_dir("shared/directory").unwrap();
    println!(
        "group {} {}",
        fs::metadata("shared/file").unwrap().gid(),
        fs::metadata("shared/directory").unwrap().gid()
    );
    fs::set_permissions("shared/file", fs::Permissions::from_mode(0o4755)).unwrap();
    println!("setuid {:o}", fs::metadata("shared/file").unwrap().mode());
    symlink("file", "shared/link").unwrap();
    println!("lchown {}", code(std::os::unix::fs::lchown("shared/link", Some(7), None)));
    println!("{} {}", fs::symlink_metadata("shared/link").unwrap().uid(), fs::metadata("shared/link").unwrap().uid());
}

fn failures() {
    symlink("circle", "circle").unwrap();
    symlink("nowhere", "dangling").unwrap();
    let long = "x".repeat(300);
    let paths = ["missing/file", "status/file", "circle", "", ".", "shared/", "status/", &long, "/proc/1/nothing"];
    for path in paths {
        println!("write {path:.20} {}", code(fs::write(path, "x")));
        println!("remove {path:.20} {}", code(fs::remove_file(path)));
        println!("make {path:.20} {}", code(fs::create_dir(path)));
        println!("truncate {path:.20} {}", code(done(unsafe { libc::truncate(text(path).as_ptr(), 0) })));
    }
    println!("long {}", code(fs::write("y/".repeat(2500), "x")));
    println!("rmdir {} {}", code(fs::remove_dir("shared")), code(fs::remove_dir("shared/directory")));
    println!("through {} {}", code(fs::write("dangling", "made")), fs::read_to_string("nowhere").unwrap());
    let unfollowed = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open("dangling");
    println!("unfollowed {}", code(unfollowed));
    println!("bad {}", unsafe { libc::openat(999, c"x".as_ptr(), libc::O_WRONLY | libc::O_CREAT, 0o600) });
    println!("fault {}", code(done(unsafe { libc::open(8 as *const libc::c_char, libc::O_WRONLY) })));
    println!("text {}", code(OpenOptions::new().write(true).open(env::current_exe().unwrap())));
    fs::create_dir("left").unwrap();
    env::set_current_dir("left").unwrap();
    fs::remove_dir("../left").unwrap();
    println!("left {} {}", code(fs::write("file", "x")), code(fs::write("../after", "x")));
    env::set_current_dir(Path::new(&env::args().nth(2).unwrap())).unwrap();
    let limit = libc::rlimit { rlim_cur: 3, rlim_max: 4096 };
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    println!("many {}", code(fs::write("many", "x")));
    let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 4096 };
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

fn pipes() {
    println!("mkfifo {}", unsafe { libc::mkfifo(c"pipe".as_ptr(), 0o600) });
    let quick = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open("pipe");
    println!("nobody reads {}", code(quick));
    let reader = thread::spawn(|| {
        let mut text = String::new();
        File::open("pipe").unwrap().read_to_string(&mut text).unwrap();
        text
    });
    fs::write("pipe", "through").unwrap();
    println!("{}", reader.join().unwrap());
}

fn names() {
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"odd-\xff\xfe-name"));
    println!("odd {} {}", code(fs::write(odd, "x")), code(fs::remove_file(odd)));
    fs::create_dir_all("deep/er/still").unwrap();
    symlink("../../deep", "deep/er/up").unwrap();
    println!("up {}", code(fs::write("deep/er/up/er/../er/still/../../found", "x")));
    println!("{}", Path::new("deep/found").exists());
    println!("tree {} {}", code(fs::rename("deep", "deeper")), Path::new("deeper/er/still").is_dir());
    println!("into itself {}", code(fs::rename("deeper", "deeper/er/deeper")));
}

/// What another user may not do, it may not do through the Defender either.
fn other_user() {
    fs::set_permissions(".", fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir("private").unwrap();
    fs::set_permissions("private", fs::Permissions::from_mode(0o700)).unwrap();
    let child = unsafe { libc::fork() };
    if child == 0 {
        unsafe {
            libc::setgroups(0, std::ptr::null());
            libc::setgid(1000);
            libc::setuid(1000);
        }
        println!("own {}", code(fs::write("own", "x")));
        println!("{} {}", fs::metadata("own").unwrap().uid(), fs::metadata("own").unwrap().gid());
        println!("foreign {}", code(OpenOptions::new().write(true).open("status")));
        println!("private {}", code(fs::write("private/file", "x")));
        println!("sticky {} {}", code(fs::remove_file("status")), code(fs::rename("own", "status")));
        println!("chmod {}", code(fs::set_permissions("status", fs::Permissions::from_mode(0o777))));
        println!("chown {}", code(std::os::unix::fs::chown("own", Some(0), None)));
        std::process::exit(0);
    }
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
}
