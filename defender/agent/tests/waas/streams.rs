//! Bodies and connections that go on for long.

use std::{
    env, fs,
    io::{self, BufReader, Read, Write},
    process::Command,
    sync::{Mutex, mpsc},
    thread,
};

use crate::stage::{Application, Client, PATIENCE, Stage, eventually, field, ok, read_head};

/// Whether this process is there for one test alone; if not, the test is run in such a process, and must succeed there.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let own = Command::new(env::current_exe().unwrap()).args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&own.stdout);
    assert!(own.status.success() && said.contains(" 1 passed"), "{said}{}", String::from_utf8_lossy(&own.stderr));
    false
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A gigabyte goes through in constant memory, its beginning held back and judged, the rest passed on piece by piece.
#[test]
fn a_gigabyte_needs_no_memory() {
    const SIZE: u64 = 1 << 30;
    // Other tests of this process need memory meanwhile.
    if !is_alone("streams::a_gigabyte_needs_no_memory") {
        return;
    }
    let application = Application::raw(|stream| {
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let head = read_head(&mut reader);
        let length: u64 = field(&head, "content-length").unwrap().parse().unwrap();
        let read = io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        reader.get_mut().write_all(&ok(&read.to_string()))
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    let mut stream = client.0.get_ref().try_clone().unwrap();
    let before = resident();
    let writer = thread::spawn(move || {
        let piece = vec![b'a'; 1 << 20];
        let mut most = 0;
        for _ in 0..SIZE >> 20 {
            stream.write_all(&piece).unwrap();
            most = most.max(resident());
        }
        most
    });

    assert_eq!(client.answer("POST").text(), SIZE.to_string());
    let most = writer.join().unwrap();
    assert!(most < before + (48 << 20), "{} MiB more", (most - before) >> 20);
    assert_eq!(stage.counter("inspectionLimitExceeded"), 1);
}

/// A client that does not read holds up the application, not the memory.
#[test]
fn slow_readers_hold_up_the_application() {
    let (written, told) = mpsc::channel();
    let written = Mutex::new(written);
    let application = Application::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        stream.set_write_timeout(Some(std::time::Duration::from_millis(300)))?;
        let piece = vec![b'a'; 1 << 20];
        // The time-out says that nobody takes any more.
        let count = (0..1024).take_while(|_| stream.write_all(&piece).is_ok()).count();
        written.lock().unwrap().send(count).unwrap();
        Ok(())
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

    let taken = told.recv_timeout(PATIENCE).unwrap();

    assert!(taken < 64, "{taken} MiB were taken");
}

/// An event of a stream is there before the next one is made.
#[test]
fn events_come_at_once() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let application = Application::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        for number in 0..3 {
            stream.write_all(format!("data: {number}\n\n").as_bytes())?;
            wait.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

    assert!(client.head().contains("text/event-stream"));
    for number in 0..3 {
        assert_eq!(client.chunk(), format!("data: {number}\n\n").as_bytes());
        go.send(()).unwrap();
    }
    assert!(client.chunk().is_empty());
}

/// An application that answers before it has read the body is heard, and the connection ends.
#[test]
fn early_answers_are_heard() {
    let application = Application::raw(|mut stream| {
        let _ = stream.read(&mut [0; 16])?;
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")?;
        // Closing now would take the answer back.
        io::copy(&mut stream, &mut io::sink())?;
        Ok(())
    });
    let stage = Stage::with_nothing(application.port);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");

    let answer = client.answer("POST");

    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    assert_eq!(field(&answer.head, "connection"), Some("close"));
}

/// An application that speaks WebSocket, and says every text back.
fn echo() -> Application {
    Application::raw(|stream| {
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader);
        assert!(field(&head, "sec-websocket-extensions").is_none() && field(&head, "sec-websocket-key").is_some());
        reader.get_mut().write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        )?;
        loop {
            let mut head = [0; 6];
            reader.read_exact(&mut head)?;
            let mut payload = vec![0; usize::from(head[1] & 0x7f)];
            reader.read_exact(&mut payload)?;
            payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= head[2 + index % 4]);
            let mut frame = vec![head[0], payload.len() as u8];
            frame.extend(payload);
            reader.get_mut().write_all(&frame)?;
        }
    })
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 77, 177, 0];
    let mut frame = vec![first, 0x80 | payload.len() as u8];
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

fn next_frame(client: &mut Client) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    client.0.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    client.0.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

fn open(stage: &Stage) -> Client {
    let mut client = stage.connect();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Upgrade: websocket\r\n"), "{head}");
    client
}

/// What both sides say over a WebSocket arrives, in pieces as in one.
#[test]
fn web_sockets_pass() {
    let stage = Stage::new(echo().port);
    let mut client = open(&stage);

    client.send(frame(0x81, b"hello"));
    assert_eq!(next_frame(&mut client), (0x81, b"hello".to_vec()));
    client.send(frame(0x82, &[0xff, 0]));
    assert_eq!(next_frame(&mut client), (0x82, vec![0xff, 0]));
    client.send(frame(0x01, b"one "));
    client.send(frame(0x89, b"there?"));
    assert_eq!(next_frame(&mut client), (0x89, b"there?".to_vec()));
    client.send(frame(0x80, b"two"));
    assert_eq!(next_frame(&mut client), (0x01, b"one ".to_vec()));
    assert_eq!(next_frame(&mut client), (0x80, b"two".to_vec()));
}

/// An attack in a text, also one cut into pieces or hidden in JSON, never reaches the application; the client is told why.
#[test]
fn attacks_over_web_sockets_are_stopped() {
    for texts in [
        vec![frame(0x81, b"an attack")],
        vec![frame(0x01, b"an att"), frame(0x80, b"ack")],
        vec![frame(0x81, br#"{"a":["\u0061ttack"]}"#)],
        vec![frame(0x82, b"an attack")],
    ] {
        let stage = Stage::new(echo().port);
        let mut client = open(&stage);
        client.send(texts.concat());
        let (first, payload) = next_frame(&mut client);
        assert_eq!((first, &payload[..2]), (0x88, &1008_u16.to_be_bytes()[..]));
        assert_eq!(stage.counter("blocked"), 1);
        let told = stage.reports.requests();
        assert_eq!((told.len(), told[0].attack.as_str(), told[0].path.as_str()), (1, "sqli", "/chat"));
    }
}

/// Frames that no client sends end the connection.
#[test]
fn bad_frames_are_refused() {
    for bytes in [&[0xc1, 0x80, 0, 0, 0, 0][..], &[0x81, 0x01, b'a'], &[0x80, 0x80, 0, 0, 0, 0]] {
        let stage = Stage::new(echo().port);
        let mut client = open(&stage);
        client.send(bytes);
        let (first, payload) = next_frame(&mut client);
        assert_eq!((first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]), "{bytes:?}");
    }
}

/// The upgrade itself is judged.
#[test]
fn upgrades_are_judged() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let request = "GET /?q=attack HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    assert_eq!(stage.ask(request).0, 403);
    assert!(application.seen().is_empty());
    eventually("the end", || stage.counter("connections") == 0);
}
