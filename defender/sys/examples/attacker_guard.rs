//! A workload for the tests of tiers, watchdog and storms: each mode does one thing and prints what came of it.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)] // an attacker takes no care
mod patience;

use std::{
    env,
    ffi::CString,
    io::{Write, stdin},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    process::exit,
    ptr, thread,
    time::{Duration, Instant},
};

use patience::patient;

const EVIL_RAN: i32 = 77;

fn main() {
    let words: Vec<String> = env::args().collect();
    if words[0].ends_with("evil") || env::current_exe().unwrap_or_default().ends_with("evil") {
        exit(EVIL_RAN);
    }
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    match word(1) {
        "nothing" => {}
        "exec" => exit(execute(word(2))),
        "run" => println!("{}", in_child(|| execute(word(2)))),
        "untraced" => println!("{}", untraced(word(2))),
        "thread" => println!("{}", by_thread(word(2))),
        "vfork" => println!("{}", by_vfork(word(2))),
        "many" => many(word(2), word(3).parse().unwrap()),
        "timed" => timed(word(2)),
        "timed-connect" => timed_connect(word(2)),
        "wait" => wait_for_line(word(2)),
        "user" => println!("{}", unsafe { libc::geteuid() }),
        "socket" => println!("{}", hold_socket(word(2), word(3).parse().unwrap(), word(4).parse().unwrap())),
        "race-connect" => println!("{}", race_connect(word(2).parse().unwrap())),
        "job-control" => job_control(),
        "signals" => signals(),
        other => panic!("no such mode: {other}"),
    }
}

/// Runs a program with itself as only argument; gives the error when that fails.
fn execute(program: &str) -> i32 {
    let program = CString::new(program).unwrap();
    let arguments = [program.as_ptr(), c"nothing".as_ptr(), ptr::null()];
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), ptr::null()) };
    std::io::Error::last_os_error().raw_os_error().unwrap_or(1)
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, libc::__WALL) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let id = unsafe { libc::fork() };
    if id == 0 {
        unsafe { libc::_exit(child()) };
    }
    wait(id)
}

/// A child that no tracer is told about; -1 when there is none. It lives long enough to be found.
fn untraced(program: &str) -> i32 {
    let flags = i64::from(libc::CLONE_UNTRACED) | i64::from(libc::SIGCHLD);
    let id = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
    if id == 0 {
        thread::sleep(patient(Duration::from_secs(4)));
        unsafe { libc::_exit(execute(program)) };
    }
    if id < 0 { -1 } else { wait(id) }
}

fn by_thread(program: &str) -> i32 {
    in_child(|| {
        let program = program.to_owned();
        thread::spawn(move || execute(&program)).join().unwrap_or(1)
    })
}

#[allow(deprecated)]
fn by_vfork(program: &str) -> i32 {
    let program = CString::new(program).unwrap();
    let arguments = [program.as_ptr(), c"nothing".as_ptr(), ptr::null()];
    let id = unsafe { libc::vfork() };
    if id == 0 {
        unsafe {
            libc::execve(program.as_ptr(), arguments.as_ptr(), ptr::null());
            libc::_exit(1);
        }
    }
    wait(id)
}

/// Tries to start a program many times; prints how often that was refused.
fn many(program: &str, times: u32) {
    println!("{}", (0..times).filter(|_| in_child(|| execute(program)) == libc::EACCES).count());
}

/// Starts a program; prints its status and whether that took less than two seconds and a bit.
fn timed(program: &str) {
    let start = Instant::now();
    let status = in_child(|| execute(program));
    println!("{status} {}", start.elapsed() < patient(Duration::from_millis(2300)));
}

/// Starts a program, and while that call waits for its answer connects; prints the error and whether it came in time.
fn timed_connect(program: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let child = unsafe { libc::fork() };
    if child == 0 {
        unsafe { libc::_exit(execute(program)) };
    }
    // Asleep in its call: the supervisor has it, or has been asked.
    let asleep = || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") S "));
    let start = Instant::now();
    while !asleep() && start.elapsed() < patient(Duration::from_secs(1)) {
        thread::yield_now();
    }
    let start = Instant::now();
    let error = TcpStream::connect(address).err().and_then(|error| error.raw_os_error()).unwrap_or(0);
    println!("{error} {}", start.elapsed() < patient(Duration::from_millis(2300)));
    wait(child);
}

