//! The survey beside the plain way, over generated rules and requests; what a budget ends.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Transaction, Verdict};
use crate::{
    Request, Ruleset,
    rule::Phase,
    seclang::{Source, load},
    value::Collection,
};

const PHASES: [Phase; 5] =
    [Phase::RequestHead, Phase::RequestBody, Phase::ResponseHead, Phase::ResponseBody, Phase::Logging];

fn ruleset(text: &str) -> Ruleset {
    load(&[Source { name: "test.conf", text: text.as_bytes() }], &[]).unwrap()
}

/// One link without its number: targets, operator, actions.
fn link() -> impl Strategy<Value = (String, String, String)> {
    let targets = select(vec![
        "ARGS",
        "ARGS_NAMES",
        "ARGS:id",
        "ARGS|!ARGS:id",
        "ARGS|ARGS_NAMES|REQUEST_COOKIES",
        "REQUEST_HEADERS",
        "REQUEST_HEADERS:x|ARGS_GET",
        "&ARGS",
        "&TX:a",
        "TX:a",
        "TX:/^b/",
        "TX",
        "MATCHED_VARS",
        "MATCHED_VAR",
        "RESPONSE_BODY",
        "REQUEST_METHOD",
        "REQUEST_COOKIES:/^i/",
        "REQBODY_PROCESSOR",
    ]);
    let operator = select(vec![
        "@rx ab",
        "@rx ^a",
        "!@rx b",
        "@rx ^.*$",
        "@rx (a)(b)?",
        "@rx A",
        "@pm ab c",
        "@detectSQLi",
        "@detectXSS",
        "@eq 1",
        "@lt 2",
        "!@lt 1",
        "@ge %{tx.a}",
        "@streq a",
        "@validateByteRange 32-126",
        "@validateUrlEncoding",
        "@contains b",
        "@validateUtf8Encoding",
        "@unconditionalMatch",
        "@rx b ",
    ]);
    let action = select(vec![
        "t:lowercase",
        "t:urlDecodeUni",
        "t:removeWhitespace",
        "t:length",
        "t:base64Decode",
        "t:none",
        "capture",
        "multiMatch",
        "setvar:tx.a=+1",
        "setvar:tx.a=1",
        "setvar:'tx.b_%{tx.0}=x%{MATCHED_VAR}'",
        "setvar:!tx.a",
        "setvar:'tx.c=%{tx.a}'",
        "ctl:ruleRemoveById=3-4",
        "ctl:ruleRemoveTargetById=2-9;ARGS:id",
        "ctl:ruleRemoveTargetById=5-9;TX:a",
        "ctl:ruleRemoveByTag=^t$",
        "ctl:requestBodyProcessor=XML",
    ]);
    (targets, operator, vec(action, 0..4))
        .prop_map(|(targets, operator, actions)| (targets.to_owned(), operator.to_owned(), actions.join(",")))
}

/// What only the first link of a rule says.
fn heading() -> impl Strategy<Value = String> {
    let action = select(vec![
        "nolog",
        "nolog,skipAfter:END",
        "skipAfter:END",
        "skip:1",
        "tag:t",
        "msg:'%{MATCHED_VAR_NAME} %{tx.0} %{tx.a}'",
        "deny",
        "logdata:'%{MATCHED_VAR}'",
        "pass",
    ]);
    (1..=5_u8, vec(action, 0..3)).prop_map(|(phase, actions)| format!("phase:{phase},{}", actions.join(",")))
}

