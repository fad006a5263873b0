//! Attacks on the process that started this one: the Defender, or with `victim PROGRAM [ARG…]` an ordinary parent.
//!
//! `harmless` tries everything that leaves its target alive and prints what worked; the other modes try to end or stop it.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)] // an attacker takes no care
mod patience;

use std::{
    env,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Command, exit},
    ptr, thread,
};

use patience::patient;

/// Exit status of an attacker whose target lives on.
const SURVIVED: i32 = 42;
const EVIL_RAN: i32 = 77;

fn main() {
    let words: Vec<String> = env::args().collect();
    if words[0].ends_with("evil") {
        exit(EVIL_RAN);
    }
    let target = unsafe { libc::getppid() };
    match words.get(1).map_or("", String::as_str) {
        "victim" => be_victim(&words[2..]),
        "nothing" => {}
        "harmless" => println!("{}", harmless(target).join(" ")),
        "worker" => worker(&words[2], target),
        "exec" => exit(run(&words[2])),
        "capability" => println!("{}", fs::read_to_string("/proc/self/status").unwrap().contains_capability()),
        "variables" => env::vars().for_each(|(name, _)| println!("{name}")),
        "fill" => fill(&words[2], &words[3]),
        "score" => score(target),
        "umount" => println!("{}", unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) }),
        "bomb" => bomb(&words[2], &words[3]),
        "gorge" => gorge(&words[2], target),
        "replace" => replace(&words[2], target),
        lethal => {
            assert!(attack(lethal, target), "no such attack: {lethal}");
            settle(target);
        }
    }
}

trait Status {
    fn contains_capability(&self) -> bool;
}

impl Status for String {
    /// True when `CAP_SYS_PTRACE` is in any set.
    fn contains_capability(&self) -> bool {
        let sets = self.lines().filter(|line| line.starts_with("Cap"));
        sets.filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok())
            .any(|set| set & (1 << 19) != 0)
    }
}

/// An ordinary parent, as a shell or a small init would be.
fn be_victim(words: &[String]) -> ! {
    let mut command = Command::new(&words[0]);
    let mut child = unsafe {
        command.args(&words[1..]).pre_exec(|| {
            libc::setpgid(0, 0);
            Ok(())
        })
    }
    .spawn()
    .unwrap();
    exit(child.wait().unwrap().code().unwrap_or(1));
}

fn number(call: i64, arguments: [i64; 5]) -> i64 {
    let [first, second, third, fourth, fifth] = arguments;
    unsafe { libc::syscall(call, first, second, third, fourth, fifth) }
}

fn works(call: i64, arguments: [i64; 5]) -> bool {
    number(call, arguments) >= 0
}

