//! How long the firewall takes for one request and its response, without sockets, beside the engine alone, in microseconds of
//! processor time: `sh scripts/rules.sh` first, then in `defender/`
//! `cargo run --release -p defender-waf --example firewall_bench [--count NUMBER [CASE]] [KIND…]`.
//!
//! Kinds are `get`, `form`, `json` and `attack`, the requests of `scripts/bench_waas.py`; cases are `engine` (all five phases of
//! the Core Rule Set), `strict`, `balanced` (every group at `prevent`) and `off` (every group disabled). They take turns; told is
//! the least of all rounds. With `--count` each kind is only done so often in one case, for a profiler to look at.

use std::{env, fmt::Write as _, fs, hint::black_box, path::PathBuf, sync::Arc, time::Duration};

use defender_waf::{
    Request, Ruleset, Transaction, Verdict,
    body::{Processor, fill_body},
    firewall::{BodyNeed, Client, Firewall, Policy, ResponseHead, Ruling, Standing},
    http::{Head, fill_head, read_head},
    inspection::Profile,
    rule::Phase,
    seclang::{Source, load},
    value::Collection,
};
use serde_json::json;

/// What Chrome sends.
const HEADERS: &str = "Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Referer: https://shop.example.com/category/garden?page=2\r\n\
    Cookie: session=8f2c1d77a90b4e21; theme=dark; _ga=GA1.2.1203945567.1718000000\r\n";
const ATTACK: &str = "/?id=1%27+UNION+SELECT+user%2Cpassword+FROM+users--+-";
const ANSWER: &[u8] = b"An ordinary page of an application, of some ninety bytes.";
const GROUPS: [&str; 14] = [
    "sqli",
    "xss",
    "cmdi",
    "codeInjection",
    "lfi",
    "attackTools",
    "shellshock",
    "malformedReq",
    "ssrf",
    "nosql",
    "ssti",
    "xxe",
    "deserialisation",
    "protocol",
];
const ROUNDS: usize = 12;
/// Nanoseconds that a batch takes at least.
const BATCH: u64 = 30_000_000;

/// One way to judge.
struct Case {
    name: &'static str,
    /// None for the engine alone.
    firewall: Option<Firewall>,
    ruleset: Arc<Ruleset>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = env::args().skip(1).peekable();
    let count: Option<u64> =
        words.next_if_eq("--count").and_then(|_| words.next()).map(|number| number.parse()).transpose()?;
    let words: Vec<String> = words.collect();
    let is_named = |name: &str| words.iter().any(|word| word == name);
    let (cases, standing) = (cases()?, Standing::default());
    let all = !kinds().iter().any(|(kind, _)| is_named(kind));
    for (kind, raw) in kinds().into_iter().filter(|(kind, _)| all || is_named(kind)) {
        match count {
            Some(count) => {
                let case = cases.iter().find(|case| is_named(case.name)).unwrap_or(&cases[2]);
                (0..count).for_each(|_| _ = black_box(exchanged(case, black_box(&raw), &standing)));
            }
            None => told(kind, &raw, &cases, &standing)?,
        }
    }
    Ok(())
}

/// Measures a kind in all cases by turns.
fn told(kind: &str, raw: &[u8], cases: &[Case], standing: &Standing) -> Result<(), Box<dyn std::error::Error>> {
    let mut least = vec![Duration::MAX; cases.len()];
    for _ in 0..ROUNDS {
        for (case, least) in cases.iter().zip(&mut least) {
            *least = (*least).min(measured(case, raw, standing)?);
        }
    }
    print!("{kind:8}{:>8} bytes", raw.len());
    for (case, least) in cases.iter().zip(least) {
        print!("{:>12} {:>7.1}", case.name, least.as_secs_f64() * 1e6);
    }
    println!();
    Ok(())
}