/// Rules of the kind that the Core Rule Set begins with: defaults, guards, what is taken away for every request.
fn beginning() -> impl Strategy<Value = String> {
    let line = select(vec![
        "SecAction \"ID,phase:1,nolog,pass,setvar:tx.a=1,setvar:tx.d=2\"",
        "SecAction \"ID,phase:1,nolog,pass,setvar:tx.d=+%{tx.a},ctl:ruleRemoveById=2\"",
        "SecAction \"ID,phase:2,nolog,pass,ctl:ruleRemoveById=1-3\"",
        "SecAction \"ID,phase:1,nolog,pass,setvar:tx.anomaly_score_pl1=+5\"",
        "SecRule &TX:a \"@eq 0\" \"ID,phase:1,nolog,pass,setvar:tx.a=3\"",
        "SecRule &TX:d \"@eq 0\" \"ID,phase:1,nolog,pass,setvar:tx.d=1,chain\"\nSecRule TX:a \"@ge 1\" \"setvar:tx.d=3\"",
        "SecRule TX:d \"@rx [23]\" \"ID,phase:1,nolog,pass,t:none,t:urlDecodeUni,setvar:tx.a=2\"",
        "SecRule TX:d \"!@streq %{tx.a}\" \"ID,phase:1,nolog,pass,setvar:tx.b_x=1,skip:1\"",
        "SecRule ARGS \"!@rx a\" \"ID,phase:1,nolog,pass,setvar:tx.b_x=1,skip:2\"",
        "SecRule TX:d \"@lt 2\" \"ID,phase:1,nolog,pass,skipAfter:END\"",
        "SecRule TX:d \"@lt 3\" \"ID,phase:2,nolog,pass,skipAfter:END\"",
        "SecRule TX:a \"@lt 1\" \"ID,phase:2,nolog,pass,skipAfter:END\"",
        "SecRule TX:d \"@ge %{tx.a}\" \"ID,phase:2,nolog,pass,skipAfter:MIDDLE\"",
        "SecRule TX:d \"@ge 2\" \"ID,phase:3,log,pass,msg:'%{tx.d}'\"",
        "SecRule REQUEST_HEADERS:x \"@rx a\" \"ID,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON\"",
        "SecRule REQUEST_HEADERS:x \"@rx a\" \"ID,phase:1,nolog,pass,setvar:tx.d=9\"",
        "SecRule ARGS \"@rx a\" \"ID,phase:2,nolog,pass,skipAfter:MIDDLE\"",
        "SecRule ARGS \"@rx b\" \"ID,phase:1,nolog,pass,ctl:ruleRemoveById=90-93,ctl:ruleRemoveById=1-4\"",
        "SecRule REQUEST_HEADERS \"@rx ^.*$\" \"ID,phase:1,log,capture,t:none,t:lowercase,setvar:'tx.h_%{tx.0}=/%{tx.0}/',chain\"\n\
         SecRule TX:/^h_/ \"@contains a%{tx.d}\" \"setvar:tx.anomaly_score_pl1=+5\"",
        "SecRule REQUEST_COOKIES_NAMES|ARGS_NAMES \"@rx ^(.).*$\" \"ID,phase:1,log,capture,setvar:'tx.h_%{tx.0}=%{tx.0}b',chain\"\n\
         SecRule TX:/^h_/ \"!@contains a\" \"t:lowercase,setvar:tx.a=+5\"",
        "SecMarker MIDDLE",
    ]);
    vec(line, 0..8).prop_map(|lines| {
        let lines = lines.iter().enumerate();
        lines.map(|(number, line)| line.replace("ID", &format!("id:{}", 90 + number)) + "\n").collect()
    })
}

fn rules() -> impl Strategy<Value = String> {
    let rule = (heading(), vec(link(), 1..3));
    (vec(rule, 1..10), beginning(), 0..10_usize).prop_map(|(rules, beginning, marker)| {
        let mut text = beginning;
        for (number, (heading, links)) in rules.iter().enumerate() {
            for (place, (targets, operator, actions)) in links.iter().enumerate() {
                let chain = if place + 1 < links.len() { ",chain" } else { "" };
                let first = if place == 0 { format!("id:{},{heading},", number + 1) } else { String::new() };
                text.push_str(&format!("SecRule {targets} \"{operator}\" \"{first}{actions}{chain}\"\n"));
            }
            if number == marker {
                text.push_str("SecMarker END\n");
            }
        }
        text
    })
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(select(b"abAB% 1\n".to_vec()), 0..8),
        select(vec![
            b"YWI=".to_vec(),
            b"%61%62".to_vec(),
            b"1' or 1=1--".to_vec(),
            b"<script>".to_vec(),
            b"\xFF".to_vec(),
            b"id".to_vec(),
        ]),
    ]
}