/// True unless it was forbidden: what is at the address does not matter.
fn permitted(call: i64, arguments: [i64; 5]) -> bool {
    let errno = || std::io::Error::last_os_error().raw_os_error();
    number(call, arguments) >= 0 || !matches!(errno(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

fn opens(target: i32, file: &str) -> bool {
    let mut bytes = [0; 1];
    // A file of /proc may open for anybody and then give nothing.
    File::open(format!("/proc/{target}/{file}")).is_ok_and(|mut file| file.read(&mut bytes).is_ok_and(|read| read > 0))
}

fn harmless(target: i32) -> Vec<&'static str> {
    let id = i64::from(target);
    let byte = [0_u8; 8];
    let vector = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
    let (vector, limits) = (&raw const vector as i64, libc::rlimit64 { rlim_cur: 3, rlim_max: 3 });
    let parameters = libc::sched_param { sched_priority: 0 };
    let processors: u64 = 1;
    let handle = number(libc::SYS_pidfd_open, [id, 0, 0, 0, 0]);
    let nodes = (&raw const processors) as i64;
    let tries: [(&str, bool); 23] = [
        ("memory-read", permitted(libc::SYS_process_vm_readv, [id, vector, 1, vector, 1])),
        ("memory-write", permitted(libc::SYS_process_vm_writev, [id, vector, 1, vector, 1])),
        ("memory-file", OpenOptions::new().write(true).open(format!("/proc/{target}/mem")).is_ok()),
        ("environment", opens(target, "environ")),
        ("maps", opens(target, "maps")),
        ("auxiliary", opens(target, "auxv")),
        (
            "descriptors",
            File::open(format!("/proc/{target}/fd/1")).is_ok() || fs::read_link(format!("/proc/{target}/fd/1")).is_ok(),
        ),
        ("root", fs::read_dir(format!("/proc/{target}/root")).is_ok()),
        ("namespace", File::open(format!("/proc/{target}/ns/mnt")).is_ok()),
        ("handle", handle >= 0),
        ("copy-descriptor", works(libc::SYS_pidfd_getfd, [handle, 0, 0, 0, 0])),
        ("limits", works(libc::SYS_prlimit64, [id, libc::RLIMIT_CORE.into(), (&raw const limits) as i64, 0, 0])),
        (
            "scheduler",
            works(libc::SYS_sched_setscheduler, [id, libc::SCHED_BATCH.into(), (&raw const parameters) as i64, 0, 0]),
        ),
        ("affinity", works(libc::SYS_sched_setaffinity, [id, 8, (&raw const processors) as i64, 0, 0])),
        ("priority", works(libc::SYS_setpriority, [0, id, 5, 0, 0])),
        ("priority-user", works(libc::SYS_setpriority, [2, unsafe { libc::getuid() }.into(), 5, 0, 0])),
        ("io-priority", works(libc::SYS_ioprio_set, [1, id, (2 << 13) | 7, 0, 0])),
        ("migrate", works(libc::SYS_migrate_pages, [id, 64, nodes, nodes, 0])),
        ("compare", works(libc::SYS_kcmp, [id, id, 0, 0, 0])),
        ("threads", threads_can_be_signalled(target)),
        ("trace", trace(target)),
        ("score", fs::write(format!("/proc/{target}/oom_score_adj"), "900").is_ok()),
        ("listener", makes_a_listener()),
    ];
    tries.iter().filter(|(_, worked)| *worked).map(|(name, _)| *name).collect()
}

/// Attaches and lets go again.
fn trace(target: i32) -> bool {
    let request = |operation| unsafe { libc::ptrace(operation, target, 0, 0) };
    if request(libc::PTRACE_SEIZE) != 0 {
        return false;
    }
    request(libc::PTRACE_INTERRUPT);
    unsafe { libc::waitpid(target, ptr::null_mut(), libc::__WALL) };
    request(libc::PTRACE_DETACH) == 0
}

fn threads_can_be_signalled(target: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{target}/task")).into_iter().flatten().flatten();
    let mut ids = threads.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok());
    ids.any(|id| works(libc::SYS_tkill, [id, 0, 0, 0, 0]) || works(libc::SYS_tgkill, [target.into(), id, 0, 0, 0]))
}

/// A filter of one's own that is asked about connections, which could let everything go on.
fn makes_a_listener() -> bool {
    let filter =
        [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: filter.as_ptr().cast_mut() };
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    works(libc::SYS_seccomp, [libc::SECCOMP_SET_MODE_FILTER.into(), 1 << 3, (&raw const program) as i64, 0, 0])
}

/// Tries to end or stop the target; false when there is no such attack.
fn attack(name: &str, target: i32) -> bool {
    let (id, kill, stop) = (i64::from(target), i64::from(libc::SIGKILL), i64::from(libc::SIGSTOP));
    let group = i64::from(unsafe { libc::getpgid(target) });
    match name {
        "kill" => number(libc::SYS_kill, [id, kill, 0, 0, 0]),
        "stop" => number(libc::SYS_kill, [id, stop, 0, 0, 0]),
        "kill-thread" => number(libc::SYS_tgkill, [id, id, kill, 0, 0]),
        "kill-threads" => to_each_thread(id, kill),
        "stop-threads" => to_each_thread(id, stop),
        "kill-old" => number(libc::SYS_tkill, [id, kill, 0, 0, 0]),
        "kill-group" => number(libc::SYS_kill, [-group, kill, 0, 0, 0]),
        "kill-own-group" => {
            number(libc::SYS_setpgid, [0, group, 0, 0, 0]);
            if i64::from(unsafe { libc::getpgrp() }) == group { number(libc::SYS_kill, [0, kill, 0, 0, 0]) } else { -1 }
        }
        "kill-all" => number(libc::SYS_kill, [-1, kill, 0, 0, 0]),
        "kill-by-handle" => {
            let handle = number(libc::SYS_pidfd_open, [id, 0, 0, 0, 0]);
            number(libc::SYS_pidfd_send_signal, [handle, kill, 0, 0, 0])
        }
        "kill-by-folder" => {
            let folder = File::open(format!("/proc/{target}")).unwrap();
            number(libc::SYS_pidfd_send_signal, [folder.as_raw_fd().into(), kill, 0, 0, 0])
        }
        "kill-by-queue" => {
            let mut information = [0_i32; 32];
            (information[0], information[2]) = (libc::SIGKILL, -1);
            number(libc::SYS_rt_sigqueueinfo, [id, kill, information.as_ptr() as i64, 0, 0])
        }
        "kill-by-io" => kill_by_io(target, libc::SIGKILL),
        "stop-by-io" => kill_by_io(target, libc::SIGSTOP),
        _ => return false,
    };
    true
}

/// Sends a signal to each thread of the target, in every way that names a thread.
fn to_each_thread(target: i64, signal: i64) -> i64 {
    let threads = fs::read_dir(format!("/proc/{target}/task")).into_iter().flatten().flatten();
    for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok()) {
        let mut information = [0_i32; 32];
        (information[0], information[2]) = (signal as i32, -1);
        let about = information.as_ptr() as i64;
        number(libc::SYS_tgkill, [target, thread, signal, 0, 0]);
        number(libc::SYS_tkill, [thread, signal, 0, 0, 0]);
        number(libc::SYS_kill, [thread, signal, 0, 0, 0]);
        number(libc::SYS_rt_tgsigqueueinfo, [target, thread, signal, about, 0]);
    }
    0
}

