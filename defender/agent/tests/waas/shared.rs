//! Who a client is, and what is known of it at all ports of a task.

use std::{
    io::{Read, Write},
    net::UdpSocket,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use defender_agent::waas::ports::Port;

use crate::stage::{Application, Client, PATIENCE, Stage, eventually, ok};

const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const FROM_NINE: &str = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n";

fn ask(port: u16, target: &str, fields: &str) -> (u16, String) {
    let mut client = Client::new(port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
    let answer = client.answer("GET");
    (answer.status, answer.text())
}

/// Who comes over a trusted proxy is known by the address that the proxy saw, and only by that; the application hears of the whole way.
#[test]
fn trusted_proxies_tell_of_clients() {
    let stage = Stage::new(Application::echo().port);

    assert_eq!(ask(stage.port, "/?q=attack", FROM_NINE).0, 403);
    let (_, body) = ask(stage.port, "/", FROM_NINE);

    let told = &stage.reports.requests()[0];
    assert_eq!((told.address.as_str(), &told.peers[..]), ("203.0.113.9", &["127.0.0.1".to_owned()][..]));
    assert!(body.contains("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.1\r\n"), "{body}");
}

/// What a client says of itself is believed neither by the firewall nor passed on to the application.
#[test]
fn clients_cannot_choose_their_address() {
    let stage = Stage::new(Application::echo().port);
    let policy = crate::stage::POLICY.replace("\"rule\"", "\"trustedProxies\":[],\"rule\"");
    stage.waas.take_policy("1", Some(&policy));
    let spoofed = format!("{FROM_NINE}X-Forwarded-Proto: https\r\n");

    assert_eq!(ask(stage.port, "/?q=attack", &spoofed).0, 403);
    let (_, body) = ask(stage.port, "/", &spoofed);

    let told = &stage.reports.requests()[0];
    assert_eq!((told.address.as_str(), &told.url[..5]), ("127.0.0.1", "http:"));
    assert!(body.contains("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"), "{body}");
}

/// A client that is banned at one port of a task is banned at the others, of whichever container they are; others are not.
#[test]
fn bans_hold_at_all_ports() {
    let (one, other) = (Application::new(|_| ok("one")), Application::new(|_| ok("other")));
    let stage =
        Stage::with_ports(vec![Port { exposed: 0, internal: one.port }, Port { exposed: 0, internal: other.port }]);
    let policy = r#"{"version":1,"rule":"shop","applications":[{"appID":"a","sqli":{"effect":"ban"}}]}"#;
    stage.waas.take_policy("1", Some(policy));
    let before = |application: &Application| {
        stage.waas.ports().into_iter().find(|port| port.internal == application.port).unwrap()
    };
    let (first, second) = (before(&one), before(&other));
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    assert_eq!(ask(second.exposed, "/", &from("203.0.113.9")).0, 200);

    assert_eq!(ask(first.exposed, "/?q=attack", &from("203.0.113.9")).0, 403);

    assert_eq!(ask(first.exposed, "/", &from("203.0.113.9")).0, 403);
    assert_eq!(ask(second.exposed, "/", &from("203.0.113.9")).0, 403);
    assert_eq!(ask(second.exposed, "/", &from("203.0.113.10")).0, 200);
    assert_eq!((one.seen().len(), other.seen().len()), (0, 2));
}

/// Requests to all ports of a task count together.
#[test]
fn rates_count_at_all_ports() {
    let (one, other) = (Application::new(|_| ok("one")), Application::new(|_| ok("other")));
    let ports = [one.port, other.port].map(|internal| Port { exposed: 0, internal });
    let stage = Stage::with_ports(ports.to_vec());
    let policy = r#"{"version":1,"rule":"shop","applications":[{"appID":"a",
        "dosConfig":{"enabled":true,"alert":{},"ban":{"average":1}}}]}"#;
    stage.waas.take_policy("1", Some(policy));
    let [first, second] = stage.waas.ports()[..] else { panic!("two ports") };
    assert_eq!(stage.waas.status().unwrap()["error"], serde_json::Value::Null);

    // An average of one a second over two minutes.
    let answers: Vec<u16> =
        (0..130).map(|number| ask(if number % 2 == 0 { first.exposed } else { second.exposed }, "/", "").0).collect();

    assert_eq!((answers[..100].iter().all(|status| *status == 200), answers[129]), (true, 403));
    assert!(one.seen().len() < 100 && other.seen().len() < 100);
}

