// Look-ups in every way, and a resolver that plays every trick.

const PATIENCE: Duration = Duration::from_secs(3);

fn query(id: u16, name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, edns.is_some().into()]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([kind.to_be_bytes(), [0, 1]].concat());
    if let Some(size) = edns {
        message.extend([0, 0, 41]);
        message.extend(size.to_be_bytes());
        message.extend([0; 6]);
    }
    message
}

/// Code, truncation, whether the question came back as it was, and the addresses.
fn read_answer(query: &[u8], answer: &[u8]) -> String {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let same = answer.get(12..end) == Some(&query[12..end]) && answer[..2] == query[..2];
    let mut words = vec![(answer[3] & 15).to_string(), (answer[2] & 2 != 0).to_string(), same.to_string()];
    // Our resolver's records have a pointer for a name and four bytes of data.
    for record in answer.get(end..).unwrap_or_default().chunks_exact(16).take(answer[7].into()) {
        words.push(IpAddr::from([record[12], record[13], record[14], record[15]]).to_string());
    }
    words.join(" ")
}

fn udp(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(patient(PATIENCE))).unwrap();
    socket.connect(server).unwrap();
    socket
}

fn ask(server: SocketAddr, query: &[u8]) -> String {
    let (socket, mut buffer) = (udp(server), [0; 1500]);
    socket.send(query).unwrap();
    match socket.recv(&mut buffer) {
        Ok(length) => read_answer(query, &buffer[..length]),
        Err(_) => "silence".into(),
    }
}

fn lookup(how: &str, name: &str, server: &str) -> String {
    let server: SocketAddr = server.parse().unwrap();
    let plain = query(7, name, 1, None);
    match how {
        "udp" => ask(server, &plain),
        "edns" => ask(server, &query(7, name, 1, Some(1400))),
        "any" => ask(server, &query(7, name, 255, None)),
        "update" => {
            let mut update = plain;
            update[2] = 0x28;
            ask(server, &update)
        }
        "unconnected" => ask_unconnected(server, &plain),
        "fast" => ask_fast(server, &plain),
        "two-in-one" => ask_unconnected(server, &two_in_one(name)),
        "picky" => ask_pickily(server, &plain, |_| ()),
        "untied" => ask_pickily(server, &plain, |socket| tie(socket, "")),
        "aimed" => ask_through(server, &plain, "near"),
        "reused" => ask_and_reuse(server, &plain),
        "pair" => ask_pair(server, name),
        "tcp" => ask_stream(server, &vec![plain; 20]),
        "transfer" => ask_stream(server, &[query(7, name, 252, None)]),
        other => panic!("no such way of asking: {other}"),
    }
}

/// As musl asks over TCP: by fast open on a socket that does not wait, and again once it is connected.
fn ask_fast(server: SocketAddr, question: &[u8]) -> String {
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) };
    let framed = [&(question.len() as u16).to_be_bytes()[..], question].concat();
    let (raw, length) = raw_address(server);
    let place = (&raw const raw).cast();
    let sent = unsafe {
        libc::sendto(socket, framed.as_ptr().cast(), framed.len(), libc::MSG_FASTOPEN, place, length)
    };
    let waiting = sent < 0 && last() == libc::EINPROGRESS;
    if sent < 0 && !waiting {
        return format!("refused {}", last());
    }
    let mut one = libc::pollfd { fd: socket, events: libc::POLLOUT, revents: 0 };
    unsafe { libc::poll(&raw mut one, 1, patient(PATIENCE).as_millis() as i32) };
    let mut stream = unsafe { TcpStream::from_raw_fd(socket) };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(patient(PATIENCE))).unwrap();
    if waiting && stream.write_all(&framed).is_err() {
        return "not connected".into();
    }
    read_framed(&mut stream).map_or_else(|| "silence".into(), |answer| read_answer(question, &answer))
}

/// A message that says that it holds two questions, which many servers take for the first one's.
fn two_in_one(name: &str) -> Vec<u8> {
    let mut message = query(7, name, 1, None);
    message[5] = 2;
    message.extend_from_within(12..);
    message
}

/// Looks up `count` names, each another one, while a hundred questions that nobody answers are on their way; prints how many
/// were answered, and by how many KiB the Defender grew since the first thousand.
fn storm(server: SocketAddr, count: u32) -> String {
    let (silent, socket, mut buffer) = (udp(server), udp(server), [0; 1500]);
    for id in 0..100 {
        silent.send(&query(id, "dead.test", 1, None)).unwrap();
    }
    let (mut answered, mut before) = (0, memory_of_parent());
    for number in 0..count {
        if number == 1000 {
            before = memory_of_parent();
        }
        let question = query(number as u16, &format!("n{number}.flood.test"), 1, None);
        socket.send(&question).unwrap();
        // An answer that came too late for its own question is not this one's.
        while let Ok(length) = socket.recv(&mut buffer) {
            if buffer[..2] == question[..2] {
                let said = read_answer(&question, &buffer[..length]);
                answered += u32::from(said.ends_with(&flooded(number).to_string()));
                break;
            }
        }
    }
    format!("{answered} {}", memory_of_parent().saturating_sub(before))
}

