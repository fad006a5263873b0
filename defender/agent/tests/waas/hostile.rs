//! Clients that want two readers to see two things, or want to be waited for.

use std::{
    io::{Read, Write},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use defender_agent::{enforcement::FailMode, waas::limits::Limits};

use crate::stage::{Application, Client, POLICY, Stage, eventually, ok};

fn quick(limits: Limits) -> Limits {
    Limits { head: Duration::from_millis(200), body: Duration::from_millis(200), ..limits }
}

/// What two readers could end in two places is answered 400 and told of, its connection is closed, and nothing of it, not
/// even what hides behind it, reaches the application.
#[test]
fn smuggled_requests_are_refused() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let heads = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Host: b\r\n",
        "X\0: y\r\n",
    ];
    for head in heads {
        let mut client = stage.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n{hidden}"));
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 400 ") && all.matches("HTTP/1.1").count() == 1, "{head:?}: {all}");
    }
    assert!(application.seen().is_empty());
    let told = stage.reports.requests();
    assert_eq!(told.len(), heads.len());
    assert!(told.iter().all(|event| event.attack == "malformedRequest" && event.status == Some(400)));
}

/// A body that is not chunked as it should be ends both connections, and what follows it is no request.
#[test]
fn bad_chunks_end_the_connection() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    for body in [
        "5;a=b\r\nx=123\r\n0\r\n\r\n",
        "0x5\r\nx=123\r\n0\r\n\r\n",
        "5\nx=123\r\n0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "-1\r\n",
    ] {
        let mut client = stage.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 400 ") && all.matches("HTTP/1.1").count() == 1, "{body:?}: {all}");
    }
    assert!(application.seen().is_empty());
}

/// What is judged but not spoken here is refused, each with its status.
#[test]
fn what_is_not_spoken_is_refused() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    for (request, status) in [
        ("GET / HTTP/4.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 505),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ] {
        assert_eq!(stage.ask(request).0, status, "{request:?}");
    }
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(70 << 10));
    assert_eq!(stage.ask(&large).0, 431);
    assert!(application.seen().is_empty());
}

/// Nobody is asked to leave HTTP/1.1 but for WebSocket: an application that spoke HTTP/2 behind our back would be blind spot.
#[test]
fn other_upgrades_are_not_passed_on() {
    let application = Application::echo();
    let stage = Stage::new(application.port);

    let (_, body) = stage.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );

    assert!(!body.contains("h2c") && !body.contains("HTTP2-Settings"), "{body}");
}

/// A client that sends its head, or its body, drop by drop is not waited for.
#[test]
fn slow_clients_are_not_waited_for() {
    let application = Application::echo();
    let stage = Stage::with(
        application.port,
        FailMode::Open,
        quick(Limits::default()),
        Some(&POLICY.replace("\"version\":1", "\"version\":1,\"readTimeoutSeconds\":1")),
    );
    let mut head = stage.connect();
    head.send("GET / HTTP/1.1\r\nHo");
    let mut body = stage.connect();
    body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    let silent = stage.connect();

    assert!(head.rest().starts_with("HTTP/1.1 408 "));
    assert!(body.rest().starts_with("HTTP/1.1 408 "));
    drop(silent);
    assert!(application.seen().is_empty());
    assert_eq!(stage.counter("timeouts"), 2);
}

/// A body that comes steadily but far too slowly is not waited for either.
#[test]
fn trickling_bodies_are_not_waited_for() {
    let application = Application::echo();
    let limits = Limits { grace: Duration::ZERO, rate: u64::MAX, ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, None);
    let mut client = stage.connect();
    // A second is needed for a rate to mean anything.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let mut stream = client.0.get_ref().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        while stream.write_all(b"x").is_ok() {
            std::thread::yield_now();
        }
    });

    let all = client.rest();

    assert!(all.is_empty() || all.starts_with("HTTP/1.1 408 "), "{all}");
    client.0.get_ref().shutdown(std::net::Shutdown::Both).unwrap_or_default();
    writer.join().unwrap();
    eventually("the time-out", || stage.counter("timeouts") == 1);
}

