//! Sets of rules that the Console hands out, as the link gives them to the proxy.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use defender_agent::{
    enforcement::FailMode,
    link::{desk::Desk, message::RulesetPart, protected::Embedded, protected::Protected},
    waas::{Config, Waas, bystanders::Whose, front::Front, limits::Limits},
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::stage::{Application, Stage, eventually, ok};

/// Refuses whatever has this word in an argument.
fn set(word: &str) -> Vec<u8> {
    named(word, word)
}

fn named(word: &str, version: &str) -> Vec<u8> {
    let rule = format!(r#"SecRule ARGS "@contains {word}" "id:942500,phase:1,deny,status:403,severity:CRITICAL""#);
    let files = json!({"crs-setup.conf": "", "REQUEST-942.conf": rule});
    json!({"files": files, "version": version}).to_string().into_bytes()
}

fn hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn pieces(bytes: &[u8], size: usize) -> Vec<RulesetPart> {
    let chunks: Vec<_> = bytes.chunks(size).collect();
    let piece = |(part, data): (usize, &&[u8])| RulesetPart {
        hash: Some(hash(bytes)),
        part: part as u32,
        parts: chunks.len() as u32,
        data: STANDARD.encode(data),
    };
    chunks.iter().enumerate().map(piece).collect()
}

fn front(stage: &Stage) -> Front {
    let desk = Desk::new("0".repeat(32));
    Front::new(Arc::new(Embedded(desk)), stage.waas.clone(), None)
}

fn ruleset(stage: &Stage) -> Value {
    stage.waas.status().unwrap()["ruleset"].clone()
}

fn deliver(front: &Front, stage: &Stage, bytes: &[u8]) {
    for piece in pieces(bytes, 40) {
        front.take_ruleset(piece);
    }
    eventually("the set", || ruleset(stage)["hash"] == json!(hash(bytes)));
}

fn asks(word: &str) -> String {
    format!("GET /?q={word} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// A set takes the place of the rules that come with the Defender, stays for policies that come later, and goes again.
#[test]
fn a_set_is_judged_by() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    let front = front(&stage);
    assert_eq!((stage.ask(&asks("attack")).0, stage.ask(&asks("pear")).0), (403, 200));

    let pear = set("pear");
    deliver(&front, &stage, &pear);

    assert_eq!((stage.ask(&asks("attack")).0, stage.ask(&asks("pear")).0), (200, 403));
    assert_eq!(ruleset(&stage), json!({"hash": hash(&pear), "version": "pear", "error": null, "leftOut": []}));
    assert_eq!(front.ruleset(), Some(hash(&pear)));
    for profile in ["crsStrict", "balanced"] {
        let applications = r#"[{"appID":"a","sqli":{"effect":"prevent"}}]"#;
        let policy = format!(r#"{{"version":1,"rule":"r","profile":"{profile}","applications":{applications}}}"#);
        stage.waas.take_policy("44", Some(&policy));
        assert_eq!((stage.ask(&asks("attack")).0, stage.ask(&asks("pear")).0), (200, 403));
    }

    front.take_ruleset(RulesetPart { hash: None, part: 0, parts: 0, data: String::new() });

    eventually("the built-in rules", || ruleset(&stage)["hash"] == Value::Null);
    assert_eq!((stage.ask(&asks("attack")).0, stage.ask(&asks("pear")).0), (403, 200));
}

/// A set with rules that nobody can judge in linear time is judged by without them, and the status names them.
#[test]
fn rules_beyond_linear_time_are_left_out() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    let front = front(&stage);
    let rules = "SecRule ARGS \"@rx pl(?!ain)um\" \"id:942130,phase:1,deny,status:403\"\n\
                 SecRule ARGS \"@contains pear\" \"id:942500,phase:1,deny,status:403,severity:CRITICAL\"";
    let set = json!({"files": {"crs-setup.conf": "", "a.conf": rules}, "version": "3.3.4"});

    deliver(&front, &stage, set.to_string().as_bytes());

    assert_eq!((ruleset(&stage)["error"].clone(), ruleset(&stage)["leftOut"].clone()), (Value::Null, json!([942_130])));
    assert_eq!((stage.ask(&asks("plum")).0, stage.ask(&asks("pear")).0), (200, 403));
}

/// A set that does not compile, is damaged or is none leaves the last one in force, and the status says why.
#[test]
fn a_bad_set_changes_nothing() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    let front = front(&stage);
    let pear = set("pear");
    deliver(&front, &stage, &pear);
    let broken =
        json!({"files": {"crs-setup.conf": "", "a.conf": "SecRule ARGS \"@nothing x\" \"id:1\""}, "version": "1"});
    let mut damaged = pieces(&set("plum"), 40);
    damaged[1].data = STANDARD.encode("x".repeat(40));
    let cases = [
        (pieces(broken.to_string().as_bytes(), 40), "a.conf:1"),
        (pieces(b"[]", 40), "it is no set of rules"),
        (damaged, "its bytes are not those that its hash names"),
    ];
    for (pieces, said) in cases {
        for piece in pieces {
            front.take_ruleset(piece);
        }

        eventually(said, || ruleset(&stage)["error"].as_str().is_some_and(|error| error.contains(said)));
        assert_eq!(ruleset(&stage)["hash"], json!(hash(&pear)));
        assert_eq!((stage.ask(&asks("attack")).0, stage.ask(&asks("pear")).0), (200, 403));
    }
    deliver(&front, &stage, &set("plum"));
    assert_eq!(ruleset(&stage)["error"], Value::Null);
}

/// Sets that come before any policy wait for it; the newest of many that come at once is in force in the end.
#[test]
fn the_newest_set_wins() {
    let stage = Stage::with_nothing(Application::new(|_| ok("x")).port);
    let front = front(&stage);
    let sets: Vec<_> = (0..8).map(|number| set(&format!("word{number}"))).collect();

    for bytes in &sets {
        for piece in pieces(bytes, 40) {
            front.take_ruleset(piece);
        }
    }
    stage.waas.take_policy("00", Some(crate::stage::POLICY));

    eventually("the newest set", || ruleset(&stage)["hash"] == json!(hash(&sets[7])));
    assert_eq!((stage.ask(&asks("word7")).0, stage.ask(&asks("word6")).0), (403, 200));
}

/// Rules are swapped under load without one request that fails, and each is judged by one set.
#[test]
fn rules_change_under_load() {
    let stage = Arc::new(Stage::new(Application::new(|_| ok("x")).port));
    let front = front(&stage);
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    deliver(&front, &stage, &named("pear", "even"));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (stage, over, answered) = (stage.clone(), over.clone(), answered.clone());
            thread::spawn(move || {
                let mut client = stage.connect();
                while !over.load(Ordering::Relaxed) {
                    // Every set refuses this: there is no moment without rules.
                    client.send("GET /?q=pear HTTP/1.1\r\nHost: a\r\n\r\nGET /?q=fine HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert_eq!(client.answer("GET").status, 403);
                    assert_eq!(client.answer("GET").status, 200);
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..20 {
        let before = answered.load(Ordering::Relaxed);
        deliver(&front, &stage, &named("pear", if round % 2 == 0 { "odd" } else { "even" }));
        eventually("requests", || answered.load(Ordering::Relaxed) >= before + 6);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
}

/// A Defender whose policy names no application compiles no rules, starts nothing, and tells of no firewall.
#[test]
fn without_applications_there_are_no_rules() {
    let desk = Desk::new("0".repeat(32));
    let waas = Waas::start(Config {
        opened: Vec::new(),
        fail_mode: FailMode::Closed,
        limits: Limits::default(),
        rules: Box::new(|_| Err("rules were asked for".into())),
        reporter: desk,
        instance: "0".repeat(32),
        certificates: BTreeMap::new(),
        resolvers: Vec::new(),
        secret: [7; 32],
        whose: Whose::Workload,
    })
    .unwrap();

    waas.take_policy("00", Some(r#"{"version":1,"revision":1,"rule":null,"applications":[]}"#));
    assert_eq!(waas.status(), None);

    waas.take_policy("01", Some(r#"{"version":1,"revision":2,"rule":"r","applications":[{"appID":"a"}]}"#));
    assert_eq!(waas.status().unwrap()["error"], "rules were asked for");
}
