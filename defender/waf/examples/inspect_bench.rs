//! How long requests of some kinds take to judge, with the prefilter and rule by rule, in microseconds; how long rules take to
//! be read, and how much memory: `sh scripts/rules.sh` first, then in `defender/`
//! `cargo run --release -p defender-waf --example inspect_bench [--fast] [KIND…]`; `--fast` leaves the plain way out.

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use defender_waf::{
    Request, Ruleset, Transaction, Verdict,
    body::{Processor, fill_body},
    http::{fill_head, read_head},
    rule::Phase,
    seclang::{Source, load},
    value::Collection,
};

/// What goes before the rules: which body is read how (ModSecurity's recommended configuration).
const BODIES: &str = r#"
SecRuleEngine On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
  "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
  "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"#;

/// What Chrome sends.
const HEADERS: &str = "Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Referer: https://shop.example.com/category/garden?page=2\r\nConnection: keep-alive\r\n";

/// One kind of request, in some variants that take turns.
struct Kind {
    name: &'static str,
    requests: Vec<Vec<u8>>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: Vec<String> = env::args().skip(1).filter(|name| name != "--fast").collect();
    let fast = env::args().any(|argument| argument == "--fast");
    let ruleset = ruleset()?;
    println!("{:16} {:>9} {:>12} {:>12} {:>7}", "", "bytes", "prefilter", "one by one", "refused");
    for kind in kinds().iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|name| name == kind.name)) {
        let quick = measured(kind, &|| Transaction::new(&ruleset), &ruleset);
        let plain = (!fast).then(|| measured(kind, &|| Transaction::one_by_one(&ruleset), &ruleset));
        let plain = plain.map_or("-".to_owned(), micros);
        let mut transaction = Transaction::new(&ruleset);
        let refused = inspect(&mut transaction, &kind.requests[0], &ruleset) != Verdict::Pass;
        println!(
            "{:16} {:>9} {:>12} {plain:>12} {refused:>7}  work {}",
            kind.name,
            kind.requests[0].len(),
            micros(quick),
            transaction.work(),
        );
    }
    println!("resident memory at the end: {} KiB", resident());
    Ok(())
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

/// Reads the Core Rule Set and says what that took.
fn ruleset() -> Result<Ruleset, Box<dyn std::error::Error>> {
    let folder = env::var_os("BARTIZAN_CRS").map_or_else(|| "../.cache/crs".into(), PathBuf::from);
    let mut files = vec![("bodies.conf".to_owned(), BODIES.as_bytes().to_vec())];
    files.push(("setup.conf".to_owned(), fs::read(folder.join("setup.conf"))?));
    let mut names: Vec<_> = fs::read_dir(folder.join("rules"))?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    for name in names {
        files.push((name.to_string_lossy().into_owned(), fs::read(&name)?));
    }
    let is_data = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "data");
    let sources = files.iter().map(|(name, text)| Source { name, text });
    let (data, rules): (Vec<_>, Vec<_>) = sources.partition(|source| is_data(source.name));
    let (before, started) = (resident(), Instant::now());
    let ruleset = load(&rules, &data)?;
    println!("{} rules read in {:?}, {} KiB resident", ruleset.len(), started.elapsed(), resident() - before);
    Ok(ruleset)
}

/// KiB of resident memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn kinds() -> Vec<Kind> {
    let one = |name, request| Kind { name, requests: vec![request] };
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let argument = |text: String| post(form, &format!("text={text}"));
    vec![
        one("get", get("/?id=1", 7)),
        one("form", post(form, &form_body())),
        one("json", post(json, &json_body(40))),
        one("attack", get("/?id=1%27%20UNION%20SELECT%20user%2Cpassword%20FROM%20users--%20-", 7)),
        one("json-1mb", post(json, &json_body(4_000))),
        one("long-a", argument("a".repeat(100_000))),
        one("long-quote", argument("'".repeat(100_000))),
        one("long-tab", argument("\t".repeat(100_000))),
        Kind { name: "json-fresh", requests: (0..100).map(|n| post(json, &json_of(40, 1_000 * (n + 1)))).collect() },
        one("tokens-same", get(&format!("/?token={}", token(1)), 1)),
        Kind { name: "tokens-fresh", requests: (0..5_000).map(|n| get(&format!("/?token={}", token(n)), n)).collect() },
    ]
}