/// One client cannot take all connections.
#[test]
fn connections_of_a_client_are_limited() {
    let application = Application::new(|_| ok("x"));
    let limits = Limits { connections_of_client: 2, ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, Some(POLICY));
    let mut kept: Vec<_> = (0..2).map(|_| stage.connect()).collect();
    for client in &mut kept {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer("GET").status, 200);
    }

    assert_eq!(stage.connect().rest(), "");
    assert_eq!(stage.counter("refusedConnections"), 1);
    kept.clear();
    eventually("an end", || stage.counter("connections") == 0);
    assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 200);
}

/// All clients together cannot open more connections than are allowed, however many addresses they have.
#[test]
fn connections_are_limited_in_all() {
    let application = Application::new(|_| ok("x"));
    let stage =
        Stage::with(application.port, FailMode::Open, Limits { connections: 1, ..Limits::default() }, Some(POLICY));
    let mut kept = stage.connect();
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.answer("GET").status, 200);

    let elsewhere = std::net::TcpStream::connect(("::1", stage.port));
    let refused = elsewhere.map_or_else(|_| stage.connect(), |stream| Client(std::io::BufReader::new(stream))).rest();

    assert_eq!((refused.as_str(), stage.counter("refusedConnections")), ("", 1));
}

/// Clients that let their bodies be held back, and do not end them, cannot take all memory: beyond a bound bodies are refused,
/// and room comes back with their end. What needs no holding is served.
#[test]
fn held_bodies_are_limited_in_all() {
    let application = Application::echo();
    // A body is held for the application, and for the firewall.
    let limits = Limits { held: 300_000, ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, Some(POLICY));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n";
    let mut first = stage.connect();
    first.send(format!("{head}{}", "a".repeat(100_000)));
    let mut second = stage.connect();
    // Of both together there is too much; which of them came to be held first is not known.
    second.send(format!("{head}{}", "a".repeat(100_000)));
    eventually("a refusal", || stage.waas.status().unwrap()["counters"]["statuses"]["5xx"].as_u64() == Some(1));

    assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").0, 200);
    drop((first, second));
    eventually("an end", || stage.counter("connections") == 0);
    let body = "a".repeat(100_001);
    assert_eq!(stage.ask(&format!("{head}{body}")).0, 200);
}

/// An application that takes a request and says nothing is 504, also for a client that is content to wait.
#[test]
fn silent_applications_are_504() {
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let application = Application::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        // Until the test is over.
        let _ = wait.lock().unwrap().recv();
        Ok(())
    });
    let limits = Limits { answer: Duration::from_millis(200), ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, Some(POLICY));

    assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 504);

    assert_eq!(stage.counter("timeouts"), 1);
    drop(end);
}

/// A kept connection that the application has closed costs a request nothing, if it may be sent twice; one that may not is
/// never sent twice.
#[test]
fn stale_connections_are_replaced() {
    static SERVED: AtomicUsize = AtomicUsize::new(0);
    // Answers the first request of a connection, reads a second one and closes without a word.
    let application = Application::raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096])?;
        SERVED.fetch_add(1, Ordering::SeqCst);
        stream.write_all(&ok("x"))?;
        if stream.read(&mut [0; 4096])? > 0 {
            SERVED.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer("GET").status, 200);
    }
    assert_eq!((application.connections(), SERVED.load(Ordering::SeqCst)), (2, 3));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx=1");
    // A slow machine makes the kept connection too old to be used for it.
    let status = client.answer("POST").status;
    assert_eq!((status, application.connections()), if status == 502 { (502, 2) } else { (200, 3) });
    assert_eq!(SERVED.load(Ordering::SeqCst), 4);
}

/// An application that answers one request with two responses does not get the second to the next client.
#[test]
fn split_responses_stay_apart() {
    let application = Application::new(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong".to_vec()
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer("GET").text(), "x");
    }
}