/// What the names of a storm have: each another address.
fn flooded(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0b00_0000 + number)
}

fn memory_of_parent() -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", std::os::unix::process::parent_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// As musl asks: the answer's source is compared.
fn ask_unconnected(server: SocketAddr, query: &[u8]) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(patient(PATIENCE))).unwrap();
    if let Err(error) = socket.send_to(query, server) {
        return format!("refused {}", error.raw_os_error().unwrap());
    }
    let mut buffer = [0; 1500];
    match socket.recv_from(&mut buffer) {
        Ok((length, source)) if source == server => read_answer(query, &buffer[..length]),
        other => format!("{other:?}"),
    }
}

/// Connected, and with an ear for no answer but from the server's address.
fn ask_pickily(server: SocketAddr, query: &[u8], ready: impl Fn(&UdpSocket)) -> String {
    for _ in 0..2 {
        let (socket, mut buffer) = (udp(server), [0; 1500]);
        socket.set_read_timeout(Some(patient(PATIENCE / 4))).unwrap();
        ready(&socket);
        // As c-ares, which asks again on the same socket and opens another for the next look-up.
        for _ in 0..2 {
            socket.send(query).unwrap();
            while let Ok((length, source)) = socket.recv_from(&mut buffer) {
                if source.ip() == server.ip() {
                    return read_answer(query, &buffer[..length]);
                }
            }
        }
    }
    "silence".into()
}

/// Ties a socket to an interface, or to none.
fn tie(socket: &UdpSocket, interface: &str) {
    let (name, length) = (interface.as_ptr().cast(), interface.len() as u32);
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name, length) };
}

fn tied_to(socket: &UdpSocket) -> String {
    let (mut name, mut length) = ([0_u8; 16], 16);
    let place = name.as_mut_ptr().cast();
    unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, place, &raw mut length) };
    String::from_utf8_lossy(&name[..length as usize]).trim_end_matches('\0').to_owned()
}

/// On a connected socket, with a message that says through which interface it wants to leave.
fn ask_through(server: SocketAddr, query: &[u8], interface: &str) -> String {
    let (socket, mut buffer) = (udp(server), [0; 1500]);
    let name = std::ffi::CString::new(interface).unwrap();
    let info = libc::in_pktinfo {
        ipi_ifindex: unsafe { libc::if_nametoindex(name.as_ptr()) } as i32,
        ipi_spec_dst: libc::in_addr { s_addr: 0 },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let mut part = libc::iovec { iov_base: query.as_ptr().cast_mut().cast(), iov_len: query.len() };
    let mut control = [0_u64; 8];
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of_val(&info) as u32) } as _;
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::IPPROTO_IP;
        (*message).cmsg_type = libc::IP_PKTINFO;
        (*message).cmsg_len = libc::CMSG_LEN(size_of_val(&info) as u32) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0);
    }
    match socket.recv(&mut buffer) {
        Ok(length) => read_answer(query, &buffer[..length]),
        Err(_) => "silence".into(),
    }
}

/// One socket for a resolver, a datagram elsewhere, another peer, and the resolver again.
fn ask_and_reuse(server: SocketAddr, query: &[u8]) -> String {
    let (socket, mut buffer) = (udp(server), [0; 1500]);
    let mut answer = || {
        socket.send(query).unwrap();
        socket.recv(&mut buffer).map_or_else(|_| "silence".into(), |length| read_answer(query, &buffer[..length]))
    };
    let first = answer();
    socket.send_to(b"x", SocketAddr::new(server.ip(), 99)).unwrap();
    let second = answer();
    socket.connect(SocketAddr::new(server.ip(), 99)).unwrap();
    let interface = tied_to(&socket);
    socket.connect(server).unwrap();
    format!("{first}; {second}; `{interface}`; {}", answer())
}

/// As glibc asks: two questions in one call; prints how many were answered.
fn ask_pair(server: SocketAddr, name: &str) -> String {
    let socket = udp(server);
    let questions = [query(7, name, 1, None), query(8, name, 28, None)];
    let mut parts = questions.each_ref().map(|question| libc::iovec {
        iov_base: question.as_ptr().cast_mut().cast(),
        iov_len: question.len(),
    });
    let mut messages: [libc::mmsghdr; 2] = unsafe { zeroed() };
    for (message, part) in messages.iter_mut().zip(&mut parts) {
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
    }
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), 2, 0) };
    let answered = (0..2).filter(|_| socket.recv(&mut [0; 1500]).is_ok()).count();
    format!("{sent} {answered}")
}

