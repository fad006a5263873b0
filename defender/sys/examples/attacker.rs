//! A hostile program for the attack tests (`defender/agent/tests`): each mode tries one way round the Defender and prints what
//! it achieved as one word or number. Called by the name `evil` it is the program that must never run.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)] // an attacker takes no care
mod patience;

use std::{
    env,
    ffi::{CStr, CString},
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    process::exit,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

const EVIL_RAN: i32 = 77;

fn main() {
    let words: Vec<String> = env::args().collect();
    let image = env::current_exe().unwrap_or_default();
    if words[0].ends_with("evil") || image.ends_with("evil") {
        exit(EVIL_RAN);
    }
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    match word(1) {
        "" | "nothing" => {}
        "exec" => exit(execute(word(2))),
        "race-buffer" => race_buffer(word(2), word(3), tries(word(4))),
        "race-link" => race_link(word(2), word(3), tries(word(4))),
        "race-address" => race_address(tries(word(2))),
        "memfd" => println!("{}", run_from_memory(word(2))),
        "chroot" => println!("{}", run_in_chroot(word(2), word(3))),
        "vfork" => println!("{}", by_vfork(word(2))),
        "thread" => println!("{}", by_thread(word(2))),
        "untraced" => println!("{}", by_untraced_clone(word(2))),
        "foreign" => println!("{}", foreign_table()),
        "uring" => println!("{}", uring()),
        "fastopen" => println!("{}", fast_open(number(word(2)) as u16)),
        "many" => println!("{}", send_many(number(word(2)) as u16)),
        "defender" => attack_defender(unsafe { libc::getppid() }),
        "waiting" => connect_while_executing(word(2)),
        "credentials" => println!("{}", peer_credentials()),
        other => panic!("no such attack: {other}"),
    }
}

fn number(word: &str) -> u32 {
    word.parse().unwrap_or(0)
}

/// How often a race is tried.
fn tries(word: &str) -> u32 {
    patience::tries(number(word))
}

fn path(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// Runs a program with itself as only argument; gives the error when that fails.
fn execute(program: &str) -> i32 {
    let program = path(program);
    let arguments = [program.as_ptr(), ptr::null()];
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), ptr::null()) };
    std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Forks, runs `child` there, gives its exit status.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let id = unsafe { libc::fork() };
    if id == 0 {
        unsafe { libc::_exit(child()) };
    }
    wait(id)
}

/// Another process flips the bytes of the path between check and use.
fn race_buffer(good: &str, evil: &str, tries: u32) {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    let buffer: *mut u8 = page.cast();
    let (good, evil) = (path(good), path(evil));
    let put =
        |text: &CStr| unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.to_bytes_with_nul().len()) };
    put(&good);
    let flipper = unsafe { libc::fork() };
    if flipper == 0 {
        loop {
            put(&evil);
            put(&good);
        }
    }
    let ran = (0..tries).filter(|_| {
        let arguments = [c"nothing".as_ptr(), ptr::null()];
        let status = in_child(|| {
            unsafe { libc::execve(buffer.cast(), arguments.as_ptr(), ptr::null()) };
            1
        });
        status == EVIL_RAN
    });
    println!("{}", ran.count());
    unsafe { libc::kill(flipper, libc::SIGKILL) };
    wait(flipper);
}

/// A thread exchanges the link that the path leads through.
fn race_link(good: &str, evil: &str, tries: u32) {
    let folder = fs::canonicalize(".").unwrap();
    let (link, spare) = (folder.join("race-link"), folder.join("race-link.new"));
    let stop = Arc::new(AtomicBool::new(false));
    let flipper = thread::spawn({
        let (stop, link, good, evil) = (stop.clone(), link.clone(), good.to_owned(), evil.to_owned());
        move || {
            while !stop.load(Ordering::Relaxed) {
                for target in [&evil, &good] {
                    let _ = std::os::unix::fs::symlink(target, &spare);
                    let _ = fs::rename(&spare, &link);
                }
            }
        }
    });
    let link = link.to_string_lossy().into_owned();
    println!("{}", (0..tries).filter(|_| in_child(|| execute(&link)) == EVIL_RAN).count());
    stop.store(true, Ordering::Relaxed);
    flipper.join().unwrap();
}

