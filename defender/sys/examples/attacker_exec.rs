//! A hostile program for the attack tests of program starts (`defender/agent/tests/{detections,starts}.rs`): each mode starts a program
//! in one way and prints how that ended: the exit status, 128 plus the signal that killed it, or the error of execve as
//! exit status. Told `ran` anywhere among its arguments it is the program that should not have run.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)] // an attacker takes no care
use std::{
    env,
    ffi::CString,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    process::exit,
    ptr, thread,
};

const RAN: i32 = 77;

fn main() {
    let words: Vec<String> = env::args().collect();
    let starts = ["start", "become", "connected"].contains(&words.get(1).map_or("", String::as_str));
    if !starts && words.iter().skip(1).any(|word| word == RAN_WORD) {
        exit(RAN);
    }
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    // After the mode: what to start, and its arguments.
    let program = word(2);
    let line: Vec<&str> = words.iter().skip(2).map(String::as_str).collect();
    match word(1) {
        "" | "nothing" => {}
        "start" => println!("{}", in_child(|| execute(&line, &[]))),
        "become" => exit(execute(&line, &[])),
        "memory" => println!("{}", from_memory(program)),
        "deleted" => println!("{}", from_deleted(program)),
        "copied" => println!("{}", from_copy(program, word(3))),
        "appended" => println!("{}", after_appending(program)),
        "linked" => println!("{}", by_hard_link(program, word(3))),
        "unreadable" => println!("{}", unreadable(program)),
        "capable" => println!("{}", with_capabilities(program)),
        "preloaded" => println!("{}", in_child(|| execute(&[program, RAN_WORD], &[word(3)]))),
        "mining" => {
            println!("{}", in_child(|| execute(&[program, "-o", "stratum+tcp://pool.test:3333", RAN_WORD], &[])));
        }
        "connected" => println!("{}", on_a_connection(&line)),
        "script-in-memory" => println!("{}", script_in_memory(program)),
        "parallel" => println!("{}", in_parallel(program)),
        "leaderless" => println!("{}", in_child(|| without_leader(program))),
        "storm" => println!("{}", under_signals(program)),
        "launch" => println!("{}", launched_by_a_debugger(program)),
        "attach" => println!("{}", attached_by_a_debugger()),
        other => panic!("no such attack: {other}"),
    }
}

const RAN_WORD: &str = "ran";

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// execve; gives the error when that fails.
fn execute(line: &[&str], environment: &[&str]) -> i32 {
    let line: Vec<CString> = line.iter().map(|word| text(word)).collect();
    let environment: Vec<CString> = environment.iter().map(|word| text(word)).collect();
    unsafe { libc::execve(line[0].as_ptr(), pointers(&line).as_ptr(), pointers(&environment).as_ptr()) };
    last_error()
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
}

fn execute_descriptor(descriptor: i32, name: &str) -> i32 {
    let line = [text(name), text(RAN_WORD)];
    let (line, none) = (pointers(&line), [ptr::null::<libc::c_char>()]);
    unsafe {
        let path = c"".as_ptr();
        libc::syscall(libc::SYS_execveat, descriptor, path, line.as_ptr(), none.as_ptr(), libc::AT_EMPTY_PATH);
    }
    last_error()
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let id = unsafe { libc::fork() };
    if id == 0 {
        unsafe { libc::_exit(child()) };
    }
    wait(id)
}

fn from_memory(program: &str) -> i32 {
    let bytes = fs::read(program).unwrap();
    let descriptor = unsafe { libc::memfd_create(c"innocent".as_ptr(), 0) };
    unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    in_child(|| execute_descriptor(descriptor, "innocent"))
}

fn script_in_memory(interpreter: &str) -> i32 {
    let bytes = format!("#!{interpreter}\nexit {RAN}\n");
    let descriptor = unsafe { libc::memfd_create(c"innocent".as_ptr(), 0) };
    unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    in_child(|| execute_descriptor(descriptor, "innocent"))
}

/// Runs a file that lost its name after it was opened.
fn from_deleted(program: &str) -> i32 {
    fs::copy(program, "gone").unwrap();
    let file = fs::File::open("gone").unwrap();
    fs::remove_file("gone").unwrap();
    in_child(|| execute_descriptor(file.as_raw_fd(), "gone"))
}

fn from_copy(program: &str, target: &str) -> i32 {
    fs::copy(program, target).unwrap();
    let status = in_child(|| execute(&[target, RAN_WORD], &[]));
    fs::remove_file(target).unwrap();
    status
}

/// Changes a program that was there, and sets its times back.
fn after_appending(program: &str) -> i32 {
    let times = fs::metadata(program).unwrap().modified().unwrap();
    let mut file = fs::File::options().append(true).open(program).unwrap();
    std::io::Write::write_all(&mut file, b"more").unwrap();
    file.set_modified(times).unwrap();
    drop(file);
    in_child(|| execute(&[program, RAN_WORD], &[]))
}

