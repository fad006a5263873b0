//! Policies that change and a proxy that ends while requests are under way.

use std::{
    process::{Child, Command},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use defender_agent::{enforcement::FailMode, waas::limits::Limits};

use crate::stage::{Application, Client, POLICY, Stage, eventually, ok};

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
    for client in clients {
        client.join().unwrap();
    }

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

/// A sidecar as the platform starts it, in a mount namespace of its own, where its directory is nobody else's.
fn sidecar(ports: &str) -> Child {
    let nowhere = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let pin = "0".repeat(64);
    let bundle =
        format!(r#"{{"v":1,"id":"b1","secret":"hush","pins":["{pin}"],"addresses":["wss://127.0.0.1:{nowhere}"]}}"#);
    let own = "mkdir -p /var/lib/bartizan && mount -t tmpfs none /var/lib/bartizan && exec \"$0\" fargate sidecar";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", own, env!("CARGO_BIN_EXE_defender")])
        .env("INSTALL_BUNDLE", STANDARD.encode(bundle))
        .env("FARGATE_TASK", "shop")
        .env("DEFENDER_CONTAINERS", r#"[{"name":"web","image":"shop:1"}]"#)
        .env("DEFENDER_FAIL_MODE", "open")
        .env("DEFENDER_WAAS_PORTS", ports)
        .spawn()
        .unwrap()
}

/// A sidecar that is told to end (SIGTERM) answers what is under way first, and ends then.
#[test]
fn a_terminated_sidecar_answers_first() {
    const SIGTERM: i32 = 15;
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
    let port = { std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port() };
    let mut sidecar = sidecar(&format!("{port}:{}", application.port));
    let open = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    eventually("an open port", open);
    let mut busy = Client::new(port);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    reached.wait();

    // `unshare` and the shell have become the sidecar.
    defender_sys::signals::send(i32::try_from(sidecar.id()).unwrap(), SIGTERM).unwrap();

    eventually("a closed port", || !open());
    go.send(()).unwrap();
    assert_eq!((busy.answer("GET").status, sidecar.wait().unwrap().code()), (200, Some(0)));
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