/// Copies a program into memory that has no name in any directory, and runs it from there.
fn run_from_memory(program: &str) -> i32 {
    let bytes = fs::read(program).unwrap();
    let descriptor = unsafe { libc::memfd_create(c"innocent".as_ptr(), 0) };
    unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    in_child(|| {
        let arguments = [c"evil".as_ptr(), ptr::null()];
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                descriptor,
                c"".as_ptr(),
                arguments.as_ptr(),
                ptr::null::<u8>(),
                libc::AT_EMPTY_PATH,
            );
        }
        1
    })
}

/// Puts a program of its own where an allowed one lies, inside another root, and runs it by the allowed path.
fn run_in_chroot(allowed: &str, other: &str) -> i32 {
    let root = fs::canonicalize(".").unwrap().join("root");
    let disguised = root.join(allowed.trim_start_matches('/'));
    fs::create_dir_all(disguised.parent().unwrap()).unwrap();
    fs::copy(other, &disguised).unwrap();
    in_child(|| {
        std::os::unix::fs::chroot(&root).unwrap();
        execute(allowed)
    })
}

fn by_vfork(program: &str) -> i32 {
    let program = path(program);
    let arguments = [program.as_ptr(), ptr::null()];
    #[allow(deprecated)]
    let child = unsafe { libc::vfork() };
    if child == 0 {
        unsafe {
            libc::execve(program.as_ptr(), arguments.as_ptr(), ptr::null());
            libc::_exit(1);
        }
    }
    wait(child)
}

fn by_thread(program: &str) -> i32 {
    in_child(|| {
        thread::spawn({
            let program = program.to_owned();
            move || execute(&program)
        })
        .join()
        .unwrap_or(1)
    })
}

/// A child that asks not to be traced.
fn by_untraced_clone(program: &str) -> i32 {
    let flags = (libc::CLONE_UNTRACED | libc::SIGCHLD) as u64;
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
    if child == 0 {
        unsafe { libc::_exit(execute(program)) };
    }
    wait(child)
}

/// The 32-bit table from 64-bit code: getpid there has another number, so only the table can answer.
#[cfg(target_arch = "x86_64")]
fn foreign_table() -> i64 {
    let answer: i64;
    unsafe { std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => answer) };
    i64::from(answer as i32)
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_table() -> i64 {
    -i64::from(libc::ENOSYS)
}

fn uring() -> i32 {
    let mut parameters = [0_u8; 120];
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
    if ring < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
}

fn raw_address(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

/// A thread flips the port between check and use. Prints how many connections reached the forbidden server.
fn race_address(tries: u32) {
    let servers = [7777, 6666].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    for server in servers {
        thread::spawn(move || for _ in server.incoming() {});
    }
    let address = Box::leak(Box::new(raw_address(7777)));
    let port = &raw mut address.sin_port as usize;
    thread::spawn(move || {
        loop {
            unsafe { ptr::write_volatile(port as *mut u16, 6666_u16.to_be()) };
            unsafe { ptr::write_volatile(port as *mut u16, 7777_u16.to_be()) };
        }
    });
    let reached = (0..tries).filter(|_| unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let (mut peer, mut length) = (raw_address(0), 16);
        libc::connect(socket, (&raw const *address).cast(), 16);
        let connected = libc::getpeername(socket, (&raw mut peer).cast(), &raw mut length) == 0;
        libc::close(socket);
        connected && peer.sin_port == 6666_u16.to_be()
    });
    println!("{}", reached.count());
}

fn fast_open(port: u16) -> i32 {
    let address = raw_address(port);
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let sent = libc::sendto(socket, c"x".as_ptr().cast(), 1, libc::MSG_FASTOPEN, (&raw const address).cast(), 16);
        if sent < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
    }
}

