//! What the benchmarks measure: small things done many times, in short batches of which the quickest counts.
//!
//! `workload hello` prints one line; `workload measure PERCENT`, `workload net PERCENT` and `workload files PERCENT` print `NAME NANOSECONDS` for each
//! figure, with as many operations per batch as the argument says in percent of the usual.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]
use std::{
    env,
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::CommandExt,
    process::Command,
    thread,
    time::Instant,
};

const BATCHES: u32 = 30;

fn main() {
    let words: Vec<String> = env::args().collect();
    if words.get(3).is_some_and(|word| word == "uncached") {
        defeat_cache();
    }
    match words.get(1).map(String::as_str) {
        Some("nothing") => {}
        Some("measure") => measure(percent(&words)),
        Some("net") => measure_network(percent(&words)),
        Some("files") => measure_files(percent(&words)),
        _ => println!("hello"),
    }
}

fn percent(words: &[String]) -> u32 {
    words.get(2).and_then(|percent| percent.parse().ok()).unwrap_or(100)
}

fn measure(percent: u32) {
    starts(percent);
    sockets(percent);
    ping_pong(percent);
    figure("getpid", 20_000 * percent / 100, || {
        let _ = unsafe { libc::syscall(libc::SYS_getpid) };
    });
    figure("read_open", 500 * percent / 100, || drop(File::open("/workload").unwrap()));
    unsafe { libc::signal(libc::SIGUSR1, noted as *const () as libc::sighandler_t) };
    figure("signal", 500 * percent / 100, || {
        unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
    });
}

/// Threads, processes and programs.
fn starts(percent: u32) {
    let own = env::current_exe().unwrap();
    let command = || {
        let mut command = Command::new(&own);
        command.arg0("workload").arg("nothing");
        command
    };
    // Something to do between the two makes the library fork; otherwise it spawns, sharing memory until the exec.
    figure("fork_exec", 20 * percent / 100, || {
        let mut command = command();
        unsafe { command.pre_exec(|| Ok(())) };
        assert!(command.status().unwrap().success());
    });
    figure("posix_spawn", 20 * percent / 100, || assert!(command().status().unwrap().success()));
    figure("fork", 50 * percent / 100, || unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        assert_eq!(child, libc::waitpid(child, std::ptr::null_mut(), 0));
    });
    figure("thread", 100 * percent / 100, || thread::spawn(|| {}).join().unwrap());
}

fn sockets(percent: u32) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || for _ in listener.incoming() {});
    figure("connect_tcp", 100 * percent / 100, || drop(TcpStream::connect(address).unwrap()));
    figure("dns_lookup", 20 * percent / 100, look_up);
    // Nobody reads: what does not fit any more is dropped, at the same cost for both sides.
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = receiver.local_addr().unwrap();
    figure("udp_sendto", 200 * percent / 100, || assert_eq!(1, sender.send_to(b"x", address).unwrap()));
    sender.connect(address).unwrap();
    figure("udp_send", 500 * percent / 100, || assert_eq!(1, sender.send(b"x").unwrap()));
}

/// One more filter: loads the first argument, and allows whatever it is.
fn defeat_cache() {
    let instruction = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 16),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let description = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const description)
    };
    assert_eq!(0, done);
}

/// Connecting, sending on connected and unconnected sockets, starting to listen.
fn measure_network(percent: u32) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || for _ in listener.incoming() {});
    figure("connect_tcp", 100 * percent / 100, || drop(TcpStream::connect(address).unwrap()));
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = receiver.local_addr().unwrap();
    figure("udp_send_to", 200 * percent / 100, || drop(sender.send_to(b"x", place)));
    sender.connect(place).unwrap();
    figure("udp_send", 1000 * percent / 100, || drop(sender.send(b"x")));
    figure("socket", 500 * percent / 100, || drop(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()));
    figure("listen", 100 * percent / 100, || drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()));
}

/// Opening to read, opening to write, making and removing.
fn measure_files(percent: u32) {
    std::fs::create_dir_all(env::temp_dir()).unwrap();
    let file = env::temp_dir().join("workload");
    std::fs::write(&file, "x").unwrap();
    figure("open_read", 500 * percent / 100, || drop(File::open(&file).unwrap()));
    figure("open_write", 100 * percent / 100, || drop(OpenOptions::new().write(true).open(&file).unwrap()));
    figure("create_remove", 50 * percent / 100, || {
        drop(OpenOptions::new().write(true).create_new(true).open(file.with_extension("new")).unwrap());
        std::fs::remove_file(file.with_extension("new")).unwrap();
    });
}

extern "C" fn noted(_: i32) {}

/// One question on a fresh, connected socket, as the C libraries ask it.
fn look_up() {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, 53)).unwrap();
    socket.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04good\x04test\x00\x00\x01\x00\x01").unwrap();
    assert!(socket.recv(&mut [0; 512]).unwrap() > 12);
}

fn ping_pong(percent: u32) {
    let (mut outward, mut sender) = pipe();
    let (mut inward, mut echo) = pipe();
    thread::spawn(move || {
        let mut byte = [0];
        while outward.read_exact(&mut byte).is_ok() {
            echo.write_all(&byte).unwrap();
        }
    });
    figure("pipe", 200 * percent / 100, || {
        sender.write_all(b"x").unwrap();
        inward.read_exact(&mut [0]).unwrap();
    });
}

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

fn figure(name: &str, operations: u32, mut operation: impl FnMut()) {
    let operations = operations.max(1);
    let batch = |_| {
        let start = Instant::now();
        (0..operations).for_each(|_| operation());
        start.elapsed().as_nanos() as f64 / f64::from(operations)
    };
    println!("{name} {:.1}", (0..BATCHES).map(batch).fold(f64::INFINITY, f64::min));
}