fn values() -> impl Strategy<Value = Vec<(Collection, Vec<u8>, Vec<u8>)>> {
    let collection =
        select(vec![Collection::ArgsGet, Collection::ArgsPost, Collection::RequestHeaders, Collection::RequestCookies]);
    let name = prop_oneof![select(vec![b"id".to_vec(), b"ID".to_vec(), b"x".to_vec()]), value()];
    vec((collection, name, value()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rules find the same by the survey as when each asks of every value, also for a request like others before it.
    #[test]
    fn both_ways_find_the_same(text in rules(), early in values(), late in values(), body in value(), copied in any::<bool>()) {
        let ruleset = ruleset(&text);
        let fill = |request: &mut Request, values: &[(Collection, Vec<u8>, Vec<u8>)]| {
            for (collection, name, value) in values {
                request.add(*collection, name, value);
            }
        };
        let judged = |mut transaction: Transaction<'_>, early: &[_], late: &[_]| {
            let mut request = Request::new();
            request.set(Collection::RequestMethod, b"a");
            fill(&mut request, early);
            let mut response = Request::new();
            let first = transaction.judge(Phase::RequestHead, &request, &response);
            fill(&mut request, late);
            request.set(Collection::RequestMethod, &body);
            let request = if copied { request.clone() } else { request };
            let second = transaction.judge(Phase::RequestBody, &request, &response);
            response.set(Collection::ResponseBody, &body);
            let rest = PHASES[2..].iter().map(|phase| transaction.judge(*phase, &request, &response)).collect::<Vec<_>>();
            (transaction.findings().to_vec(), first, second, rest, ["a", "d"].map(|name| transaction.kept(name).map(<[u8]>::to_vec)))
        };
        for (early, late) in [(&early, &late), (&late, &early), (&early, &late)] {
            let quick = judged(Transaction::new(&ruleset), early, late);
            prop_assert_eq!(quick, judged(Transaction::one_by_one(&ruleset), early, late), "{}", text);
        }
    }
}

/// A chain whose values were seen before still keeps the names that another rule looks at, and sees those that another keeps.
#[test]
fn chains_share_their_names_with_other_rules() {
    let chain = "SecRule REQUEST_HEADERS_NAMES \"@rx ^.*$\" \
        \"id:1,phase:1,pass,log,capture,t:none,t:lowercase,setvar:'tx.h_%{tx.0}=/%{tx.0}/',chain\"\n\
        SecRule TX:/^h_/ \"@contains evil\" \"setvar:tx.a=1\"\n";
    let spelt = format!("{chain}SecRule TX:h_host \"@contains host\" \"id:2,phase:1,log,pass\"");
    let kept = format!(
        "SecRule ARGS \"@rx ^evil$\" \"id:3,phase:1,nolog,pass,capture,setvar:'tx.h_x_%{{tx.0}}=%{{tx.0}}'\"\n{chain}"
    );
    for text in [spelt, kept] {
        let ruleset = ruleset(&text);
        for argument in [&b"good"[..], b"good", b"evil"] {
            let mut request = Request::new();
            request.add(Collection::RequestHeaders, b"Host", b"shop.test");
            request.add(Collection::ArgsGet, b"q", argument);
            let [quick, plain] =
                [Transaction::new(&ruleset), Transaction::one_by_one(&ruleset)].map(|mut transaction| {
                    transaction.judge(Phase::RequestHead, &request, &Request::new());
                    transaction.findings().to_vec()
                });
            assert_eq!(quick, plain, "{text}");
        }
    }
}

/// A request that asks for more work than is allowed is judged by what was found until then, and says so.
#[test]
fn a_budget_ends_the_looking_but_not_the_judging() {
    let text = "SecRule ARGS \"@rx ^a+$\" \"id:1,phase:2,pass,nolog,setvar:tx.score=+5\"\n\
        SecRule ARGS \"@rx ^a+b*$\" \"id:2,phase:2,pass,nolog,setvar:tx.score=+1\"\n\
        SecRule TX:score \"@ge 5\" \"id:3,phase:2,deny,status:403\"";
    let mut ruleset = ruleset(text);
    let mut request = Request::new();
    request.add(Collection::ArgsGet, b"x", &[b'a'; 1000]);
    let empty = Request::new();

    let mut whole = Transaction::new(&ruleset);
    assert_eq!(whole.judge(Phase::RequestBody, &request, &empty), Verdict::Refuse { status: 403, rule: 3 });
    assert_eq!((whole.overrun(), whole.kept("score")), (false, Some(&b"6"[..])));

    (ruleset.settings.work_limit, ruleset.settings.work_for_byte) = (whole.work() - 500, 0);
    let mut cut = Transaction::new(&ruleset);
    assert_eq!(cut.judge(Phase::RequestBody, &request, &empty), Verdict::Refuse { status: 403, rule: 3 });
    assert_eq!((cut.overrun(), cut.kept("score")), (true, Some(&b"5"[..])));
    assert!(cut.work() <= ruleset.settings.work_limit);
}

/// The work for a request grows with its bytes, not faster.
#[test]
fn work_is_linear() {
    let ruleset = ruleset("SecRule ARGS \"@rx a.*b\" \"id:1,phase:2,t:lowercase,t:removeWhitespace\"");
    let work = |times: usize| {
        let mut request = Request::new();
        request.add(Collection::ArgsGet, b"", &b"aA b\t".repeat(times));
        let mut transaction = Transaction::new(&ruleset);
        judged_all(&mut transaction, &request);
        transaction.work()
    };
    assert!(work(2_000) <= 2 * work(1_000));
}

fn judged_all(transaction: &mut Transaction<'_>, request: &Request) {
    for phase in PHASES {
        transaction.judge(phase, request, &Request::new());
    }
}