/// sendmmsg with an allowed message first and a forbidden one second; prints how many were sent.
fn send_many(forbidden: u16) -> i32 {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(open) = receiver.local_addr().unwrap() else { unreachable!() };
    let mut addresses = [raw_address(open.port()), raw_address(forbidden)];
    let mut part = libc::iovec { iov_base: c"hello".as_ptr().cast_mut().cast(), iov_len: 5 };
    let mut messages: Vec<libc::mmsghdr> = addresses
        .iter_mut()
        .map(|address| {
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_name = ptr::from_mut(address).cast();
            message.msg_hdr.msg_namelen = 16;
            message.msg_hdr.msg_iov = &raw mut part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), 2, 0) };
    assert!(sent < 1 || messages[0].msg_len == 5);
    sent
}

/// Tries to reach into the Defender; prints the names of what worked.
fn attack_defender(defender: i32) {
    let opens = |name: &str| fs::File::options().read(true).open(format!("/proc/{defender}/{name}")).is_ok();
    let call = |number, a: i64, b: i64, c: i64| unsafe { libc::syscall(number, a, b, c, 0, 0, 0) } >= 0;
    let id = i64::from(defender);
    let mut byte = [0_u8; 8];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 8 };
    let limits = libc::rlimit { rlim_cur: 3, rlim_max: 3 };
    let results = [
        ("mem", opens("mem")),
        ("environ", opens("environ")),
        ("maps", opens("maps")),
        ("ptrace", call(libc::SYS_ptrace, i64::from(libc::PTRACE_SEIZE), id, 0)),
        (
            "read",
            unsafe { libc::syscall(libc::SYS_process_vm_readv, id, &raw const local, 1, &raw const local, 1, 0) } >= 0,
        ),
        ("prlimit", unsafe { libc::syscall(libc::SYS_prlimit64, id, libc::RLIMIT_NOFILE, &raw const limits, 0) } >= 0),
        ("pidfd", call(libc::SYS_pidfd_open, id, 0, 0)),
        ("kill", call(libc::SYS_kill, id, i64::from(libc::SIGKILL), 0)),
        ("stop", call(libc::SYS_kill, id, i64::from(libc::SIGSTOP), 0)),
        ("tgkill", call(libc::SYS_tgkill, id, id, i64::from(libc::SIGKILL))),
        ("priority", call(libc::SYS_setpriority, 0, id, 19)),
    ];
    let worked: Vec<&str> = results.iter().filter(|(_, worked)| *worked).map(|(name, _)| *name).collect();
    println!("worked: {}", worked.join(" "));
}

/// Blocks in connect on a full backlog and runs a program meanwhile; prints the program's status.
fn connect_while_executing(program: &str) {
    let listener = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    let address = raw_address(7979);
    unsafe {
        assert_eq!(0, libc::bind(listener, (&raw const address).cast(), 16));
        libc::listen(listener, 0);
    }
    let stuck = unsafe { libc::fork() };
    if stuck == 0 {
        let fill: Vec<_> = (0..4).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, 7979))).collect();
        unsafe { libc::_exit(fill.len() as i32) };
    }
    println!("{}", in_child(|| execute(program)));
    unsafe { libc::kill(stuck, libc::SIGKILL) };
    wait(stuck);
}

/// Connects to an own local socket; prints whether the peer's credentials there are this process's own.
fn peer_credentials() -> bool {
    let name = format!("attacker-{}.sock", std::process::id());
    let listener = std::os::unix::net::UnixListener::bind(&name).unwrap();
    let _client = std::os::unix::net::UnixStream::connect(&name).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let _ = fs::remove_file(&name);
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    unsafe {
        let pointer = (&raw mut credentials).cast();
        libc::getsockopt(accepted.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, pointer, &raw mut length);
    }
    credentials.pid as u32 == std::process::id()
}
