//! JSON Web Tokens, read but not verified: the application holds the keys. Sources: RFC 7515, RFC 7518, RFC 7519.

use serde_json::{Map, Value};

/// The header's text; none when this is no token.
pub(super) fn header(value: &[u8]) -> Option<Vec<u8>> {
    parts(value).and_then(|[header, ..]| decoded(header))
}

/// The payload's text; none when this is no token.
pub(super) fn payload(value: &[u8]) -> Option<Vec<u8>> {
    parts(value).and_then(|[_, payload, _]| decoded(payload))
}

/// What a JSON object has under a key: a text as it is, all else as JSON.
pub(super) fn member(object: &[u8], key: &str) -> Option<Vec<u8>> {
    let object: Map<String, Value> = serde_json::from_slice(object).ok()?;
    Some(match object.get(key)? {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    })
}

/// Whether this is a token, its signature as long as its algorithm makes it, its header free of what belongs to other
/// algorithms, and the time within its claims. `now` is in milliseconds since 1970.
pub(super) fn is_valid(value: &[u8], now: u64) -> bool {
    let Some([header, payload, signature]) = parts(value) else { return false };
    let object = |part| serde_json::from_slice::<Map<String, Value>>(&decoded(part)?).ok();
    let (Some(header), Some(payload), Some(signature)) = (object(header), object(payload), decoded(signature)) else {
        return false;
    };
    is_signed_as_said(&header, signature.len()) && is_in_time(&payload, now)
}

/// Names of public keys, which a symmetric algorithm has none of. Source: RFC 7515, section 4.1.
const PUBLIC_KEYS: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"];

fn is_signed_as_said(header: &Map<String, Value>, length: usize) -> bool {
    let Some(algorithm) = header.get("alg").and_then(Value::as_str) else { return false };
    // Source: RFC 7518, sections 3.2 and 3.4; RFC 8037, section 3.1.
    let lengths: &[usize] = match algorithm {
        "HS256" => &[32],
        "HS384" => &[48],
        "HS512" | "ES256" | "ES256K" => &[64],
        "ES384" => &[96],
        "ES512" => &[132],
        "EdDSA" => &[64, 114],
        "none" => &[0],
        _ => return true,
    };
    let symmetric = algorithm.starts_with("HS");
    lengths.contains(&length) && !(symmetric && PUBLIC_KEYS.iter().any(|name| header.contains_key(*name)))
}

/// Source: RFC 7519, sections 4.1.4 to 4.1.6; a claim that is no number is no time.
fn is_in_time(payload: &Map<String, Value>, now: u64) -> bool {
    #[allow(clippy::cast_precision_loss)] // milliseconds are exact in a double for 280,000 years
    let now = now as f64 / 1000.0;
    let holds = |claim: &str, is_good: fn(f64, f64) -> bool| {
        payload.get(claim).is_none_or(|time| time.as_f64().is_some_and(|time| is_good(time, now)))
    };
    holds("exp", |time, now| now < time)
        && holds("iat", |time, now| time <= now)
        && holds("nbf", |time, now| time <= now)
}

/// Header, payload and signature of a token, as after `Bearer` (RFC 6750, section 2.1) or alone.
fn parts(value: &[u8]) -> Option<[&[u8]; 3]> {
    let value = value.trim_ascii();
    let token = match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    };
    let mut parts = token.split(|byte| *byte == b'.');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

/// Base 64 with the alphabet of URLs, padding allowed. Source: RFC 7515, section 2.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &text[..text.len() - padding];
    let mut output = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            output.push((bits >> count).to_le_bytes()[0]);
        }
    }
    (padding <= 2 && text.len() % 4 != 1).then_some(output)
}