fn cases() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let (strict, balanced) = (Arc::new(ruleset(Profile::CrsStrict)?), Arc::new(ruleset(Profile::Balanced)?));
    let firewall = |profile, effect, ruleset: &Arc<Ruleset>| -> Result<Firewall, Box<dyn std::error::Error>> {
        Ok(Firewall::new(Policy::parse(policy(profile, effect).as_bytes())?, ruleset.clone())?)
    };
    let (of_strict, of_balanced) =
        (firewall("crsStrict", "prevent", &strict)?, firewall("balanced", "prevent", &balanced)?);
    let off = firewall("balanced", "disable", &balanced)?;
    Ok(vec![
        Case { name: "engine", firewall: None, ruleset: strict.clone() },
        Case { name: "strict", firewall: Some(of_strict), ruleset: strict },
        Case { name: "balanced", firewall: Some(of_balanced), ruleset: balanced.clone() },
        Case { name: "off", firewall: Some(off), ruleset: balanced },
    ])
}

fn policy(profile: &str, effect: &str) -> String {
    let mut application = json!({
        "appID": "a",
        "apiSpec": {"endpoints": [{"host": "*", "basePath": "*", "exposedPort": 80, "internalPort": 0, "tls": false}]},
        "intelGathering": {"infoLeakageEffect": effect, "removeFingerprintsEnabled": false},
    });
    for group in GROUPS {
        application[group] = json!({"effect": effect, "exceptionFields": []});
    }
    json!({"version": 1, "rule": "r", "profile": profile, "trustedProxies": [], "applications": [application]})
        .to_string()
}

fn ruleset(profile: Profile) -> Result<Ruleset, Box<dyn std::error::Error>> {
    let folder = env::var_os("BARTIZAN_CRS").map_or_else(|| "../.cache/rules/crs4".into(), PathBuf::from);
    let mut names: Vec<_> = fs::read_dir(folder.join("rules"))?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.insert(0, folder.join("setup.conf"));
    let files: Vec<(String, Vec<u8>)> = names
        .into_iter()
        .map(|name| fs::read(&name).map(|text| (name.to_string_lossy().into_owned(), text)))
        .collect::<Result<_, _>>()?;
    let sources = files.iter().map(|(name, text)| Source { name, text });
    let (data, mut rules): (Vec<_>, Vec<_>) = sources.partition(|source| source.name.ends_with("data"));
    rules.splice(1..1, profile.rules());
    Ok(load(&rules, &data)?)
}

fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\n{HEADERS}\r\n").into_bytes();
    let post = |target: &str, kind: &str, body: String| {
        let about = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        format!("POST {target} HTTP/1.1\r\n{HEADERS}{about}\r\n{body}").into_bytes()
    };
    vec![
        ("get", get("/?id=1")),
        ("form", post("/order", "application/x-www-form-urlencoded", form())),
        ("json", post("/api/order", "application/json", order())),
        ("attack", get(ATTACK)),
    ]
}

/// 1 KB in 20 fields.
fn form() -> String {
    let field = |number| format!("field_{number}=An+ordinary+value+of+a+customer%27s+form%2C+{number}");
    (0..20).map(field).collect::<Vec<_>>().join("&")
}

/// 10 KB with 40 items, as Python writes them.
fn order() -> String {
    let mut text = r#"{"customer": "Alice Example", "currency": "EUR", "express": false, "items": ["#.to_owned();
    for number in 0..40 {
        let (before, price, quantity, gift, width) =
            (if number == 0 { "" } else { ", " }, number + 9, 1 + number % 5, number % 2 == 0, 20 + number);
        // Writing to memory cannot fail.
        let _ = write!(
            text,
            "{before}{{\"id\": {}, \"sku\": \"GARDEN-{number:05}-B\", \"name\": \"Watering can, green, {number} litres\", \
             \"price\": \"{price}.95\", \"quantity\": {quantity}, \"gift\": {gift}, \
             \"note\": \"Please leave it at the door of the shed, thank you very much, Alice\", \
             \"size\": {{\"width\": {width}, \"height\": 31}}}}",
            10_000 + number
        );
    }
    text + "]}"
}