/// A resolver that knows what the test says, and counts what it is asked.
struct Resolver {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// The record type of a question, and its name's labels.
fn question(query: &[u8]) -> (u8, String) {
    let (mut at, mut name) = (12, String::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name += &String::from_utf8_lossy(&query[at + 1..end]);
        name.push('.');
        at = end;
    }
    (query[at + 2], name)
}

fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8][..], data].concat()
}

fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

impl Resolver {
    /// `names` gives each address (written backwards, as its zone has it) one name, `addresses` each name one address.
    fn new(names: &'static [(&str, &str)], addresses: &'static [(&str, [u8; 4])]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut query) {
                count.fetch_add(1, Ordering::SeqCst);
                let (kind, name) = question(&query[..length]);
                let found = match kind {
                    12 => {
                        names.iter().find(|(zone, _)| name.starts_with(zone)).map(|(_, name)| record(12, &labels(name)))
                    }
                    _ => {
                        addresses.iter().find(|(known, _)| name == format!("{known}.")).map(|(_, data)| record(1, data))
                    }
                };
                let mut answer = query[..length].to_vec();
                (answer[2], answer[7]) = (0x81, u8::from(found.is_some()));
                answer.extend(found.unwrap_or_default());
                socket.send_to(&answer, peer).unwrap();
            }
        });
        Self { address, asked }
    }
}

/// Who says to be a known bot is asked for nothing, but its address's names are looked up beside: once they are known, one that
/// has none of the bot's, or one that the bot's own zone does not confirm, is refused; the bot itself is not.
#[test]
fn bots_are_known_by_their_names() {
    let resolver = Resolver::new(
        &[
            ("9.113.0.203.", "crawl.evil.test"),
            ("10.113.0.203.", "crawl-1.googlebot.com"),
            ("11.113.0.203.", "crawl-2.googlebot.com"),
        ],
        &[
            ("crawl.evil.test", [203, 0, 113, 9]),
            ("crawl-1.googlebot.com", [203, 0, 113, 10]),
            ("crawl-2.googlebot.com", [198, 51, 100, 1]),
        ],
    );
    let stage = Stage::with_resolver(Application::new(|_| ok("x")).port, resolver.address);
    let policy = r#"{"version":1,"rule":"shop","applications":[{"appID":"a",
        "botProtectionSpec":{"unknownBotProtectionSpec":{"botImpersonation":"prevent"}}}]}"#;
    stage.waas.take_policy("1", Some(policy));
    let visit = |last: u8, agent: &str| {
        ask(stage.port, "/", &format!("X-Forwarded-For: 203.0.113.{last}\r\nUser-Agent: {agent}\r\n")).0
    };

    assert_eq!(visit(9, "curl/8.5.0"), 200);
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 0);
    assert_eq!(visit(9, GOOGLE), 200, "nobody knows yet");
    eventually("a refusal", || visit(9, GOOGLE) == 403);
    eventually("a look-up", || visit(10, GOOGLE) == 200 && resolver.asked.load(Ordering::SeqCst) == 4);
    eventually("another refusal", || visit(11, GOOGLE) == 403);
    assert_eq!((visit(10, GOOGLE), visit(9, "curl/8.5.0")), (200, 200));

    assert_eq!(resolver.asked.load(Ordering::SeqCst), 6, "what is known is not asked again");
    assert_eq!(stage.reports.requests()[0].attack, "botImpersonation");
}

/// A resolver that says nothing holds up no request.
#[test]
fn silent_resolvers_hold_up_nobody() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stage = Stage::with_resolver(Application::new(|_| ok("x")).port, silent.local_addr().unwrap());
    let policy = r#"{"version":1,"rule":"shop","applications":[{"appID":"a",
        "botProtectionSpec":{"unknownBotProtectionSpec":{"botImpersonation":"prevent"}}}]}"#;
    stage.waas.take_policy("1", Some(policy));

    for _ in 0..3 {
        assert_eq!(ask(stage.port, "/", "User-Agent: Googlebot/2.1\r\n").0, 200);
    }

    // The first of them was asked about; whether anybody answers is not waited for.
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(silent.recv(&mut [0; 512]).is_ok());
}

