//! A place for tests of the proxy: applications and clients that speak bytes, and the real proxy between them.
#![allow(dead_code, reason = "not every file uses everything")]

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use defender_agent::{
    enforcement::FailMode,
    waas::{
        Config, Waas,
        limits::Limits,
        listening::open_all,
        plane::Reporter,
        ports::{Port, Ports},
    },
};
use defender_core::{AuditDraft, Event, Notice, RequestEvent};
use defender_waf::{
    Ruleset,
    seclang::{Source, load},
};

pub const PATIENCE: Duration = Duration::from_secs(30);
/// Refuses whatever says `attack`, in arguments, bodies or header fields.
const RULES: &[u8] = br#"
SecRule REQUEST_HEADERS|ARGS_GET "@contains attack" "id:942001,phase:1,deny,status:403,severity:CRITICAL"
SecRule ARGS|REQUEST_BODY "@contains attack" "id:942002,phase:2,deny,status:403,severity:CRITICAL"
SecRule RESPONSE_HEADERS:X-Leak "@contains attack" "id:950001,phase:3,deny,status:403,severity:CRITICAL"
"#;
pub const POLICY: &str = r#"{"version":1,"revision":1,"rule":"shop","applications":[{"appID":"a","sqli":{"effect":"prevent"},"intelGathering":{"infoLeakageEffect":"prevent"}}]}"#;

/// What was reported.
#[derive(Default)]
pub struct Reports(Mutex<VecDeque<AuditDraft>>);

impl Reporter for Reports {
    fn report(&self, draft: AuditDraft) {
        self.0.lock().unwrap().push_back(draft);
    }
}

impl Reports {
    /// The requests that were told of so far.
    pub fn requests(&self) -> Vec<RequestEvent> {
        let drafts = self.0.lock().unwrap();
        let events = drafts.iter().filter_map(|draft| match &draft.event {
            Event::Request(event) => Some((**event).clone()),
            // A test in a process of its own listens as if it were the workload.
            Event::Defender(event) if event.notice == Notice::UnprotectedPort => None,
            other => panic!("{other:?}"),
        });
        events.collect()
    }
}

/// The proxy before one application.
pub struct Stage {
    pub waas: Arc<Waas>,
    pub reports: Arc<Reports>,
    pub port: u16,
}

pub fn ruleset() -> Arc<Ruleset> {
    Arc::new(load(&[Source { name: "rules.conf", text: RULES }], &[]).unwrap())
}

fn start(
    ports: Vec<Port>,
    fail_mode: FailMode,
    limits: Limits,
    resolvers: Vec<SocketAddr>,
) -> (Arc<Waas>, Arc<Reports>) {
    let reports = Arc::new(Reports::default());
    let config = Config {
        opened: open_all(&Ports(ports)).unwrap(),
        fail_mode,
        limits,
        rules: Box::new(|_| Ok(ruleset())),
        reporter: reports.clone(),
        instance: "0123456789abcdef0123456789abcdef".into(),
        certificates: std::collections::BTreeMap::new(),
        resolvers,
        secret: [7; 32],
        whose: defender_agent::waas::bystanders::Whose::Workload,
    };
    (Waas::start(config).unwrap(), reports)
}

impl Stage {
    /// A proxy with a policy.
    pub fn new(application: u16) -> Self {
        Self::with(application, FailMode::Open, Limits::default(), Some(POLICY))
    }

    /// A proxy that judges nothing.
    pub fn with_nothing(application: u16) -> Self {
        Self::with(application, FailMode::Open, Limits::default(), None)
    }

    /// A proxy without any port.
    pub fn closed() -> Self {
        let (waas, reports) = start(Vec::new(), FailMode::Open, Limits::default(), Vec::new());
        Self { waas, reports, port: 0 }
    }

    pub fn with(application: u16, fail_mode: FailMode, limits: Limits, policy: Option<&str>) -> Self {
        let (waas, reports) = start(vec![Port { exposed: 0, internal: application }], fail_mode, limits, Vec::new());
        if policy.is_some() {
            waas.take_policy("00", policy);
        }
        let port = waas.ports()[0].exposed;
        Self { waas, reports, port }
    }