/// Processor time for one request.
fn measured(case: &Case, raw: &[u8], standing: &Standing) -> Result<Duration, Box<dyn std::error::Error>> {
    let (before, mut count) = (spent()?, 0);
    loop {
        for _ in 0..50 {
            black_box(exchanged(case, black_box(raw), standing));
        }
        count += 50;
        let spent = spent()? - before;
        if spent > BATCH {
            return Ok(Duration::from_nanos(spent / count));
        }
    }
}

/// Nanoseconds of processor time of this thread (Linux, Documentation/scheduler/sched-stats.rst).
fn spent() -> Result<u64, Box<dyn std::error::Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// One request with its response, from its bytes; whether it was refused.
#[inline(never)]
fn exchanged(case: &Case, raw: &[u8], standing: &Standing) -> bool {
    let Ok(Some((head, taken))) = read_head(raw) else { return true };
    match &case.firewall {
        Some(firewall) => through(firewall, &head, &raw[taken..], standing) != Ruling::Pass,
        None => engine(&case.ruleset, &head, &raw[taken..]) != Verdict::Pass,
    }
}

/// As the proxy does it.
fn through(firewall: &Firewall, head: &Head, body: &[u8], standing: &Standing) -> Ruling {
    let client = Client { peer: [127, 0, 0, 1].into(), port: 80, secure: false };
    let mut exchange = firewall.open(head, client, standing, 1_700_000_000_000, "0123456789abcdef0123");
    let mut ruling = exchange.request_head();
    if ruling == Ruling::Pass && !body.is_empty() && exchange.body_need() != BodyNeed::Nothing {
        ruling = exchange.request_body(body);
    }
    if ruling == Ruling::Pass {
        ruling = exchange.request_end();
    }
    if ruling == Ruling::Pass {
        ruling = exchange.response_head(&mut answer());
    }
    if ruling == Ruling::Pass && exchange.response_body_need() > 0 {
        ruling = exchange.response_body(ANSWER);
    }
    black_box(exchange.observation().is_some());
    black_box(exchange.finish());
    ruling
}

fn answer() -> ResponseHead {
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let headers = vec![
        field("Server", "nginx/1.22.1"),
        field("Date", "Sat, 21 Nov 2026 22:03:19 GMT"),
        field("Content-Type", "text/plain"),
        field("Content-Length", "57"),
        field("Connection", "keep-alive"),
    ];
    ResponseHead { status: 200, headers }
}

/// All five phases of one request.
fn engine(ruleset: &Ruleset, head: &Head, body: &[u8]) -> Verdict {
    let mut transaction = Transaction::new(ruleset);
    let (mut request, mut response) = (Request::new(), Request::new());
    fill_head(&mut request, head);
    request.set(Collection::RemoteAddr, b"127.0.0.1");
    let mut verdict = transaction.judge(Phase::RequestHead, &request, &response);
    if verdict == Verdict::Pass {
        let chosen = transaction.body_processor().and_then(Processor::named);
        let by_type = Processor::of_content_type(head.header("content-type").unwrap_or_default());
        let (depth, forced) = (ruleset.settings.depth_limit, transaction.body_forced());
        fill_body(&mut request, body, chosen.or(by_type), depth, forced);
        verdict = transaction.judge(Phase::RequestBody, &request, &response);
    }
    if verdict == Verdict::Pass {
        response.set(Collection::ResponseStatus, b"200");
        for (name, value) in &answer().headers {
            response.add(Collection::ResponseHeaders, name, value);
        }
        verdict = transaction.judge(Phase::ResponseHead, &request, &response);
    }
    if verdict == Verdict::Pass {
        response.set(Collection::ResponseBody, ANSWER);
        verdict = transaction.judge(Phase::ResponseBody, &request, &response);
    }
    transaction.judge(Phase::Logging, &request, &response);
    verdict
}
