//! The proxy between clients and applications that speak HTTP/1.1, each by bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "waas/hostile.rs"]
mod hostile;
#[path = "waas/life.rs"]
mod life;
#[path = "waas/rules.rs"]
mod rules;
#[path = "waas/secure.rs"]
mod secure;
#[path = "waas/shared.rs"]
mod shared;
#[path = "waas/stage.rs"]
mod stage;
#[path = "waas/streams.rs"]
mod streams;

use std::{
    io::{Read, Write},
    time::Duration,
};

use defender_agent::{enforcement::FailMode, waas::limits::Limits};
use stage::{Application, Client, Stage, eventually, field, ok};

/// An ordinary request reaches the application, made anew, and its response the client.
#[test]
fn requests_pass() {
    let application = Application::echo();
    let stage = Stage::new(application.port);

    let (status, body) =
        stage.ask("GET /a%20b?c=%3Cd HTTP/1.1\r\nhOST: shop:80\r\nX-A:  1 \r\nConnection: close\r\n\r\n");

    assert_eq!(status, 200);
    assert_eq!(
        body,
        "GET /a%20b?c=%3Cd HTTP/1.1\r\nHost: shop:80\r\nX-A: 1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
    );
}

/// Requests of one connection share one connection to the application, also when they come all at once.
#[test]
fn connections_are_kept() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let mut client = stage.connect();

    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx=1GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    let bodies: Vec<String> = (0..3).map(|_| client.answer("GET").text()).collect();

    assert!(bodies[0].starts_with("GET /1 ") && bodies[1].ends_with("\r\n\r\nx=1") && bodies[2].starts_with("GET /3 "));
    assert_eq!(application.connections(), 1);
}

/// An attack is answered in the application's place, in whatever phase it is seen, and the connection serves on.
#[test]
fn attacks_are_stopped() {
    let application = Application::new(|request| {
        let leak = if request.head.contains("/leak") { "X-Leak: attack\r\n" } else { "" };
        format!("HTTP/1.1 200 OK\r\n{leak}Content-Length: 0\r\n\r\n").into_bytes()
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();

    for request in [
        "GET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nq=attack",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\nq=at\r\n4\r\ntack\r\n0\r\n\r\n",
    ] {
        client.send(request);
        let answer = client.answer("GET");
        assert_eq!((answer.status, answer.text().contains("blocked")), (403, true), "{request}");
    }
    assert!(application.seen().is_empty());
    client.send("GET /leak HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer("GET").status, 403);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer("GET").status, 200);
    assert_eq!((stage.counter("blocked"), stage.counter("requests")), (4, 5));
}

/// Chunks stay chunks on both ways when they are not held back, and what comes after them arrives.
#[test]
fn chunks_and_trailers_pass() {
    let application = Application::new(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-Sum: 3\r\nContent-Length: 9\r\n\r\n".to_vec()
    });
    let stage = Stage::with(application.port, FailMode::Open, Limits::default(), None);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");

    let all = client.rest();

    assert!(all.ends_with("3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n"), "{all}");
    assert!(all.contains("Trailer: X-Sum\r\n") && all.contains("Transfer-Encoding: chunked\r\n"));
    let seen = &application.seen()[0];
    assert_eq!((&seen.body[..], field(&seen.head, "transfer-encoding")), (&b"abc"[..], Some("chunked")));
}

/// A client that waits for a word is given it, once.
#[test]
fn expectations_are_met() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");

    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("x=1");
    let answer = client.answer("POST");
    assert!(answer.status == 200 && answer.text().ends_with("x=1") && !answer.text().contains("Expect"));
    assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n").0, 417);
}

/// A response has a body or none as RFC 9112 says, and the connection stays in order after each.
#[test]
fn responses_keep_their_framing() {
    let application = Application::new(|request| {
        let words: Vec<&str> = request.head.split(' ').collect();
        match words[1] {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_vec(),
            "/103" => {
                b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec()
            }
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        }
    });
    let stage = Stage::new(application.port);
    let mut client = stage.connect();

    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer("HEAD");
    assert_eq!((answer.status, field(&answer.head, "content-length")), (200, Some("5")));
    for (path, status) in [("/204", 204), ("/304", 304), ("/103", 103)] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer("GET").status, status);
    }
    let answer = client.answer("GET");
    assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
}

