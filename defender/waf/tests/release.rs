#![allow(clippy::unwrap_used, reason = "policies and requests are written here, and a broken one fails the test")]
//! What an exchange holds while the application answers: its values only when something still looks at them.

use std::sync::Arc;

use defender_waf::{
    Ruleset,
    firewall::{Client, Firewall, Policy, ResponseHead, Ruling, Standing},
    http::read_head,
    seclang::{Source, load},
};

const RULES: &str = r#"
SecRule RESPONSE_STATUS "@eq 500" "id:2,phase:3,pass,msg:'leak',tag:'attack-sqli',tag:'attack-disclosure',setvar:'tx.outbound_anomaly_score_pl1=+5'"
"#;
const LEAK: &str = r#""intelGathering":{"infoLeakageEffect":"prevent"}"#;
/// A body that is too long to be learnt from.
const LEAVES: usize = 50_000;

/// What an exchange with a body holds shortly before and after it is judged, how the response is ruled, and what is told.
struct Outcome {
    before: usize,
    after: usize,
    ruling: Ruling,
    told: Vec<String>,
}

fn ruleset(rules: &str) -> Arc<Ruleset> {
    Arc::new(load(&[Source { name: "rules.conf", text: rules.as_bytes() }], &[]).unwrap())
}

/// A body that is judged by rules and by a part of an application.
fn judged(rules: &str, application: &str) -> Outcome {
    let policy = format!(r#"{{"version":1,"rule":"r","applications":[{{"appID":"a",{application}}}]}}"#);
    let firewall = Firewall::new(Policy::parse(policy.as_bytes()).unwrap(), ruleset(rules)).unwrap();
    let body = format!(r#"{{"note":"attack","list":[{}1]}}"#, "1,".repeat(LEAVES));
    let text = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
    let client = Client { peer: "192.0.2.1".parse().unwrap(), port: 80, secure: false };
    let standing = Standing::default();
    let mut exchange = firewall.open(&head, client, &standing, 0, "1");
    assert_eq!(exchange.request_head(), Ruling::Pass);
    let (most, last) = body.as_bytes().split_at(body.len() - 1);
    assert_eq!(exchange.request_body(most), Ruling::Pass);
    let before = exchange.holds();
    assert_eq!(exchange.request_body(last), Ruling::Pass);
    assert_eq!(exchange.request_end(), Ruling::Pass);
    let after = exchange.holds();
    let ruling = exchange.response_head(&mut ResponseHead { status: 500, headers: Vec::new() });
    let told = exchange.finish().into_iter().map(|report| report.attack).collect();
    Outcome { before, after, ruling, told }
}

/// Nothing is left of a body's values that nobody is still to look at, and the response is judged all the same.
#[test]
fn a_judged_body_is_let_go_of() {
    let outcome = judged(RULES, &format!(r#""sqli":{{"effect":"prevent"}},{LEAK}"#));

    assert!(outcome.before >= 2 * LEAVES, "{}", outcome.before);
    assert!(outcome.after < 16 << 10, "{}", outcome.after);
    assert!(matches!(outcome.ruling, Ruling::Answer(_)), "{:?}", outcome.told);
}

/// A rule of one's own that waits for the response still has the body, one that does not wait leaves nothing.
#[test]
fn rules_that_wait_keep_the_body() {
    let rule = |expression: &str, kind: &str| {
        let rule = format!(r#"{{"name":"mine","effect":"prevent","expression":"{expression}","type":"{kind}"}}"#);
        judged(RULES, &format!(r#""customRules":[{rule}]"#))
    };
    let waits = rule(r"resp.status_code = 500 and req.body contains /attack/", "waas-response");
    let decided = rule(r"req.body contains /elsewhere/", "waas-request");

    assert!(waits.after > 2 * LEAVES && matches!(waits.ruling, Ruling::Answer(_)), "{:?}", waits.told);
    assert!(decided.after < 16 << 10 && decided.ruling == Ruling::Pass, "{}", decided.after);
}

/// A rule of the response that looks back at the request finds what it looks for.
#[test]
fn rules_that_look_back_keep_the_values() {
    let rules = format!(
        "{RULES}SecRule RESPONSE_STATUS \"@eq 500\" \"id:3,phase:3,deny,tag:'attack-sqli',chain\"\n\
                         SecRule ARGS_POST \"@rx attack\" \"\"\n"
    )
    .replace("+5", "+0");
    let outcome = judged(&rules, &format!(r#""sqli":{{"effect":"prevent"}},{LEAK}"#));

    assert!(outcome.after > 2 * LEAVES, "{}", outcome.after);
    assert!(matches!(outcome.ruling, Ruling::Answer(_)), "{:?}", outcome.told);
}

/// What an exception covers in a body spares the response as well, though it is gone by then.
#[test]
fn exceptions_are_remembered() {
    let rules = RULES.replace(",tag:'attack-disclosure'", "");
    let sqli = |key: &str| {
        let exceptions = format!(r#"[{{"location":"JSONPath","key":"{key}"}}]"#);
        judged(&rules, &format!(r#""sqli":{{"effect":"prevent","exceptionFields":{exceptions}}},{LEAK}"#))
    };

    let (covered, other) = (sqli("/note"), sqli("/elsewhere"));
    assert!(covered.after < 16 << 10 && covered.ruling == Ruling::Pass, "{:?}", covered.told);
    assert!(matches!(other.ruling, Ruling::Answer(_)), "{:?}", other.told);
}
