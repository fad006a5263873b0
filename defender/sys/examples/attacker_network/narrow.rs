// The 32-bit table of x86-64, used by a 64-bit program: arguments that lie in memory lie below 4 GiB.

/// One call by the 32-bit table.
#[cfg(target_arch = "x86_64")]
fn by_32(number: i64, arguments: [u32; 5]) -> i32 {
    let answer: i64;
    let [first, second, third, fourth, fifth] = arguments.map(u64::from);
    unsafe {
        std::arch::asm!("push rbx", "mov rbx, {first}", "int 0x80", "pop rbx", first = in(reg) first,
            inlateout("rax") number => answer, in("rcx") second, in("rdx") third, in("rsi") fourth, in("rdi") fifth,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    answer as i32
}

#[cfg(not(target_arch = "x86_64"))]
fn by_32(_: i64, _: [u32; 5]) -> i32 {
    -libc::ENOSYS
}

const MAP_32BIT: i32 = 0x40;
const SOCKETCALL: i64 = 102;
const SOCKETCALL_CONNECT: u32 = 3;

/// Memory that a 32-bit pointer reaches.
struct Low(u32);

impl Low {
    fn new() -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | MAP_32BIT;
        let memory =
            unsafe { libc::mmap(ptr::null_mut(), 65536, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        let at = u32::try_from(memory as usize).unwrap();
        Self(at)
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.0;
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at as usize as *mut u8, bytes.len()) };
        self.0 += bytes.len().next_multiple_of(8) as u32;
        at
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        self.put(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>())
    }

    fn address(&mut self, address: SocketAddr) -> u32 {
        let (raw, length) = raw_address(address);
        self.put(unsafe { std::slice::from_raw_parts((&raw const raw).cast(), length as usize) })
    }
}

/// Runs a program, which gets `nothing` as its argument; its exit status, or the error of execve.
fn narrow_run(program: &str) -> i32 {
    let mut low = Low::new();
    let (path, word) = (low.put(program.as_bytes()), low.put(b"nothing\0"));
    let vector = low.words(&[path, word, 0]);
    let child = unsafe { libc::fork() };
    if child == 0 {
        let error = by_32(11, [path, vector, vector + 8, 0, 0]);
        unsafe { libc::_exit(-error) };
    }
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Connects to an own server by the call itself and by way of socketcall; both errors.
fn narrow_connect(port: u16) -> String {
    let _server = TcpListener::bind(local(port)).unwrap();
    let mut low = Low::new();
    let address = low.address(local(port));
    let sockets = [(); 2].map(|()| stream_socket(libc::AF_INET) as u32);
    let direct = by_32(362, [sockets[0], address, 16, 0, 0]);
    let arguments = low.words(&[sockets[1], address, 16]);
    format!("{direct} {}", by_32(SOCKETCALL, [SOCKETCALL_CONNECT, arguments, 0, 0, 0]))
}

/// Sends a datagram by sendmsg, by sendmmsg, and by sendto of socketcall, whose structures have 32-bit pointers; what came.
fn narrow_send(port: u16) -> String {
    let receiver = UdpSocket::bind(local(port)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind(local(0)).unwrap();
    let mut low = Low::new();
    let (address, payload) = (low.address(local(port)), low.put(b"narrow"));
    let vector = low.words(&[payload, 3, payload + 3, 3]);
    let header = low.words(&[address, 16, vector, 2, 0, 0, 0, 0]);
    let socket = sender.as_raw_fd() as u32;
    let arguments = low.words(&[socket, payload, 6, 0, address, 16]);
    let sent = [
        by_32(370, [socket, header, 0, 0, 0]),
        by_32(345, [socket, header, 1, 0, 0]),
        by_32(SOCKETCALL, [11, arguments, 0, 0, 0]),
    ];
    let mut came = 0;
    let mut buffer = [0; 16];
    while let Ok(length) = receiver.recv(&mut buffer) {
        came += u32::from(&buffer[..length] == b"narrow");
    }
    format!("{} {came}", sent.map(|sent| sent.to_string()).join(" "))
}

/// Connects by way of socketcall while another thread exchanges the socket (a local one, an internet one) and the address (an
/// allowed port, port 6666) in the arguments; prints how often port 6666 was reached.
fn narrow_race(tries: u32) -> usize {
    let servers = [6665, 6666].map(|port| TcpListener::bind(local(port)).unwrap());
    let [other, server] = servers;
    server.set_nonblocking(true).unwrap();
    thread::spawn(move || other.incoming().for_each(drop));
    let mut low = Low::new();
    let addresses = [6665, 6666].map(|port| low.address(local(port)));
    let unix = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) } as u32;
    let arguments = low.words(&[unix, addresses[0], 16]);
    let stream = std::sync::Arc::new(AtomicU32::new(unix));
    let current = stream.clone();
    thread::spawn(move || {
        let word = |index: usize, value: u32| unsafe {
            ptr::write_volatile((arguments as usize + 4 * index) as *mut u32, value);
        };
        loop {
            for (socket, address) in [(unix, 0), (current.load(Ordering::Relaxed), 1), (current.load(Ordering::Relaxed), 0)] {
                word(0, socket);
                word(1, addresses[address]);
                (0..20).for_each(|_| std::hint::spin_loop());
            }
        }
    });
    let reached = (0..tries).filter(|_| {
        let socket = stream_socket(libc::AF_INET);
        stream.store(socket as u32, Ordering::Relaxed);
        by_32(SOCKETCALL, [SOCKETCALL_CONNECT, arguments, 0, 0, 0]);
        unsafe { libc::close(socket) };
        server.accept().is_ok()
    });
    reached.count()
}

/// Traces the Defender, and raises its limits; both errors.
fn narrow_attack() -> String {
    let above = unsafe { libc::getppid() } as u32;
    let limits = Low::new().words(&[3, 0, 3, 0]);
    format!("{} {}", by_32(26, [16, above, 0, 0, 0]), by_32(340, [above, 7, limits, 0, 0]))
}

/// Creates a file by open and by openat, makes it longer than four gigabytes, renames it and removes it; what each returned, 0
/// for a descriptor.
fn narrow_write(path: &str) -> String {
    let mut low = Low::new();
    let (path, other) = (low.put(path.as_bytes()), low.put(path.replace('\0', ".new\0").as_bytes()));
    let flags = (libc::O_WRONLY | libc::O_CREAT) as u32;
    let here = libc::AT_FDCWD as u32;
    let results = [
        by_32(5, [path, flags, 0o600, 0, 0]),
        by_32(295, [here, path, flags, 0o600, 0]),
        by_32(193, [path, 5, 1, 0, 0]),
        by_32(38, [path, other, 0, 0, 0]),
        by_32(10, [other, 0, 0, 0, 0]),
    ];
    results.map(|result| result.min(0).to_string()).join(" ")
}
