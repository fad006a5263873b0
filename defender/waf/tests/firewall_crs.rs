//! The firewall with the Core Rule Set (folder `BARTIZAN_CRS`): groups, and the agreement with the rules' own decision.
//!
//! Not part of a plain `cargo test`, since it needs those files: `cargo test -p defender-waf --test firewall_crs`.
#![allow(clippy::unwrap_used, reason = "the rules are files, and a broken one fails the test")]

#[allow(dead_code, reason = "each test uses its part of it")]
mod corpus;

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use defender_waf::{
    Collection, Request, Ruleset, Transaction, Verdict,
    body::{Processor, fill_body},
    firewall::{Client, Effect, Firewall, Policy, Report, Ruling, Standing},
    http::{fill_head, read_head},
    rule::Phase,
    seclang::{Source, load},
};
use serde_json::{Value, json};

const GROUPS: [&str; 8] = ["sqli", "xss", "cmdi", "codeInjection", "lfi", "attackTools", "shellshock", "malformedReq"];

fn ruleset() -> Arc<Ruleset> {
    static RULES: OnceLock<Arc<Ruleset>> = OnceLock::new();
    let read = || {
        let folder = corpus::rules_folder();
        let mut paths = vec![folder.join("setup.conf")];
        paths.extend(corpus::files(&folder.join("rules"), ".conf"));
        assert!(paths.len() > 20, "no rules in `{}`: set BARTIZAN_CRS", folder.display());
        let named = |path: &Path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
        let configuration: Vec<_> = paths.iter().map(|path| named(path)).collect();
        let data: Vec<_> = corpus::files(&folder.join("rules"), ".data").iter().map(|path| named(path)).collect();
        let sources = |files: &'static [(String, Vec<u8>)]| {
            files.iter().map(|(name, text)| Source { name, text }).collect::<Vec<_>>()
        };
        let (configuration, data) = (Vec::leak(configuration), Vec::leak(data));
        Arc::new(load(&sources(configuration), &sources(data)).unwrap())
    };
    RULES.get_or_init(read).clone()
}

fn firewall(application: &Value) -> Firewall {
    let mut application = application.clone();
    application["appID"] = "web".into();
    // The default profile reads bodies by more than their type, and has rules of its own.
    let policy = json!({"version": 1, "rule": "shop", "profile": "crsStrict", "applications": [application]});
    Firewall::new(Policy::parse(policy.to_string().as_bytes()).unwrap(), ruleset()).unwrap()
}

fn all_at(effect: &str) -> Value {
    GROUPS.iter().map(|group| ((*group).to_owned(), json!({"effect": effect}))).collect()
}