fn cookies(number: u64) -> String {
    format!("Cookie: session={}; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n", token(number + 1_000_000))
}

fn get(target: &str, number: u64) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{HEADERS}{}\r\n", cookies(number)).into_bytes()
}

fn post(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let about = format!("{}Content-Type: {kind}\r\nContent-Length: {length}\r\n", cookies(7));
    format!("POST /checkout HTTP/1.1\r\n{HEADERS}{about}\r\n{body}").into_bytes()
}

/// Twenty fields of an order.
fn form_body() -> String {
    let mut body = "name=John+Smith&email=john.smith%40example.com&phone=%2B49+170+1234567&street=12+Main+Street&\
        city=Springfield&zip=12345&country=Germany&company=Example+Ltd&newsletter=on&payment=invoice&currency=EUR&\
        quantity=3&sku=AB-1234-XY&color=dark+blue&size=XL&delivery=2024-11-21&gift=no&voucher=SUMMER2024&csrf="
        .to_owned();
    body.push_str(&token(3));
    body.push_str("&comment=");
    while body.len() < 1_000 {
        body.push_str("I+would+like+to+have+these+in+a+nice+box+please.+");
    }
    body.truncate(1_009);
    body
}

fn json_body(items: usize) -> String {
    json_of(items, 0)
}

/// Items of nine leaves each, numbered from a number.
fn json_of(items: usize, from: usize) -> String {
    let item = |number: usize| {
        format!(
            "{{\"id\":{number},\"name\":\"Product {number}\",\"sku\":\"AB-{number}-XY\",\"price\":{}.99,\"currency\":\"EUR\",\
             \"inStock\":true,\"created\":\"2024-11-21T12:00:00Z\",\"category\":\"garden tools, pots and soil for balconies\",\
             \"description\":\"A small box of things for the garden, number {number}, green, with a lid\"}}",
            number % 100
        )
    };
    let items: Vec<String> = (from..from + items).map(item).collect();
    format!("{{\"page\":1,\"total\":{},\"items\":[{}],\"next\":\"/api/items?page=2\"}}", items.len(), items.join(","))
}

/// A token of 32 letters and digits, another for each number: xorshift64*.
fn token(number: u64) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..32)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            char::from(LETTERS[(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as usize % 62])
        })
        .collect()
}

/// The processor's time for one request, whatever else the machine does: over half a second of it.
fn measured<'r>(kind: &Kind, transaction: &dyn Fn() -> Transaction<'r>, ruleset: &Ruleset) -> Duration {
    let inspect_next = |count: usize| {
        let request = &kind.requests[count % kind.requests.len()];
        black_box(inspect(&mut transaction(), black_box(request), ruleset));
    };
    inspect_next(0);
    let (started, mut count) = (ticks(), 0);
    while ticks() < started + 50 {
        for _ in 0..(200_000 / kind.requests[0].len()).max(1) {
            inspect_next(count);
            count += 1;
        }
    }
    Duration::from_millis(10 * (ticks() - started)) / count as u32
}

/// Hundredths of a second of the processor that this process had.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum()
}

/// All five phases of one request, from its bytes.
fn inspect(transaction: &mut Transaction<'_>, raw: &[u8], ruleset: &Ruleset) -> Verdict {
    let Ok(Some((head, taken))) = read_head(raw) else { return Verdict::default() };
    let (mut request, mut response) = (Request::new(), Request::new());
    fill_head(&mut request, &head);
    request.set(Collection::RemoteAddr, b"192.0.2.7");
    let mut verdict = transaction.judge(Phase::RequestHead, &request, &response);
    if verdict == Verdict::Pass {
        let chosen = transaction.body_processor().and_then(Processor::named);
        let by_type = Processor::of_content_type(head.header("content-type").unwrap_or_default());
        let (depth, forced) = (ruleset.settings.depth_limit, transaction.body_forced());
        fill_body(&mut request, &raw[taken..], chosen.or(by_type), depth, forced);
        verdict = transaction.judge(Phase::RequestBody, &request, &response);
    }
    if verdict == Verdict::Pass {
        response.set(Collection::ResponseStatus, b"200");
        response.add(Collection::ResponseHeaders, b"Content-Type", b"text/html");
        verdict = transaction.judge(Phase::ResponseHead, &request, &response);
        transaction.judge(Phase::ResponseBody, &request, &response);
    }
    transaction.judge(Phase::Logging, &request, &response);
    verdict
}
