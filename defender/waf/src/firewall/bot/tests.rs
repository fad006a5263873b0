use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::{session::Settings, *};
use crate::{
    Request,
    http::{fill_head, read_head},
};

const CHROME: &str = "Host: shop.test\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Windows\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n";
const CHROME_FETCH: &str = "Host: shop.test\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"124\", \"Microsoft Edge\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0\r\nsec-ch-ua-platform: \"Linux\"\r\n\
    Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.test/\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: de\r\n";
const FIREFOX: &str = "Host: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\n";
const SAFARI: &str = "Host: shop.test\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nAccept-Language: en-GB,en;q=0.9\r\nSec-Fetch-Dest: document\r\n\
    User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n";
const IPHONE: &str = "Host: shop.test\r\nAccept: text/html,*/*;q=0.8\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 15_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Mobile/15E148 Safari/604.1\r\n\
    Accept-Language: fr\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n";

/// User agents that tell what they are, with the class. The rest of the request is as the tool itself sends it.
const TOOLS: &[(&str, BotClass)] = &[
    ("Host: a\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n", BotClass::HttpLibraries),
    (
        "Host: a\r\nUser-Agent: python-requests/2.31.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n",
        BotClass::HttpLibraries,
    ),
    ("Host: a\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n", BotClass::HttpLibraries),
    (
        "Accept-Encoding: identity\r\nHost: a\r\nUser-Agent: Python-urllib/3.11\r\nConnection: close\r\n",
        BotClass::HttpLibraries,
    ),
    ("Host: a\r\nUser-Agent: okhttp/4.12.0\r\n", BotClass::HttpLibraries),
    ("User-Agent: Wget/1.21.3\r\nHost: a\r\n", BotClass::HttpLibraries),
    ("Host: a\r\nUser-Agent: axios/1.6.8\r\n", BotClass::HttpLibraries),
    ("Host: a\r\nUser-Agent: PostmanRuntime/7.37.3\r\n", BotClass::ApiLibraries),
    ("Host: a\r\nUser-Agent: grpc-go/1.63.2\r\n", BotClass::ApiLibraries),
    ("Host: a\r\nUser-Agent: Scrapy/2.11.1 (+https://scrapy.org)\r\n", BotClass::WebScrapers),
    (
        "Host: a\r\nUser-Agent: Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)\r\n",
        BotClass::WebScrapers,
    ),
    (
        "Host: a\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/124.0.0.0 Safari/537.36\r\n",
        BotClass::WebAutomationTools,
    ),
    ("Host: a\r\nUser-Agent: sqlmap/1.8.4#stable (https://sqlmap.org)\r\n", BotClass::Generic),
    ("Host: a\r\nUser-Agent: Mozilla/5.00 (Nikto/2.5.0) (Evasions:None)\r\n", BotClass::Generic),
    ("Host: a\r\nUser-Agent: SomeBot/1.0\r\n", BotClass::Generic),
    ("Host: a\r\n", BotClass::Generic),
    ("Host: a\r\nUser-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)\r\n", BotClass::MediaSearch),
    (
        "Host: a\r\nUser-Agent: Feedly/1.0 (+http://www.feedly.com/fetcher.html; 3 subscribers)\r\n",
        BotClass::ContentFeedClients,
    ),
    (
        "Host: a\r\nUser-Agent: Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)\r\n",
        BotClass::BusinessAnalytics,
    ),
    ("Host: a\r\nUser-Agent: CCBot/2.0 (https://commoncrawl.org/faq/)\r\n", BotClass::Archiving),
];
const GOOGLEBOT: &str =
    "Host: a\r\nUser-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)\r\n";