/// A body that ends with the application's connection is chunked for a client that can, and ends its connection otherwise.
#[test]
fn bodies_until_the_end_pass() {
    let application = Application::raw(|mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nabc")
    });
    let stage = Stage::new(application.port);

    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!((answer.text().as_str(), field(&answer.head, "transfer-encoding")), ("abc", Some("chunked")));
    let mut client = stage.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let all = client.rest();
    assert!(all.ends_with("\r\n\r\nabc") && all.contains("Connection: close\r\n"), "{all}");
}

/// An application that is not there, or breaks off, is told apart from one that answers.
#[test]
fn broken_applications_are_502() {
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    assert_eq!(Stage::new(closed).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 502);
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "no http\r\n\r\n",
    ] {
        let application = Application::raw(move |mut stream| {
            let _ = stream.read(&mut [0; 1024])?;
            stream.write_all(answer.as_bytes())
        });
        let stage = Stage::new(application.port);
        assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 502, "{answer:?}");
        assert!(!stage.waas.status().unwrap()["counters"]["errors"].as_array().unwrap().is_empty());
    }
}

/// A response that breaks off is not made to look whole; one whose beginning was to be judged first is none.
#[test]
fn a_cut_response_stays_cut() {
    let application = Application::raw(|mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    });
    for (stage, end) in
        [(Stage::with_nothing(application.port), "3\r\nabc\r\n"), (Stage::new(application.port), "502\n")]
    {
        let mut client = stage.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let all = client.rest();
        assert!(all.ends_with(end), "{all}");
    }
}

/// Without a policy requests pass unjudged or not at all, as was chosen.
#[test]
fn without_a_policy_the_fail_mode_counts() {
    let application = Application::new(|_| ok("x"));
    let request = "GET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\n";
    let stage = |fail_mode| Stage::with(application.port, fail_mode, Limits::default(), None);

    assert_eq!(stage(FailMode::Open).ask(request).0, 200);
    let closed = stage(FailMode::Closed);
    assert_eq!(closed.ask(request).0, 503);
    closed.waas.take_policy("11", Some(stage::POLICY));
    assert_eq!(closed.ask(request).0, 403);
    assert_eq!(closed.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 200);
}

/// A policy that cannot be read leaves the last one in force, and the state says so.
#[test]
fn a_bad_policy_is_refused() {
    let application = Application::new(|_| ok("x"));
    let stage = Stage::new(application.port);

    stage.waas.take_policy("11", Some(r#"{"applications":[{"appID":""}]}"#));

    let status = stage.waas.status().unwrap();
    assert_eq!(status["hash"], "00");
    assert!(status["error"].as_str().unwrap().contains("appID"));
    assert_eq!(stage.ask("GET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\n").0, 403);
}

/// A client that sends no more still gets its response.
#[test]
fn half_closed_clients_are_answered() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.done();

    assert_eq!(client.answer("GET").status, 200);
    assert_eq!(client.rest(), "");
}

/// A client that goes away takes its request to the application with it.
#[test]
fn gone_clients_let_go() {
    let (gone, told) = std::sync::mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let application = Application::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        let end = stream.read(&mut [0; 1]);
        gone.lock().unwrap().send(end.is_err() || end.is_ok_and(|count| count == 0)).unwrap();
        Ok(())
    });
    let limits = Limits { send: Duration::from_millis(50), ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, Some(stage::POLICY));
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || application.connections() == 1);
    drop(client);

    assert!(told.recv_timeout(stage::PATIENCE).unwrap());
    eventually("the end", || stage.counter("connections") == 0);
}

/// Keep-alive ends when either side says so.
#[test]
fn connections_close_when_told() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"] {
        let mut client: Client = stage.connect();
        client.send(request);
        assert_eq!(client.answer("GET").status, 200);
        assert_eq!(client.rest(), "");
    }
}
