#![allow(clippy::unwrap_used, reason = "the vectors are files, and a broken one fails the test")]
//! Golden vectors of the firewall: policies, requests and responses, and what follows from them.

use std::{fs, path::PathBuf, sync::Arc};

use defender_waf::{
    Ruleset,
    firewall::{BodyNeed, Client, Firewall, Policy, Report, ResponseHead, Ruling, Standing},
    http::read_head,
    seclang::{Source, load},
};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Case {
    name: String,
    policy: Value,
    exchanges: Vec<Exchanged>,
}

/// A request, what the application answers, and what follows.
#[derive(Deserialize)]
struct Exchanged {
    /// Milliseconds.
    #[serde(default)]
    at: u64,
    peer: String,
    #[serde(default = "default_port")]
    port: u16,
    #[serde(default)]
    secure: bool,
    request: String,
    body: String,
    #[serde(default)]
    response: Answered,
    expected: Expected,
}

#[derive(Deserialize, Default)]
struct Answered {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct Expected {
    /// Of the firewall's own answer; none when the application's came through.
    status: Option<u16>,
    /// Fields that reports have, among others; there are no further reports.
    reports: Vec<Map<String, Value>>,
    /// The fields of the answer's head.
    headers: Option<Vec<(String, String)>>,
    /// The body of the firewall's own answer.
    body: Option<String>,
    /// What is nowhere in the reports.
    #[serde(default)]
    absent: Vec<String>,
}

#[derive(Deserialize)]
struct Bad {
    name: String,
    policy: Value,
    error: String,
}

/// What came of an exchange.
struct Outcome {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: String,
    reports: Vec<Report>,
}

fn default_port() -> u16 {
    80
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contract/vectors/waas")
}

fn ruleset() -> Arc<Ruleset> {
    let text = fs::read(folder().join("rules.conf")).unwrap();
    Arc::new(load(&[Source { name: "rules.conf", text: &text }], &[]).unwrap())
}

fn exchange(firewall: &Firewall, standing: &Standing, exchanged: &Exchanged) -> Outcome {
    let (head, _) = read_head(exchanged.request.as_bytes()).unwrap().unwrap();
    let client = Client { peer: exchanged.peer.parse().unwrap(), port: exchanged.port, secure: exchanged.secure };
    let mut exchange = firewall.open(&head, client, standing, exchanged.at, "1");
    let response = &exchanged.response;
    let headers = response.headers.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
    let mut answered = ResponseHead { status: response.status.max(200), headers };
    let mut ruling = exchange.request_head();
    if ruling == Ruling::Pass && exchange.body_need() != BodyNeed::Nothing && !exchanged.body.is_empty() {
        // In two pieces, as the network might.
        let (first, second) = exchanged.body.as_bytes().split_at(exchanged.body.len() / 2);
        ruling = exchange.request_body(first);
        if ruling == Ruling::Pass {
            ruling = exchange.request_body(second);
        }
    }
    if ruling == Ruling::Pass {
        ruling = exchange.request_end();
    }
    if ruling == Ruling::Pass {
        ruling = exchange.response_head(&mut answered);
    }
    if ruling == Ruling::Pass && exchange.response_body_need() > 0 {
        ruling = exchange.response_body(response.body.as_bytes());
    }
    let reports = exchange.finish();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    match ruling {
        Ruling::Answer(answer) => {
            Outcome { status: Some(answer.status), headers: answer.headers, body: text(answer.body), reports }
        }
        Ruling::Pass => {
            let headers = answered.headers.into_iter().map(|(name, value)| (text(name), text(value))).collect();
            Outcome { status: None, headers, body: response.body.clone(), reports }
        }
    }
}

fn check(name: &str, outcome: &Outcome, expected: &Expected) {
    let events: Vec<Value> = outcome
        .reports
        .iter()
        .map(|report| {
            let mut event = report.event();
            event["effect"] = report.effect.name().into();
            event
        })
        .collect();
    assert_eq!(outcome.status, expected.status, "{name}: {events:#?}");
    assert_eq!(events.len(), expected.reports.len(), "{name}: {events:#?}");
    for (event, fields) in events.iter().zip(&expected.reports) {
        for (field, value) in fields {
            assert_eq!(&event[field], value, "{name}: `{field}` of {event:#}");
        }
    }
    if let Some(headers) = &expected.headers {
        assert_eq!(&outcome.headers, headers, "{name}");
    }
    if let Some(body) = &expected.body {
        assert_eq!(&outcome.body, body, "{name}");
    }
    let told = serde_json::to_string(&events).unwrap();
    for secret in &expected.absent {
        assert!(!told.contains(secret), "{name}: `{secret}` is in {told}");
    }
}

/// Every case of the contract's vectors comes out as it says.
#[test]
fn the_vectors_hold() {
    let ruleset = ruleset();
    let mut seen = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") || path.ends_with("bad.json") {
            continue;
        }
        let cases: Vec<Case> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for case in cases {
            let policy = Policy::parse(case.policy.to_string().as_bytes()).unwrap();
            let firewall = Firewall::new(policy, ruleset.clone()).unwrap();
            let standing = Standing::default();
            for (index, exchanged) in case.exchanges.iter().enumerate() {
                let outcome = exchange(&firewall, &standing, exchanged);
                check(&format!("{} #{index}", case.name), &outcome, &exchanged.expected);
                seen += 1;
            }
        }
    }
    assert!(seen >= 150, "only {seen} exchanges were found");
}

/// A policy that means nothing is refused, and the error names the place.
#[test]
fn bad_policies_are_refused() {
    let cases: Vec<Bad> = serde_json::from_slice(&fs::read(folder().join("bad.json")).unwrap()).unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let error = Policy::parse(case.policy.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&case.error), "{}: {error}", case.name);
    }
}

/// Of a request that asks for more work than it may, the rest is not judged in silence: it is told of, or refused.
#[test]
fn too_much_work_is_told_of() {
    let mut rules =
        load(&[Source { name: "a.conf", text: br#"SecRule ARGS "@rx a.*b" "id:1,phase:2,pass""# }], &[]).unwrap();
    (rules.settings.work_limit, rules.settings.work_for_byte) = (100, 0);
    let rules = Arc::new(rules);
    for (effect, status) in [("disable", None), ("prevent", Some(403))] {
        let text = format!(
            r#"{{"version":1,"rule":"r","applications":[{{"appID":"a","sqli":{{"effect":"alert"}},
                "body":{{"inspectionLimitExceededEffect":"{effect}"}}}}]}}"#
        );
        let firewall = Firewall::new(Policy::parse(text.as_bytes()).unwrap(), rules.clone()).unwrap();
        let target = "ab".repeat(200);
        let text = format!("GET /?q={target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
        let client = Client { peer: "192.0.2.1".parse().unwrap(), port: 80, secure: false };
        let standing = Standing::default();
        let mut exchange = firewall.open(&head, client, &standing, 0, "1");
        assert_eq!(exchange.request_head(), Ruling::Pass);
        let ruling = exchange.request_end();
        assert_eq!(if let Ruling::Answer(answer) = ruling { Some(answer.status) } else { None }, status);
        let reports = exchange.finish();
        assert_eq!(
            reports.iter().map(|report| report.attack.as_str()).collect::<Vec<_>>(),
            ["inspectionLimitExceeded"]
        );
    }
}
