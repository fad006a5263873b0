//! The pages that clients without a session get.

use crate::firewall::Answer;

/// The names of the cookies.
pub(super) const SESSION: &str = "bartizan_session";
pub(super) const PROOF: &str = "bartizan_proof";

/// How many low bits of the mixed number have to be nothing: some ten thousand tries, a few milliseconds of a browser.
const DIFFICULTY: u32 = 14;

/// A page that only loads itself again, with a session's cookie set by its header.
pub(super) fn interstitial(set_cookie: &str) -> Answer {
    let mut answer = page("<script>location.reload()</script>");
    answer.headers.push(("set-cookie".to_owned(), set_cookie.to_owned()));
    answer
}

/// A page whose script solves a task, tells what drives the browser, and loads itself again. `token` is of letters, digits,
/// dots and dashes.
pub(super) fn script(token: &str, seed: u32, secure: bool) -> Answer {
    let secure = if secure { ";secure" } else { "" };
    let mask = (1_u32 << DIFFICULTY) - 1;
    page(&format!(
        r#"<script>(function(){{
function mix(n){{var h={seed}^Math.imul(n,2654435761);h^=h>>>16;h=Math.imul(h,2246822507);h^=h>>>13;h=Math.imul(h,3266489909);return(h^h>>>16)>>>0}}
var n=0;while(mix(n)&{mask})n++;
var f=0;if(navigator.webdriver)f|=1;if(!navigator.languages||!navigator.languages.length)f|=2;
if(window.callPhantom||window._phantom||window.__nightmare||window.domAutomation)f|=4;
if(document.documentElement.getAttribute("webdriver"))f|=8;if(!window.outerWidth&&!window.outerHeight)f|=16;
document.cookie="{PROOF}={token}."+n+"."+f+";path=/;max-age=60;samesite=lax{secure}";location.reload()}})()</script>"#
    ))
}

/// Whether a number solves the task of a seed; the same arithmetic as the script's.
pub(super) fn solves(seed: u32, number: u32) -> bool {
    let mut mixed = seed ^ number.wrapping_mul(2_654_435_761);
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(2_246_822_507);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(3_266_489_909);
    mixed ^= mixed >> 16;
    mixed.trailing_zeros() >= DIFFICULTY
}

/// 503, so that nobody keeps or indexes it for what was asked for.
fn page(script: &str) -> Answer {
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>One moment</title>\
         <meta name=\"robots\" content=\"noindex\"></head><body><p>One moment: your browser is being checked.</p>\
         <noscript><p>Please allow JavaScript and cookies for this site.</p></noscript>{script}</body></html>"
    );
    let headers = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"), ("retry-after", "1")];
    Answer {
        status: 503,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.into_bytes(),
    }
}