    /// A proxy without a policy before several applications; its port is the first one's.
    pub fn with_ports(ports: Vec<Port>) -> Self {
        let (waas, reports) = start(ports, FailMode::Open, Limits::default(), Vec::new());
        let port = waas.ports()[0].exposed;
        Self { waas, reports, port }
    }

    /// A proxy without a policy that asks a resolver for names.
    pub fn with_resolver(application: u16, resolver: SocketAddr) -> Self {
        let ports = vec![Port { exposed: 0, internal: application }];
        let (waas, reports) = start(ports, FailMode::Open, Limits::default(), vec![resolver]);
        let port = waas.ports()[0].exposed;
        Self { waas, reports, port }
    }

    pub fn connect(&self) -> Client {
        Client::new(self.port)
    }

    /// One request on a connection of its own: status and body.
    pub fn ask(&self, request: &str) -> (u16, String) {
        let mut client = self.connect();
        client.send(request);
        let answer = client.answer("GET");
        (answer.status, answer.text())
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.waas.status().unwrap()["counters"][name].as_u64().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.waas.stop();
    }
}

/// A client that speaks bytes.
pub struct Client(pub BufReader<TcpStream>);

/// A response as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn done(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// The next head.
    pub fn head(&mut self) -> String {
        read_head(&mut self.0)
    }

    /// The next response, whole.
    pub fn answer(&mut self, method: &str) -> Answer {
        let head = self.head();
        let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
        let body = if method == "HEAD" { Vec::new() } else { read_body(&mut self.0, &head, status) };
        Answer { status, head, body }
    }

    pub fn chunk(&mut self) -> Vec<u8> {
        read_chunk(&mut self.0)
    }

    /// Everything until the end of the connection.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends a connection as well.
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

pub fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap_or(0) > 0 && !head.ends_with("\r\n\r\n") {}
    head
}

pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

pub fn read_body(reader: &mut impl BufRead, head: &str, status: u16) -> Vec<u8> {
    let mut body = Vec::new();
    if matches!(status, 100..=199 | 204 | 304) {
        return body;
    }
    if let Some(length) = field(head, "content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    } else if field(head, "transfer-encoding").is_some() {
        loop {
            let chunk = read_chunk(reader);
            if chunk.is_empty() {
                while read_line(reader) != "\r\n" {}
                break;
            }
            body.extend(chunk);
        }
    } else if status != 0 {
        reader.read_to_end(&mut body).unwrap();
    }
    body
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert!(reader.read_line(&mut line).unwrap() > 0, "the connection ended");
    line
}

pub fn read_chunk(reader: &mut impl BufRead) -> Vec<u8> {
    let line = read_line(reader);
    let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).unwrap()];
    reader.read_exact(&mut chunk).unwrap();
    if !chunk.is_empty() {
        read_line(reader);
    }
    chunk
}

/// A request as an application saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

/// An application of a test.
pub struct Application {
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Application {
    /// Every connection is given to `serve`, on a thread of its own.
    pub fn raw(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (connections.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                // What a hostile client does to an application is that test's affair.
                thread::spawn(move || drop(serve(stream)));
            }
        });
        Self { port, connections, seen: Arc::default() }
    }

    /// Every request is read whole and answered with what `respond` makes of it.
    pub fn new(respond: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let shared = seen.clone();
        let application = Self::raw(move |stream| {
            let mut reader = BufReader::new(stream);
            loop {
                let head = read_head(&mut reader);
                if head.is_empty() {
                    return Ok(());
                }
                // A request without a length has no body.
                let framed = field(&head, "content-length").or(field(&head, "transfer-encoding")).is_some();
                let body = if framed { read_body(&mut reader, &head, 200) } else { Vec::new() };
                let request = Seen { head, body };
                shared.lock().unwrap().push(request.clone());
                reader.get_mut().write_all(&respond(&request))?;
            }
        });
        Self { seen, ..application }
    }

    /// Answers with the request's head and body.
    pub fn echo() -> Self {
        Self::new(|request| ok(&format!("{}{}", request.head, String::from_utf8_lossy(&request.body))))
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A response with a body.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Waits until something holds.
pub fn eventually(what: &str, look: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < end, "{what} did not happen");
        thread::yield_now();
    }
}