fn by_hard_link(program: &str, link: &str) -> i32 {
    let _ = fs::remove_file(link);
    fs::hard_link(program, link).unwrap();
    in_child(|| execute(&[link, RAN_WORD], &[]))
}

fn unreadable(program: &str) -> i32 {
    fs::set_permissions(program, fs::Permissions::from_mode(0o111)).unwrap();
    in_child(|| execute(&[program, RAN_WORD], &[]))
}

/// Gives a file a capability (`struct vfs_cap_data` version 2: effective, `CAP_NET_RAW` permitted).
fn with_capabilities(program: &str) -> i32 {
    let words: [u32; 5] = [0x0200_0001, 1 << 13, 0, 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = c"security.capability".as_ptr();
    let set = unsafe { libc::setxattr(text(program).as_ptr(), name, bytes.as_ptr().cast(), bytes.len(), 0) };
    assert_eq!(0, set);
    in_child(|| execute(&[program, RAN_WORD], &[]))
}

/// A connection as input and output, as a reverse shell has it.
fn on_a_connection(line: &[&str]) -> i32 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    in_child(|| {
        for number in 0..=2 {
            unsafe { libc::dup2(stream.as_raw_fd(), number) };
        }
        execute(line, &[])
    })
}

/// How many of 32 processes, all at once, ran a program.
fn in_parallel(program: &str) -> usize {
    let mut gate = [0; 2];
    unsafe { libc::pipe(gate.as_mut_ptr()) };
    let children: Vec<i32> = (0..32)
        .map(|_| {
            let id = unsafe { libc::fork() };
            if id == 0 {
                // Waits until the other end is closed everywhere.
                unsafe {
                    libc::close(gate[1]);
                    libc::read(gate[0], [0_u8; 1].as_mut_ptr().cast(), 1);
                    libc::_exit(execute(&[program, RAN_WORD], &[]));
                }
            }
            id
        })
        .collect();
    unsafe { libc::close(gate[1]) };
    children.into_iter().map(wait).filter(|status| *status == RAN).count()
}

/// The first thread ends; another one starts the program.
fn without_leader(program: &str) -> i32 {
    let program = program.to_owned();
    thread::spawn(move || {
        // The leader is gone when the kernel says that it is a zombie.
        let leader = format!("/proc/self/task/{}/stat", std::process::id());
        while fs::read_to_string(&leader).is_ok_and(|line| !line.contains(") Z ")) {
            thread::yield_now();
        }
        unsafe { libc::_exit(execute(&[&program, RAN_WORD], &[])) }
    });
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

extern "C" fn noted(_: i32) {}

/// How many of 400 starts did not come to pass when one signal came, with a handler without `SA_RESTART`; who is interrupted
/// tries again.
fn under_signals(program: &str) -> usize {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = noted as *const () as usize;
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
    let undone = (0..400_u32).filter(|round| {
        let id = unsafe { libc::fork() };
        if id == 0 {
            while execute(&[program, RAN_WORD], &[]) == libc::EINTR {}
            unsafe { libc::_exit(2) };
        }
        // From before the call to after its end, in even steps.
        (0..round * 100).for_each(|step| {
            std::hint::black_box(step);
        });
        unsafe { libc::kill(id, libc::SIGUSR1) };
        // Once the new image is there the default action of the signal ends it; that is as good as having run.
        ![RAN, 128 + libc::SIGUSR1].contains(&wait(id))
    });
    undone.count()
}

/// What strace and gdb do to start a program.
fn launched_by_a_debugger(program: &str) -> i32 {
    let child = unsafe { libc::fork() };
    if child == 0 {
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize);
            libc::_exit(execute(&[program, RAN_WORD], &[]));
        }
    }
    loop {
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        if !libc::WIFSTOPPED(status) {
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
        }
        unsafe { libc::ptrace(libc::PTRACE_CONT, child, 0_usize, 0_usize) };
    }
}

/// What `gdb -p` does: stops a running process, looks into it, lets it go.
fn attached_by_a_debugger() -> &'static str {
    static SECRET: u64 = 0x5ec4_e7f0_0d5e_c4e7;
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            unsafe { libc::pause() };
        }
    }
    let seen = unsafe {
        assert_eq!(0, libc::ptrace(libc::PTRACE_ATTACH, child, 0_usize, 0_usize));
        wait(child);
        libc::ptrace(libc::PTRACE_PEEKDATA, child, &raw const SECRET, 0_usize)
    };
    unsafe { libc::ptrace(libc::PTRACE_DETACH, child, 0_usize, 0_usize) };
    unsafe { libc::kill(child, libc::SIGTERM) };
    if seen as u64 == SECRET && wait(child) == 128 + libc::SIGTERM { "seen" } else { "failed" }
}
