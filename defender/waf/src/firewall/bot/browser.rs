//! What browsers send, and what something sends that only says to be one.
//!
//! Every sign has a weight: 1 for what networks in between may have done, 3 for what no browser of that kind does, 5 for
//! what contradicts itself. Sources: Fetch Metadata Request Headers (W3C), User-Agent Client Hints (WICG), and what the
//! browsers of the test's table were seen to send.

use crate::http::{Head, Version};

/// What a user agent says to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Chrome, Edge, Opera, and whatever else is made of Chromium.
    Chromium,
    Firefox,
    Safari,
}

/// The browser that a user agent says to be, with its major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) engine: Engine,
    pub(super) version: u32,
}

/// Something that a browser would not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) what: &'static str,
    pub(super) weight: u32,
}

impl Claim {
    /// What a user agent (in lower case) says; none when it says to be no browser.
    pub(super) fn of(user_agent: &[u8]) -> Option<Self> {
        if !user_agent.starts_with(b"mozilla/5.0 (") {
            return None;
        }
        let after =
            |word: &[u8]| memchr::memmem::find(user_agent, word).map(|at| number(&user_agent[at + word.len()..]));
        if let Some(version) = after(b"chrome/").or_else(|| after(b"chromium/")) {
            return Some(Self { engine: Engine::Chromium, version });
        }
        if let Some(version) = after(b"firefox/") {
            return Some(Self { engine: Engine::Firefox, version });
        }
        // Chrome and Firefox on iOS are Safari beneath.
        let safari = after(b"applewebkit/").is_some() && after(b"mobile/").or_else(|| after(b"safari/")).is_some();
        safari.then(|| Self { engine: Engine::Safari, version: after(b"version/").unwrap_or(0) })
    }
}

/// What about a request is not as browsers send it. `secure` is whether the browser spoke TLS.
pub(super) fn signs(head: &Head, claim: Option<Claim>, secure: bool) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut sign = |holds: bool, weight: u32, what: &'static str| {
        if holds {
            signs.push(Sign { what, weight });
        }
    };
    let has = |name: &str| head.header(name).is_some_and(|value| !value.is_empty());
    let count = |name: &str| head.headers().filter(|header| header.name.eq_ignore_ascii_case(name.as_bytes())).count();
    sign(!has("user-agent"), 4, "there is no user agent");
    sign(count("user-agent") > 1, 3, "there is more than one user agent");
    sign(!has("accept"), 3, "there is no `Accept`");
    sign(!has("accept-language"), 3, "there is no `Accept-Language`");
    sign(!has("accept-encoding"), 2, "there is no `Accept-Encoding`");
    sign(head.version() == Version::Http10, 3, "it is HTTP/1.0");
    sign(host_is_address(head), 1, "the host is an address");
    let Some(claim) = claim else { return signs };
    sign(stands_before(head, "accept-encoding", "accept"), 3, "`Accept-Encoding` stands before `Accept`");
    let alone = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    sign(alone, 1, "the connection is for one request");
    let navigates = has("upgrade-insecure-requests") || head.header("sec-fetch-mode") == Some(b"navigate");
    sign(navigates && head.header("accept") == Some(b"*/*"), 3, "a page is asked for as anything at all");
    let fetches = has("sec-fetch-mode") || has("sec-fetch-site");
    let knows_fetch = match claim.engine {
        Engine::Chromium => claim.version >= 80,
        Engine::Firefox => claim.version >= 90,
        Engine::Safari => claim.version >= 17,
    };
    sign(secure && knows_fetch && !fetches, 3, "there is no `Sec-Fetch-Mode`, which this browser sends");
    hints(head, claim, secure, &mut sign);
    signs
}

/// Signs of client hints, which only Chromium has.
fn hints(head: &Head, claim: Claim, secure: bool, sign: &mut dyn FnMut(bool, u32, &'static str)) {
    let brands = head.header("sec-ch-ua");
    if claim.engine != Engine::Chromium {
        sign(brands.is_some(), 5, "there are client hints, which this browser has not");
        return;
    }
    sign(secure && claim.version >= 90 && brands.is_none(), 2, "there is no `Sec-CH-UA`, which this browser sends");
    if let Some(brands) = brands {
        let versions = brand_versions(brands);
        sign(!versions.contains(&claim.version), 5, "`Sec-CH-UA` names another version than the user agent");
    }
    if let (Some(platform), Some(agent)) = (head.header("sec-ch-ua-platform"), head.header("user-agent")) {
        let wanted: &[u8] = match platform.trim_ascii() {
            b"\"Windows\"" => b"Windows",
            b"\"macOS\"" => b"Macintosh",
            b"\"Android\"" => b"Android",
            b"\"Linux\"" => b"Linux",
            b"\"Chrome OS\"" | b"\"Chromium OS\"" => b"CrOS",
            _ => b"",
        };
        let same = memchr::memmem::find(agent, wanted).is_some();
        sign(!same, 5, "`Sec-CH-UA-Platform` names another system than the user agent");
    }
}

/// The versions of a list of brands: `"Chromium";v="124", "Not-A.Brand";v="99"`.
fn brand_versions(brands: &[u8]) -> Vec<u32> {
    memchr::memmem::find_iter(brands, b"v=\"").map(|at| number(&brands[at + 3..])).collect()
}

/// The number that a text begins with; 0 for none.
fn number(text: &[u8]) -> u32 {
    let digits = text.iter().take(9).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

fn stands_before(head: &Head, first: &str, second: &str) -> bool {
    let place = |name: &str| head.headers().position(|header| header.name.eq_ignore_ascii_case(name.as_bytes()));
    matches!((place(first), place(second)), (Some(first), Some(second)) if first < second)
}

fn host_is_address(head: &Head) -> bool {
    let host = head.header("host").unwrap_or_default();
    let name = host.split(|byte| *byte == b':').next().unwrap_or_default();
    host.starts_with(b"[") || (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}