fn request(target: &str, fields: &str, body: &str) -> (String, String) {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let agent = if fields.contains("User-Agent") { "" } else { "User-Agent: Mozilla/5.0\r\n" };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: shop.test\r\nAccept: */*\r\n{agent}{fields}{length}\r\n");
    (head, body.to_owned())
}

fn judged(firewall: &Firewall, (head, body): &(String, String)) -> (Option<u16>, Vec<Report>) {
    let (head, _) = read_head(head.as_bytes()).unwrap().unwrap();
    let client = Client { peer: "203.0.113.9".parse().unwrap(), port: 80, secure: false };
    let standing = Standing::default();
    let mut exchange = firewall.open(&head, client, &standing, 0, "1");
    let mut ruling = exchange.request_head();
    if ruling == Ruling::Pass {
        ruling = exchange.request_body(body.as_bytes());
    }
    if ruling == Ruling::Pass {
        ruling = exchange.request_end();
    }
    let status = match ruling {
        Ruling::Pass => None,
        Ruling::Answer(answer) => Some(answer.status),
    };
    (status, exchange.finish())
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// The vendor's own sanity tests are stopped at prevent and told of at alert, each as an attack of its kind.
#[test]
fn attacks_are_of_their_kinds() {
    let attacks = [
        ("sqli", request("/?id=%27%20OR%20%271%27=%271", "", "")),
        ("xss", request("/?q=%3Cscript%3Ealert(1)%3C/script%3E", "", "")),
        ("cmdi", request("/?q=%3B+/sbin/shutdown", "", "")),
        ("codeInjection", request("/?q=phpinfo()", "", "")),
        ("lfi", request("/?q=../etc/passwd", "", "")),
        ("attackTools", request("/", "User-Agent: sqlmap/1.8\r\n", "")),
        ("shellshock", request("/", "User-Agent: () { :; }; /bin/eject\r\n", "")),
        ("malformedRequest", (request("/", "Content-Length: 3\r\n", "").0, "abc".to_owned())),
        ("ssrf", request("/?u=http://169.254.169.254/latest/meta-data/", "", "")),
        ("nosql", request("/", FORM, "user%5B%24ne%5D=1")),
        ("deserialisation", request("/", FORM, "o=ProcessBuilder.evil.clonetransformer")),
    ];
    let (prevent, alert) = (firewall(&all_at("prevent")), firewall(&all_at("alert")));
    for (kind, attack) in attacks {
        let (status, reports) = judged(&prevent, &attack);
        let told: Vec<_> = reports.iter().map(|report| (report.attack.as_str(), &report.rules)).collect();
        assert_eq!(status, Some(403), "{kind}: {told:?}");
        assert_eq!(told.len(), 1, "{kind}: {told:?}");
        assert_eq!((told[0].0, reports[0].effect), (kind, Effect::Prevent), "{told:?}");
        let (status, reports) = judged(&alert, &attack);
        assert_eq!((status, reports.len()), (None, 1), "{kind}");
        assert_eq!((reports[0].attack.as_str(), reports[0].effect), (kind, Effect::Alert));
    }
}

/// Ordinary requests pass with everything at ban.
#[test]
fn ordinary_requests_pass() {
    let firewall = firewall(&all_at("ban"));
    for ordinary in [
        request("/", "", ""),
        request("/shop/item.html?id=17&sort=price", "Cookie: sid=8f14e45fceea167a5a36dedd4bea2543\r\n", ""),
        request("/login", FORM, "user=alice&note=hello+world"),
        request("/api", "Content-Type: application/json\r\n", r#"{"items":[{"id":1,"name":"O'Brien"}]}"#),
    ] {
        let (status, reports) = judged(&firewall, &ordinary);
        assert_eq!((status, &reports), (None, &Vec::new()), "{}", ordinary.0);
    }
}

/// An exception also holds for rules that look at the raw target, and for nothing beside it.
#[test]
fn exceptions_hold_for_raw_values() {
    let mut application = all_at("prevent");
    application["lfi"]["exceptionFields"] = json!([{"location": "query", "key": "file"}]);
    let firewall = firewall(&application);
    let (status, reports) = judged(&firewall, &request("/?file=../../etc/passwd", "", ""));
    let told: Vec<_> = reports.iter().map(|report| (&report.attack, &report.rules)).collect();
    assert!(told.iter().all(|(kind, _)| *kind != "lfi"), "{status:?} {told:?}");
    let (status, _) = judged(&firewall, &request("/?other=../../etc/passwd&file=a", "", ""));
    assert_eq!(status, Some(403));
}

/// What the rules themselves decide about a request, threshold and all.
fn stock(ruleset: &Ruleset, (head, body): &(String, String)) -> bool {
    let (head, _) = read_head(head.as_bytes()).unwrap().unwrap();
    let (mut request, response) = (Request::new(), Request::new());
    fill_head(&mut request, &head);
    request.set(Collection::RemoteAddr, b"203.0.113.9");
    let mut transaction = Transaction::new(ruleset);
    if transaction.judge(Phase::RequestHead, &request, &response) != Verdict::Pass {
        return true;
    }
    let chosen = transaction.body_processor().and_then(Processor::named);
    let by_type = Processor::of_content_type(head.header("content-type").unwrap_or_default());
    let depth = ruleset.settings.depth_limit;
    fill_body(&mut request, body.as_bytes(), chosen.or(by_type), depth, transaction.body_forced());
    transaction.judge(Phase::RequestBody, &request, &response) != Verdict::Pass
}

/// With every group at prevent, what is refused is what the Core Rule Set refuses: over values of its own tests.
#[test]
fn all_at_prevent_is_the_core_rule_set() {
    let (ruleset, firewall) = (ruleset(), firewall(&all_at("prevent")));
    let tests = corpus::rules_folder().join("tests");
    let values = corpus::values(&[&tests], &[".yaml"]);
    assert!(values.len() > 1000, "no tests in `{}`", tests.display());
    let mut refused = 0;
    for value in values.iter().step_by(values.len() / 600) {
        let encoded: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
        let asked = request("/", FORM, &format!("note={encoded}"));
        let expected = stock(&ruleset, &asked);
        let (status, _) = judged(&firewall, &asked);
        assert_eq!(status.is_some(), expected, "{}", String::from_utf8_lossy(value));
        refused += usize::from(expected);
    }
    assert!(refused > 100, "only {refused} were refused");
}