fn head(fields: &str) -> Head {
    read_head(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap().unwrap().0
}

fn classes(fields: &str, origin: Origin<'_>) -> Vec<BotClass> {
    classify(&head(fields), origin, true, 3).into_iter().map(|(class, _)| class).collect()
}

#[test]
fn browsers_are_nothing_else_even_when_it_is_strict() {
    for fields in [CHROME, CHROME_FETCH, FIREFOX, SAFARI, IPHONE] {
        let found = classify(&head(fields), Origin::Unknown, true, 3);
        assert!(found.is_empty(), "{fields}: {found:?}");
        let plain = classify(&head(fields), Origin::Unknown, false, 3);
        assert!(plain.is_empty(), "{fields}: {plain:?}");
    }
}

#[test]
fn tools_say_what_they_are() {
    for (fields, class) in TOOLS {
        assert_eq!(classes(fields, Origin::Unknown).first(), Some(class), "{fields}");
    }
}

#[test]
fn whoever_only_says_to_be_a_browser_is_found_out() {
    let agent = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n";
    let firefox = FIREFOX.replace("Connection", "sec-ch-ua: \"Chromium\";v=\"124\"\r\nConnection");
    for fields in [
        // curl -A, requests with headers=, Go with a header set, and what rotates user agents without their hints.
        format!("Host: a\r\n{agent}Accept: */*\r\n"),
        format!("Host: a\r\n{agent}Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"),
        format!("Host: a\r\n{agent}Accept-Encoding: gzip\r\n"),
        CHROME.replace("Chrome/124", "Chrome/119"),
        CHROME.replace("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"),
        firefox,
        CHROME.replace("Sec-Fetch", "X-Fetch").replace("sec-ch-ua", "x-ch-ua"),
    ] {
        assert_eq!(classes(&fields, Origin::Unknown).first(), Some(&BotClass::BrowserImpersonation), "{fields}");
    }
    let headless = CHROME.replace("\"Google Chrome\"", "\"HeadlessChrome\"");
    assert_eq!(classes(&headless, Origin::Unknown), [BotClass::WebAutomationTools]);
}

#[test]
fn known_bots_are_confirmed_by_their_names() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let found = |names: Vec<String>| classes(GOOGLEBOT, Origin::Names(&names))[0];

    assert_eq!(classes(GOOGLEBOT, Origin::Unknown), [BotClass::SearchEngineCrawlers]);
    assert_eq!(classes(GOOGLEBOT, Origin::Listed), [BotClass::SearchEngineCrawlers]);
    assert_eq!(found(names(&["x.test", "crawl-66-249-66-1.GOOGLEBOT.com."])), BotClass::SearchEngineCrawlers);
    for bad in [&[][..], &["googlebot.com.evil.test"], &["evilgooglebot.com"], &["é.com"]] {
        assert_eq!(found(names(bad)), BotClass::BotImpersonation, "{bad:?}");
    }
}

fn bots(spec: serde_json::Value) -> Bots {
    let spec: BotSpec = serde_json::from_value(spec).unwrap();
    Bots::compile(&spec, &|name| (name == "office").then(|| vec![("10.0.0.0".parse().unwrap(), 8)])).unwrap()
}

#[test]
fn the_policy_says_what_is_done() {
    let bots = bots(json!({
        "userDefinedBots": [
            {"name": "probe", "headerName": "user-agent", "headerValues": ["Go-*/1.?", "go-http*"], "subnets": ["office"], "effect": "allow"},
            {"name": "old", "headerName": "X-Tool", "headerValues": [], "subnets": [], "effect": "ban"},
        ],
        "knownBotProtectionsSpec": {"searchEngineCrawlers": "alert"},
        "unknownBotProtectionSpec": {"httpLibraries": "prevent", "botImpersonation": "ban", "requestAnomalies": {"threshold": 6, "effect": "alert"}},
    }));
    let [inside, outside]: [IpAddr; 2] = ["10.1.2.3", "203.0.113.9"].map(|address| address.parse().unwrap());
    let judged = |fields: &str, client| {
        let found = bots.judge(&head(fields), client, Origin::Unknown, true);
        found.map(|sighting| (sighting.class, sighting.effect))
    };
    let go = TOOLS[2].0;

    assert_eq!(judged(go, inside), Some((BotClass::UserDefinedBot, Effect::Allow)));
    assert_eq!(judged(go, outside), Some((BotClass::HttpLibraries, Effect::Prevent)));
    assert_eq!(judged(&format!("{CHROME}x-tool: 1\r\n"), outside), Some((BotClass::UserDefinedBot, Effect::Ban)));
    assert_eq!(judged(GOOGLEBOT, outside), Some((BotClass::SearchEngineCrawlers, Effect::Alert)));
    assert_eq!(judged(CHROME, outside), None);
    // What is let be as a tool may still be too unlike a browser.
    assert_eq!(
        judged("Host: a\r\nUser-Agent: PostmanRuntime/7\r\n", outside),
        Some((BotClass::RequestAnomalies, Effect::Alert))
    );
    assert!(bots.wants_names(&head(GOOGLEBOT)) && !bots.wants_names(&head(CHROME)));
    assert_eq!(BotClass::SearchEngineCrawlers.name(), "searchEngineCrawlers");
}

