// Signals that come while a program connects.

static ALARMS: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_alarm(_: i32) {
    ALARMS.fetch_add(1, Ordering::Relaxed);
}

/// Waits in connect while alarms come. With restart the server makes room after a while and the call succeeds.
fn alarm(restart: bool) -> String {
    let (server, filling) = full_server();
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = on_alarm as *const () as usize;
    action.sa_flags = if restart { libc::SA_RESTART } else { 0 };
    let time = libc::timeval { tv_sec: 0, tv_usec: 150_000 };
    let timer = libc::itimerval { it_interval: if restart { time } else { unsafe { zeroed() } }, it_value: time };
    unsafe {
        libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut());
    }
    let address = server.local_addr().unwrap();
    if restart {
        let count = filling.len();
        // Another process makes the room: a thread would get the alarms.
        if unsafe { libc::fork() } == 0 {
            unsafe { libc::signal(libc::SIGALRM, libc::SIG_IGN) };
            thread::sleep(Duration::from_millis(600));
            (0..count).for_each(|_| drop(server.accept()));
            thread::sleep(Duration::from_secs(3));
            exit(0);
        }
    }
    let result = connect_to(address);
    format!("{result} {}", ALARMS.load(Ordering::Relaxed) > 0)
}

/// Handles alarms from now on, and has the calls that they interrupt restarted.
fn handle_alarms() {
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = on_alarm as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
}

/// Connects a socket twice by the very same call, a moment apart, in a program that handles signals; prints both results.
fn again() -> String {
    handle_alarms();
    let server = TcpListener::bind(local(0)).unwrap();
    let (raw, length) = raw_address(server.local_addr().unwrap());
    let socket = stream_socket(libc::AF_INET);
    let results = [(); 2].map(|()| {
        let result = outcome(unsafe { libc::connect(socket, (&raw const raw).cast(), length) }.into());
        unsafe { libc::poll(ptr::null_mut(), 0, 1) };
        result
    });
    results.map(|errno| errno.to_string()).join(" ")
}

/// Connects again and again while one alarm comes, at all moments around the call; prints how many connects failed.
fn interrupted(connects: u32) -> usize {
    handle_alarms();
    let server = TcpListener::bind(local(0)).unwrap();
    let address = server.local_addr().unwrap();
    let steps = 200;
    (0..connects)
        .filter(|number| {
            let delay = patient(Duration::from_micros(1 + u64::from(number % steps)));
            let value = libc::timeval { tv_sec: 0, tv_usec: delay.as_micros() as libc::suseconds_t };
            let timer = libc::itimerval { it_interval: unsafe { zeroed() }, it_value: value };
            let socket = unsafe { OwnedFd::from_raw_fd(stream_socket(libc::AF_INET)) };
            unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
            let result = connect(socket.as_raw_fd(), address);
            drop(server.accept());
            result != 0
        })
        .count()
}