/// Endpoints are learnt from requests that were answered and had nothing wrong with them, and each is told of once.
#[test]
fn endpoints_are_learnt() {
    let application = Application::new(|request| {
        let status = if request.head.contains("/missing") { "404 Not Found" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let stage = Stage::new(application.port);
    let body = r#"{"count":1}"#;
    let post = format!(
        "POST /orders/7?dry=true HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(stage.ask(&post).0, 200);
    for (target, status) in
        [("/orders/8", 200), ("/orders/9?q=attack", 403), ("/missing", 404), ("/secret?q=attack", 403)]
    {
        assert_eq!(ask(stage.port, target, "").0, status);
    }
    let learnt = std::cell::RefCell::new(Vec::new());
    eventually("all of it", || {
        let told = stage.waas.discovery();
        learnt.borrow_mut().extend(told.iter().flat_map(|told| told[0]["endpoints"].as_array().unwrap().clone()));
        learnt.borrow().len() >= 2
    });

    let learnt = learnt.into_inner();
    let shown: Vec<_> = learnt
        .iter()
        .map(|one| (one["method"].as_str().unwrap(), one["path"].as_str().unwrap(), one["hits"].as_u64()))
        .collect();
    assert_eq!(shown, [("GET", "/orders/{id}", Some(1)), ("POST", "/orders/{id}", Some(1))]);
    assert_eq!(learnt[1]["body"]["properties"]["count"]["type"], "integer");
    assert_eq!(learnt[1]["query"]["properties"]["dry"]["type"], "boolean");
    assert!(stage.waas.discovery().is_none());
}

/// A policy that wants nothing learnt has its way.
#[test]
fn learning_can_be_left() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    stage.waas.take_policy("1", Some(&crate::stage::POLICY.replace("\"rule\"", "\"skipAPILearning\":true,\"rule\"")));

    assert_eq!(ask(stage.port, "/orders/1", "").0, 200);
    // The second is answered after the first was done with.
    assert_eq!(ask(stage.port, "/?q=attack", "").0, 403);

    assert!(stage.waas.discovery().is_none());
}

/// Of a body that is longer than what is held, nothing is complete before all of it was judged: an attack in its last bytes ends
/// the request, however they are framed and whether or not they come with the end.
#[test]
fn attacks_at_the_end_of_long_bodies_are_stopped() {
    let (told, came) = mpsc::channel();
    let told = Mutex::new(told);
    let application = Application::raw(move |mut stream| {
        let mut all = Vec::new();
        // A connection that is reset has ended as well.
        let _ = stream.read_to_end(&mut all);
        told.lock().unwrap().send(all).unwrap();
        Ok(())
    });
    let stage = Stage::new(application.port);
    let policy = crate::stage::POLICY.replace("\"appID\":\"a\"", r#""appID":"a","body":{"inspectionSizeBytes":1000}"#);
    stage.waas.take_policy("1", Some(&policy));
    let long = format!("q={}", "a".repeat(1198));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    for (framing, parts) in [
        ("Transfer-Encoding: chunked", vec![format!("4b0\r\n{long}\r\n"), "9\r\n&z=attack\r\n0\r\n\r\n".into()]),
        (
            "Transfer-Encoding: chunked",
            vec![format!("4b0\r\n{long}\r\n"), "9\r\n&z=attack\r\n".into(), "0\r\n\r\n".into()],
        ),
        ("Content-Length: 1209", vec![long.clone(), "&z=attack".into()]),
    ] {
        let mut client = stage.connect();
        client.send(format!("{head}{framing}\r\n\r\n"));
        for part in parts {
            client.0.get_mut().write_all(part.as_bytes()).unwrap();
            std::thread::yield_now();
        }
        assert_eq!(client.answer("POST").status, 403, "{framing}");
        let came = String::from_utf8(came.recv_timeout(PATIENCE).unwrap()).unwrap();
        assert!(
            came.starts_with("POST / ") && !came.ends_with("0\r\n\r\n") && !came.contains("=attack\r\n0"),
            "{came}"
        );
        if framing.starts_with("Content") {
            assert!(came.split("\r\n\r\n").nth(1).unwrap().len() < 1209, "{came}");
        }
    }
}