#[test]
fn bots_that_name_nothing_are_refused() {
    let refused = |bot: serde_json::Value| {
        let spec: BotSpec = serde_json::from_value(json!({"userDefinedBots": [bot]})).unwrap();
        Bots::compile(&spec, &|_| None).unwrap_err()
    };
    assert_eq!(refused(json!({"name": "x"})), "the user-defined bot `x` has neither `headerName` nor `subnets`");
    assert_eq!(
        refused(json!({"name": "x", "subnets": ["y"]})),
        "the user-defined bot `x`: there is no network list `y`"
    );
}

#[test]
fn stars_stand_for_any_part() {
    for (pattern, text, wanted) in [
        ("a*c*", "aBcd", true),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*a", "a", false),
        ("*b*b", "abab", true),
        ("a", "A", true),
        ("*a", "ab", false),
    ] {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
    }
}

/// A signer for tests: HMAC (RFC 2104) with SHA-1, filled up.
struct Key(&'static [u8]);

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let padded = |with: u8| (0..64).map(|at| self.0.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
        let hash = |parts: [&[u8]; 2]| sha1_smol::Sha1::from(parts.concat()).digest().bytes();
        let inner = hash([&padded(0x36), message]);
        let mut signature = [0; 32];
        signature[..20].copy_from_slice(&hash([&padded(0x5c), &inner]));
        signature
    }
}

fn request(fields: &str) -> Request {
    let mut request = Request::new();
    fill_head(&mut request, &head(fields));
    request
}

const NOW: u64 = 1_800_000_000_000;

fn client() -> IpAddr {
    "203.0.113.9".parse().unwrap()
}

/// A request with cookies.
fn with(cookies: &str) -> Request {
    request(&format!("{CHROME}Cookie: {cookies}\r\n"))
}

fn set_cookie(answer: &crate::firewall::Answer) -> &str {
    let found = answer.headers.iter().find(|(name, _)| name == "set-cookie").unwrap();
    found.1.split(';').next().unwrap()
}

#[test]
fn a_session_is_one_clients_until_it_is_over() {
    let sessions = Sessions::new(&Key(b"secret"), Settings { secure: true, ..Settings::default() });
    assert_eq!(sessions.visit(&request(CHROME), client(), NOW, "e1"), Visit::Missing);
    let page = sessions.page(&request(CHROME), client(), NOW, "e<1>");
    let cookie = set_cookie(&page);
    let visit = |cookie: &str, client: IpAddr, now: u64| sessions.visit(&with(cookie), client, now, "e2");

    assert_eq!(visit(cookie, client(), NOW + 1), Visit::Valid { id: "e1".into(), signs: 0 });
    assert_eq!(visit(&format!("a=b; {cookie}"), client(), NOW), Visit::Valid { id: "e1".into(), signs: 0 });
    assert_eq!(visit(cookie, client(), NOW + 24 * 3_600_000), Visit::Missing);
    assert_eq!(visit(cookie, "203.0.113.10".parse().unwrap(), NOW), Visit::Replayed);
    let other = request(&format!("{FIREFOX}Cookie: {cookie}\r\n"));
    assert_eq!(sessions.visit(&other, client(), NOW, "e2"), Visit::Replayed);
    assert_eq!(
        Sessions::new(&Key(b"other"), Settings::default()).visit(&with(cookie), client(), NOW, "e2"),
        Visit::Tampered
    );
    for (from, to) in [(".18", ".19"), ("v1.", "v2."), (".0.", ".00."), ("e1", "e2"), ("=v1", "=")] {
        assert_eq!(visit(&cookie.replacen(from, to, 1), client(), NOW), Visit::Tampered, "{from}");
    }
    assert_eq!(visit(&cookie[..cookie.len() - 1], client(), NOW), Visit::Tampered);
    assert!(page.headers.iter().any(|(_, value)| value.contains("HttpOnly; SameSite=Lax; Secure")));
}