/// Makes the kernel send the signal, as news about a pipe.
fn kill_by_io(target: i32, signal: i32) -> i64 {
    let mut ends = [0; 2];
    unsafe {
        // The Defender passes on what it can handle.
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr());
        libc::fcntl(ends[0], libc::F_SETOWN, target);
        libc::fcntl(ends[0], 10, signal);
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK);
        let sent = libc::write(ends[1], c"x".as_ptr().cast(), 1);
        // One signal is enough: closing the pair would send another.
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
        sent as i64
    }
}

/// Prints and repairs a stopped target; the exit status says that it lives.
fn settle(target: i32) -> ! {
    // A signal takes effect when its target runs next: give it the processor a few times.
    for _ in 0..2000 {
        thread::yield_now();
        let state = fs::read_to_string(format!("/proc/{target}/stat")).unwrap_or_default();
        if state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't'])) {
            println!("stopped");
            unsafe { libc::kill(target, libc::SIGCONT) };
            exit(SURVIVED);
        }
    }
    exit(SURVIVED);
}

/// Gives up root as a worker of a server does, has the Defender look at it all the time, and attacks meanwhile.
fn worker(name: &str, target: i32) {
    unsafe {
        libc::setgroups(0, ptr::null());
        assert_eq!((0, 0), (libc::setresgid(1000, 1000, 1000), libc::setresuid(1000, 1000, 1000)));
        libc::prctl(libc::PR_SET_DUMPABLE, 1);
    }
    for _ in 0..3 {
        thread::spawn(|| {
            loop {
                let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, 6666));
            }
        });
    }
    let mut worked = std::collections::BTreeSet::new();
    for _ in 0..100 {
        if name == "harmless" {
            worked.extend(harmless(target));
        } else {
            assert!(attack(name, target), "no such attack: {name}");
        }
    }
    if name != "harmless" {
        settle(target);
    }
    println!("{}", worked.into_iter().collect::<Vec<_>>().join(" "));
    exit(0);
}

/// Runs a program; gives its exit status, or the error when it cannot be started.
fn run(program: &str) -> i32 {
    let name = CString::new(program).unwrap();
    let arguments = [name.as_ptr(), ptr::null()];
    unsafe { libc::execve(name.as_ptr(), arguments.as_ptr(), ptr::null()) };
    std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
}

fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let id = unsafe { libc::fork() };
    if id == 0 {
        unsafe { libc::_exit(child()) };
    }
    let mut status = 0;
    unsafe { libc::waitpid(id, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Hundreds of connects that wait, each of which costs the Defender a descriptor; then a good and a forbidden program.
fn fill(good: &str, evil: &str) {
    let listener = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    (address.sin_family, address.sin_port) = (libc::AF_INET as u16, 7878_u16.to_be());
    address.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
    unsafe {
        assert_eq!(0, libc::bind(listener, (&raw const address).cast(), 16));
        libc::listen(listener, 0);
    }
    let waiting = || TcpStream::connect((Ipv4Addr::LOCALHOST, 7878)).is_ok();
    (0..700).for_each(|_| drop(thread::Builder::new().stack_size(64 << 10).spawn(waiting)));
    let exec = |program: &str| {
        let name = CString::new(program).unwrap();
        let arguments = [name.as_ptr(), c"nothing".as_ptr(), ptr::null()];
        in_child(|| {
            unsafe { libc::execve(name.as_ptr(), arguments.as_ptr(), ptr::null()) };
            std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
        })
    };
    println!("{} {}", exec(good), exec(evil));
    exit(0);
}

/// Makes the target the first to be killed when memory runs out, and waits for it to be set back.
fn score(target: i32) {
    let path = format!("/proc/{target}/oom_score_adj");
    let before = fs::read_to_string(&path).unwrap();
    let written = fs::write(&path, "900").is_ok();
    let mut again = fs::read_to_string(&path).unwrap();
    let changed = again != before;
    let end = std::time::Instant::now() + patient(std::time::Duration::from_secs(5));
    while again != before && std::time::Instant::now() < end {
        thread::yield_now();
        again = fs::read_to_string(&path).unwrap();
    }
    println!("{written} {changed} {}", again == before);
}

/// Starts processes until there are no more to be had; then a good and a forbidden program, in one of them.
fn bomb(good: &str, evil: &str) {
    let mut ends = [0; 2];
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    let mut children = Vec::new();
    let refused = loop {
        let child = unsafe { libc::fork() };
        match child {
            -1 => break true,
            0 => {
                // It waits for the word: each byte makes one of them start a program.
                let mut word = [0_u8; 1];
                unsafe { libc::read(ends[0], word.as_mut_ptr().cast(), 1) };
                unsafe { libc::_exit(run(if word[0] == b'g' { good } else { evil })) };
            }
            _ if children.len() > 10_000 => break false,
            _ => children.push(child),
        }
    };
    let next = |word: &std::ffi::CStr| {
        let mut status = 0;
        unsafe { libc::write(ends[1], word.as_ptr().cast(), 1) };
        unsafe { libc::wait(&raw mut status) };
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
    };
    println!("{refused} {} {}", next(c"g"), next(c"e"));
    std::io::stdout().flush().unwrap();
    for child in children {
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    exit(0);
}

/// Gives the Defender as much to hold as there is: huge arguments and variables, many names, a deep family, links in a row.
/// Prints how often the forbidden program was refused, and whether the target stayed small.
fn gorge(evil: &str, target: i32) {
    let mut refused = 0;
    let mut count = |status: i32| refused += i32::from(status == libc::EACCES);
    let huge = vec![b'x'; 100_000];
    for _ in 0..30 {
        let huge = CString::new(huge.clone()).unwrap();
        let many: Vec<*const libc::c_char> = [huge.as_ptr(); 9].into_iter().chain([ptr::null()]).collect();
        let program = CString::new(evil).unwrap();
        count(in_child(|| {
            unsafe { libc::execve(program.as_ptr(), many.as_ptr(), many.as_ptr()) };
            std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
        }));
    }
    let folder = std::path::Path::new(evil).parent().unwrap().join("links");
    fs::create_dir(&folder).unwrap();
    let long = "n".repeat(240);
    for number in 0..3000 {
        let name = folder.join(format!("{number}-{long}"));
        std::os::unix::fs::symlink(evil, &name).unwrap();
        count(in_child(|| run(name.to_str().unwrap())));
    }
    let mut last = std::path::PathBuf::from(evil);
    for number in 0..39 {
        let next = folder.join(format!("link-{number}"));
        std::os::unix::fs::symlink(&last, &next).unwrap();
        last = next;
    }
    count(in_child(|| run(last.to_str().unwrap())));
    count(deep(300, evil));
    let status = fs::read_to_string(format!("/proc/{target}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u32 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{refused} {}", if peak < 24 << 10 { "small".to_owned() } else { format!("{peak} KiB") });
}

/// Runs a program at the end of a long line of processes.
fn deep(generations: u32, program: &str) -> i32 {
    in_child(|| if generations == 0 { run(program) } else { deep(generations - 1, program) })
}

/// Replaces the Defender's program by another file, and waits for a line on standard input.
fn replace(program: &str, _target: i32) {
    let spare = format!("{program}.new");
    fs::write(&spare, "#!/bin/sh\n").unwrap();
    fs::rename(&spare, program).unwrap();
    println!("replaced");
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}