/// Many questions in one stream, sent before the first answer is read; prints how many were answered, and the last answer.
fn ask_stream(server: SocketAddr, questions: &[Vec<u8>]) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(patient(PATIENCE))).unwrap();
    let framed = questions.iter().flat_map(|question| [&(question.len() as u16).to_be_bytes()[..], question].concat());
    stream.write_all(&framed.collect::<Vec<u8>>()).unwrap();
    let (mut count, mut last) = (0, "silence".into());
    let most = if questions.len() == 1 { 3 } else { questions.len() };
    while count < most {
        let Some(answer) = read_framed(&mut stream) else { break };
        count += 1;
        last = read_answer(&questions[0], &answer);
    }
    format!("{count} {last}")
}

fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Looks a name up and connects to what it got; prints the answer and the connect's error.
fn visit(name: &str, port: u16, server: &str) -> String {
    let answer = lookup("udp", name, server);
    let address = answer.rsplit(' ').next().and_then(|word| word.parse::<IpAddr>().ok());
    let result = address.map_or(-1, |address| connect_to(SocketAddr::new(address, port)));
    format!("{answer}: {result}")
}

/// Does what it is told line by line: `lookup HOW NAME SERVER`, `connect ADDRESS`.
fn follow(_: &str, _: u16) -> String {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["lookup", how, name, server] => println!("{}", lookup(how, name, server)),
            ["connect", address] => println!("{}", connect_to(address.parse().unwrap())),
            other => panic!("no such order: {other:?}"),
        }
    }
    String::new()
}

/// A resolver at the first address given. `NAME=ADDRESS` says what names have; the names of tricks are in [`tricks`].
fn serve(words: &[String]) -> String {
    let address: SocketAddr = words[0].parse().unwrap();
    let names: Vec<(String, Ipv4Addr)> = words[1..]
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, address)| (name.into(), address.parse().unwrap()))
        .collect();
    let (datagrams, streams) = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
    println!("ready");
    let names_of_streams = names.clone();
    thread::spawn(move || {
        for mut stream in streams.incoming().flatten() {
            let names = names_of_streams.clone();
            thread::spawn(move || {
                while let Some(query) = read_framed(&mut stream) {
                    for answer in answers(&query, &names, true) {
                        let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                        stream.write_all(&framed).unwrap();
                    }
                }
            });
        }
    });
    let mut buffer = [0; 1500];
    loop {
        let (length, client) = datagrams.recv_from(&mut buffer).unwrap();
        tricks(&buffer[..length], client);
        for answer in answers(&buffer[..length], &names, false) {
            datagrams.send_to(&answer, client).unwrap();
        }
    }
}

fn name_of(query: &[u8]) -> String {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + usize::from(query[at])]).to_lowercase());
        at += 1 + usize::from(query[at]);
    }
    labels.join(".")
}

/// Answers of others, which must not be believed: another id, another question, another source.
fn tricks(query: &[u8], client: SocketAddr) {
    if name_of(query) == "spoofed.test" {
        let lie = answer(query, Ipv4Addr::new(6, 6, 6, 6));
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().send_to(&lie, client).unwrap();
    }
}

fn answer(query: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut answer = query[..end].to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer[10..12].fill(0);
    answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
    answer.extend(address.octets());
    answer
}

fn answers(query: &[u8], names: &[(String, Ipv4Addr)], stream: bool) -> Vec<Vec<u8>> {
    let name = name_of(query);
    let address = names.iter().find(|(known, _)| *known == name).map_or(Ipv4Addr::new(203, 0, 113, 9), |(_, ip)| *ip);
    let flood = name.strip_prefix('n').and_then(|name| name.strip_suffix(".flood.test"));
    let address = flood.and_then(|number| number.parse().ok()).map_or(address, flooded);
    let good = answer(query, address);
    if query[5] == 2 {
        return vec![[&good[..12], &query[12..], &good[good.len() - 16..]].concat()];
    }
    match name.as_str() {
        "dead.test" => vec![],
        "garbage.test" => vec![vec![0xff; 40], vec![], query[..12].to_vec(), good],
        "huge.test" if stream => {
            let mut huge = good.clone();
            (0..4000).for_each(|_| huge.extend_from_slice(&good[good.len() - 16..]));
            huge[6..8].copy_from_slice(&4001_u16.to_be_bytes());
            vec![huge]
        }
        "invalid" => {
            let mut none = good[..good.len() - 16].to_vec();
            none[3] |= 3;
            none[7] = 0;
            vec![none]
        }
        "big.test" if !stream => {
            let mut cut = good[..good.len() - 16].to_vec();
            cut[2] |= 2;
            cut[7] = 0;
            vec![cut]
        }
        "spoofed.test" => {
            let (mut other_id, mut other_name) = (good.clone(), good.clone());
            other_id[1] ^= 1;
            other_name[13] = b'x';
            vec![other_id, other_name, good]
        }
        // The size that the question's EDNS record announced.
        "edns.test" => {
            let size = &query[query.len() - 8..query.len() - 6];
            vec![answer(query, Ipv4Addr::new(10, 0, size[0], size[1]))]
        }
        "zone.test" if stream => vec![good.clone(), good.clone(), good],
        _ => vec![good],
    }
}
