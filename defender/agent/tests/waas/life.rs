//! Policies that change and a proxy that ends while requests are under way.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use defender_agent::{enforcement::FailMode, waas::limits::Limits};

use crate::stage::{Application, Client, POLICY, Stage, ok};

/// Policies are swapped under load without one request that fails, and each request is judged by one of them.
#[test]
fn policies_change_under_load() {
    let stage = Arc::new(Stage::new(Application::new(|_| ok("x")).port));
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stage, over, answered) = (stage.clone(), over.clone(), answered.clone());
            thread::spawn(move || {
                let mut client = stage.connect();
                while !over.load(Ordering::Relaxed) {
                    client.send("GET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert!(matches!(client.answer("GET").status, 200 | 403));
                    assert_eq!(client.answer("GET").status, 200);
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..200 {
        let before = answered.load(Ordering::Relaxed);
        let policy = if round % 2 == 0 { r#"{"version":1,"rule":"shop","applications":[]}"# } else { POLICY };
        stage.waas.take_policy("22", Some(policy));
        let end = Instant::now() + Duration::from_secs(10);
        while answered.load(Ordering::Relaxed) < before + 8 && Instant::now() < end {
            thread::yield_now();
        }
    }
    over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());

    assert!(answered.load(Ordering::Relaxed) >= 1600);
    assert!(stage.counter("blocked") > 0);
}

/// The end waits for requests under way, closes what waits for nothing, and takes nobody new.
#[test]
fn the_end_waits_for_requests() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let reached = Arc::new(Barrier::new(2));
    let there = reached.clone();
    let application = Application::new(move |request| {
        if request.head.starts_with("GET /slow ") {
            there.wait();
            wait.lock().unwrap().recv().unwrap();
        }
        ok("x")
    });
    let stage = Stage::new(application.port);
    let (mut idle, mut busy) = (stage.connect(), stage.connect());
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.answer("GET").status, 200);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    reached.wait();
    let waas = stage.waas.clone();
    let ending = thread::spawn(move || waas.stop());

    assert_eq!(idle.rest(), "");
    go.send(()).unwrap();
    let answer = busy.answer("GET");
    assert!(answer.status == 200 && answer.head.contains("Connection: close\r\n"), "{}", answer.head);
    ending.join().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", stage.port)).is_err());
}

/// A request that does not end does not hold up the end for ever.
#[test]
fn the_end_does_not_wait_for_ever() {
    let reached = Arc::new(Barrier::new(2));
    let there = reached.clone();
    let application = Application::new(move |_| {
        there.wait();
        thread::park();
        Vec::new()
    });
    let limits = Limits { drain: Duration::from_millis(100), ..Limits::default() };
    let stage = Stage::with(application.port, FailMode::Open, limits, Some(POLICY));
    let mut client: Client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    reached.wait();

    stage.waas.stop();

    assert_eq!(client.rest(), "");
}

/// A port that only a policy names is opened with it, and a proxy without ports waits for one.
#[test]
fn policies_open_ports() {
    let application = Application::new(|_| ok("x"));
    let stage = Stage::closed();
    assert!(stage.waas.status().is_none());
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let policy = format!(
        r#"{{"version":1,"rule":"r","applications":[{{"appID":"a","sqli":{{"effect":"prevent"}},
            "apiSpec":{{"endpoints":[{{"host":"*","basePath":"*","exposedPort":{port},"internalPort":{}}}]}}}}]}}"#,
        application.port
    );

    stage.waas.take_policy("33", Some(&policy));

    crate::stage::eventually("the port", || stage.waas.ports().iter().any(|open| open.exposed == port));
    let mut client = Client::new(port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer("GET").status, 200);
    let status = stage.waas.status().unwrap();
    assert_eq!(
        (status["hash"].as_str(), status["ports"][0]["internal"].as_u64()),
        (Some("33"), Some(application.port.into()))
    );
}
