// Descriptors that travel between processes, and one that is two things at once.

/// One message with a descriptor over a local socket.
fn send_descriptor(socket: i32, descriptor: i32) -> i32 {
    let mut byte = [0_u8; 1];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 4];
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(4) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), descriptor);
    }
    outcome(unsafe { libc::sendmsg(socket, &raw const header, 0) } as i64)
}

fn receive_descriptor(socket: i32) -> Option<i32> {
    let mut byte = [0_u8; 1];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 4];
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    let received = unsafe { libc::recvmsg(socket, &raw mut header, 0) };
    let message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    (received == 1 && !message.is_null()).then(|| unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast()) })
}

/// Passes a pipe's end to itself over a local socket and reads through it.
fn pass_descriptor() -> String {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut pipe = [0; 2];
    unsafe { libc::pipe(pipe.as_mut_ptr()) };
    let sent = send_descriptor(one.as_raw_fd(), pipe[0]);
    let received = receive_descriptor(other.as_raw_fd()).unwrap();
    unsafe { fs::File::from_raw_fd(pipe[1]) }.write_all(b"through").unwrap();
    let mut text = String::new();
    unsafe { fs::File::from_raw_fd(received) }.read_to_string(&mut text).unwrap();
    format!("{sent} {text}")
}

/// Outside the workload: connects, and gives the connection to whoever asks at the local socket.
fn give_connection(path: &str, server: SocketAddr) -> String {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    println!("ready");
    for client in listener.incoming().flatten() {
        let connection = TcpStream::connect(server).unwrap();
        send_descriptor(client.as_raw_fd(), connection.as_raw_fd());
        // Kept open in nobody else's hands.
        drop(connection);
    }
    String::new()
}

/// Gets connections that it did not make and holds them, until that is reported; whether it lives to tell is the question.
/// What stands in the table at first is nobody's fault, so it gets one after the other.
fn receive_connections(path: &str, seconds: u32) -> String {
    let (begin, mut held) = (Instant::now(), Vec::new());
    while begin.elapsed() < patient(Duration::from_secs(seconds.into())) {
        let client = std::os::unix::net::UnixStream::connect(path).unwrap();
        held.push(receive_descriptor(client.as_raw_fd()).unwrap());
        thread::sleep(Duration::from_millis(300));
        if fs::read_to_string("audits.jsonl").is_ok_and(|text| text.contains("unseenConnection")) {
            return "noticed".into();
        }
    }
    "unnoticed".into()
}

/// An honest server and client: accepts connections from outside and inside, stops listening, connects again with the same
/// socket, and holds everything while the audit looks a few times.
fn accept_and_hold(seconds: u32) -> String {
    let server = TcpListener::bind("10.7.0.1:7000").unwrap();
    let outside = server.accept().unwrap();
    let inside = TcpStream::connect("10.7.0.1:7000").unwrap();
    let accepted = server.accept().unwrap();
    drop(server);
    let begin = Instant::now();
    let mut held = Vec::new();
    while begin.elapsed() < patient(Duration::from_secs(seconds.into())) {
        let server = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let client = TcpStream::connect(("::ffff:127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        held.push((client, server.accept().unwrap()));
        thread::sleep(Duration::from_millis(100));
    }
    drop((outside, inside, accepted, held));
    "alive".into()
}

/// Outside the workload: connects to its server and stays.
fn stay(server: SocketAddr) -> String {
    println!("ready");
    let connection = std::iter::repeat_with(|| TcpStream::connect(server)).find_map(Result::ok);
    thread::sleep(patient(Duration::from_mins(1)));
    drop(connection);
    String::new()
}

/// One descriptor that is a local socket when it is looked at and an internet one when it is used, and an address likewise.
/// Prints how many connections reached the forbidden server, port 6666.
fn swap(tries: u32, address_too: bool) -> usize {
    let server = TcpListener::bind(local(6666)).unwrap();
    let reached = std::sync::Arc::new(AtomicU32::new(0));
    let counter = reached.clone();
    thread::spawn(move || {
        for client in server.incoming() {
            counter.fetch_add(1, Ordering::Relaxed);
            drop(client);
        }
    });
    let unix = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
    let target = unsafe { libc::dup(unix) };
    let (raw, length) = raw_address(local(6666));
    let address = Box::leak(Box::new(raw));
    let place = &raw mut *address as usize;
    let inet = std::sync::Arc::new(AtomicU32::new(stream_socket(libc::AF_INET) as u32));
    let current = inet.clone();
    thread::spawn(move || {
        loop {
            unsafe {
                libc::dup2(unix, target);
                if address_too {
                    ptr::write_volatile(place as *mut u16, libc::AF_UNIX as u16);
                }
            }
            std::hint::spin_loop();
            unsafe {
                ptr::write_volatile(place as *mut u16, libc::AF_INET as u16);
                libc::dup2(current.load(Ordering::Relaxed) as i32, target);
            }
        }
    });
    for _ in 0..tries {
        unsafe { libc::connect(target, (&raw const *address).cast(), length) };
        let old = inet.swap(stream_socket(libc::AF_INET) as u32, Ordering::Relaxed);
        unsafe { libc::close(old as i32) };
    }
    reached.load(Ordering::Relaxed) as usize
}