/// What the page's script would put into its cookie.
fn solved(body: &str, signs: u32) -> String {
    let between = |start: &str, end: &str| body.split(start).nth(1).unwrap().split(end).next().unwrap().to_owned();
    let seed: u32 = between("var h=", "^").parse().unwrap();
    let token = between("bartizan_proof=", ".\"+n");
    let number = (0..).find(|number| pages::solves(seed, *number)).unwrap();
    format!("bartizan_proof={token}.{number}.{signs}")
}

#[test]
fn a_session_begins_when_the_task_is_solved() {
    let sessions = Sessions::new(&Key(b"secret"), Settings { script: true, ..Settings::default() });
    let page = sessions.page(&request(CHROME), client(), NOW, "e1");
    let body = String::from_utf8(page.body).unwrap();
    let proof = solved(&body, 0);
    let visit = |cookie: &str, now: u64| sessions.visit(&with(cookie), client(), now, "e2");

    assert!(page.headers.iter().all(|(name, _)| name != "set-cookie"));
    let Visit::Proved { id, signs: 0, set_cookie } = visit(&proof, NOW + 500) else { panic!("{proof}") };
    let session = set_cookie.split(';').next().unwrap();
    assert_eq!(visit(session, NOW + 900), Visit::Valid { id, signs: 0 });
    assert_eq!(visit(&proof, NOW + 60_001), Visit::Late);
    assert_eq!(visit(&proof.replace(".0", ".1.0"), NOW), Visit::Tampered);
    assert_eq!(sessions.visit(&with(&proof), "::1".parse().unwrap(), NOW, "e2"), Visit::Replayed);
    // A task's token is no session.
    assert_eq!(visit(&proof.replace("bartizan_proof", "bartizan_session"), NOW), Visit::Tampered);
    assert!(visit(&solved(&body, 1), NOW).is_driven() && !visit(&proof, NOW).is_driven());
}

#[test]
fn only_pages_are_answered_with_pages() {
    assert!(session::can_answer(&head(CHROME)) && session::can_answer(&head(TOOLS[0].0)));
    assert!(!session::can_answer(&head(CHROME_FETCH)));
    let post = read_head(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().unwrap().0;
    assert!(!session::can_answer(&post));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// No cookie is taken for a session but the one that was given, and none makes us panic.
    #[test]
    fn no_other_cookie_is_a_session(value in "(v1\\.)?[a-z0-9.]{0,120}", cut in 0_usize..140, digit in "[0-9a-f.]") {
        let sessions = Sessions::new(&Key(b"secret"), Settings { script: true, ..Settings::default() });
        let given = Sessions::new(&Key(b"secret"), Settings::default()).page(&request(CHROME), client(), NOW, "e1");
        let given = set_cookie(&given).to_owned();
        let cut = 17 + cut % (given.len() - 17);
        let changed = format!("{}{digit}{}", &given[..cut], &given[cut + 1..]);
        prop_assume!(changed != given);
        for cookie in [changed, format!("bartizan_session={value}"), format!("bartizan_proof={value}")] {
            let visit = sessions.visit(&with(&cookie), client(), NOW, "e2");
            prop_assert!(!matches!(visit, Visit::Valid { .. } | Visit::Proved { .. }), "{cookie}: {visit:?}");
        }
    }

    /// Any head is classified.
    #[test]
    fn any_head_is_classified(fields in "((User-Agent|Accept|sec-ch-ua|Sec-Fetch-Mode|Connection|sec-ch-ua-platform): [ -~]{0,40}\r\n){0,6}") {
        let _ = classify(&head(&format!("Host: a\r\n{fields}")), Origin::Unknown, true, 3);
    }
}