/// Waits for a line, then tries to start a program and to connect; prints both errors.
fn wait_for_line(program: &str) {
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    let status = in_child(|| execute(program));
    let error = TcpStream::connect((Ipv4Addr::LOCALHOST, 1)).err().and_then(|error| error.raw_os_error());
    println!("{status} {}", error.unwrap_or(0));
    std::io::stdout().flush().unwrap();
    stdin().read_line(&mut line).unwrap();
}

/// Stops a child and lets it go on, fifty times; prints how often both were seen.
fn job_control() {
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            unsafe { libc::pause() };
        }
    }
    let seen = (0..50).filter(|_| {
        let mut status = 0;
        unsafe { libc::kill(child, libc::SIGSTOP) };
        unsafe { libc::waitpid(child, &raw mut status, libc::WUNTRACED) };
        let stopped = libc::WIFSTOPPED(status);
        unsafe { libc::kill(child, libc::SIGCONT) };
        unsafe { libc::waitpid(child, &raw mut status, libc::WCONTINUED) };
        stopped && libc::WIFCONTINUED(status)
    });
    println!("{}", seen.count());
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait(child);
}

extern "C" fn count(_: i32) {
    COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Sends itself a thousand signals; prints how many were handled.
fn signals() {
    let handler: extern "C" fn(i32) = count;
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    for _ in 0..1000 {
        unsafe { libc::raise(libc::SIGUSR1) };
    }
    println!("{}", COUNT.load(std::sync::atomic::Ordering::Relaxed));
}

/// A child that uses `port` in one way and keeps it up for some seconds; its error, or how it ended.
fn hold_socket(way: &str, port: u16, seconds: u64) -> i32 {
    let place = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let _server = (way == "tcp").then(|| TcpListener::bind(place).unwrap());
    in_child(|| {
        let used: Result<Box<dyn std::any::Any>, std::io::Error> = match way {
            "tcp" => TcpStream::connect(place).map(|socket| Box::new(socket) as _),
            "udp" => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|socket| socket.connect(place).map(|()| Box::new(socket) as _)),
            "send" => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|socket| socket.send_to(b"x", place).map(|_| Box::new(socket) as _)),
            "listen" => TcpListener::bind(place).map(|socket| Box::new(socket) as _),
            other => panic!("no such way: {other}"),
        };
        if used.is_ok() {
            thread::sleep(Duration::from_secs(seconds));
        }
        used.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
    })
}

/// A child that connects to port 6665 while another thread makes 6666 of it. Once that succeeded it stays connected for
/// some seconds; 0 when it survived that, 3 when it never succeeded.
fn race_connect(seconds: u64) -> i32 {
    let servers = [6665, 6666].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    for server in servers {
        thread::spawn(move || server.incoming().for_each(drop));
    }
    in_child(|| {
        let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        raw.sin_family = libc::AF_INET as u16;
        raw.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
        let address = Box::leak(Box::new(raw));
        let port = (&raw mut address.sin_port) as usize;
        thread::spawn(move || {
            loop {
                unsafe { ptr::write_volatile(port as *mut u16, 6665_u16.to_be()) };
                unsafe { ptr::write_volatile(port as *mut u16, 6666_u16.to_be()) };
            }
        });
        for _ in 0..50_000 {
            let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
            unsafe { libc::connect(socket, (&raw const *address).cast(), size_of_val(address) as u32) };
            let mut peer = raw;
            let mut length = size_of_val(&peer) as u32;
            let known = unsafe { libc::getpeername(socket, (&raw mut peer).cast(), &raw mut length) };
            if known == 0 && peer.sin_port == 6666_u16.to_be() {
                thread::sleep(Duration::from_secs(seconds));
                return 0;
            }
            unsafe { libc::close(socket) };
        }
        3
    })
}
