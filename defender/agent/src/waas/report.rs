//! What the firewall has to tell, as an audit.

use defender_core::{AuditDraft, Effect, Event, Reason, RequestEvent, RequestField};
use defender_waf::{
    firewall::{self, Client, Report},
    http::{Head, Refusal},
};

/// Bytes of a request's head that an audit shows.
const MOST_HEADERS: usize = 4 << 10;
/// Characters of any other text.
const MOST_TEXT: usize = 1024;
/// Fields whose values prove who somebody is.
const SECRET_FIELDS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-amz-security-token"];
/// Names of arguments and fields that carry such values.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "access_key"];
const HIDDEN: &str = "[hidden]";

/// The audit of a report about a request whose head was understood. `names` are those of the response's fields.
#[must_use]
pub fn audit(
    report: Report,
    head: &Head,
    client: Client,
    id: &str,
    status: Option<u16>,
    names: &[String],
) -> AuditDraft {
    let effect = effect(report.effect);
    let target = scrubbed_target(&text(head.target()));
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let host = head.header("host").map(text).unwrap_or_default();
    let scheme = if client.secure { "https" } else { "http" };
    let url = if path.starts_with('/') { format!("{scheme}://{host}{path}") } else { path.to_owned() };
    let (address, peers) = addresses(head, client);
    let event = RequestEvent {
        application: report.application,
        attack: report.attack,
        protection: report.protection.to_owned(),
        message: shortened(&report.message),
        field: RequestField { place: report.field.place, key: report.field.key, value: report.field.value },
        event_id: id.to_owned(),
        method: text(head.method()),
        url,
        path: path.to_owned(),
        query: query.to_owned(),
        host,
        headers: headers(head),
        header_names: head.headers().map(|field| text(field.name)).collect(),
        response_header_names: names.to_vec(),
        status,
        user_agent: head.header("user-agent").map(text).unwrap_or_default(),
        address,
        peers,
        country: None,
        rules: report.rules,
        score: 0,
    };
    draft(report.rule, effect, event)
}

/// The audit of a head that was refused; `received` is what came of it.
#[must_use]
pub fn refused(refusal: Refusal, received: &[u8], rule: &str, client: Client, id: &str, status: u16) -> AuditDraft {
    let line = received.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.splitn(3, |byte| *byte == b' ').map(text);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let target = scrubbed_target(&target);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let event = RequestEvent {
        attack: "malformedRequest".into(),
        protection: "firewall".into(),
        message: refusal.to_string(),
        field: RequestField { place: "request".into(), ..RequestField::default() },
        event_id: id.to_owned(),
        method,
        url: path.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        status: Some(status),
        address: client.peer.to_canonical().to_string(),
        peers: vec![client.peer.to_canonical().to_string()],
        ..RequestEvent::default()
    };
    draft(rule.to_owned(), Effect::Prevent, event)
}

fn draft(rule: String, effect: Effect, event: RequestEvent) -> AuditDraft {
    AuditDraft {
        time: crate::link::desk::now(),
        rule: Some(rule),
        effect,
        reason: Reason::Waas,
        matched: None,
        event: Event::Request(Box::new(event)),
        ancestry: Vec::new(),
    }
}

fn effect(effect: firewall::Effect) -> Effect {
    match effect {
        firewall::Effect::Disable | firewall::Effect::Alert => Effect::Alert,
        firewall::Effect::Allow => Effect::Allow,
        firewall::Effect::Prevent => Effect::Prevent,
        firewall::Effect::Ban => Effect::Ban,
    }
}

/// The client as the first proxy saw it, and everybody between it and us, the nearest last.
fn addresses(head: &Head, client: Client) -> (String, Vec<String>) {
    let peer = client.peer.to_canonical().to_string();
    let named = head.headers().filter(|field| field.name.eq_ignore_ascii_case(b"x-forwarded-for"));
    let listed = named.flat_map(|field| field.value.split(|byte| *byte == b',')).map(|one| text(one.trim_ascii()));
    let mut chain: Vec<String> = listed.filter(|one| one.parse::<std::net::IpAddr>().is_ok()).take(16).collect();
    chain.push(peer);
    (chain[0].clone(), chain)
}

fn text(bytes: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(bytes))
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

/// The head's fields as they came, without what proves who somebody is.
fn headers(head: &Head) -> String {
    let mut out = String::new();
    for field in head.headers() {
        let name = text(field.name);
        let value = if is_secret_field(&name) { HIDDEN.to_owned() } else { text(field.value) };
        let line = format!("{name}: {value}\r\n");
        if out.len() + line.len() > MOST_HEADERS {
            break;
        }
        out.push_str(&line);
    }
    out
}

fn is_secret_field(name: &str) -> bool {
    SECRET_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field)) || names_secret(name)
}

fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// A target without the values of arguments that carry secrets.
fn scrubbed_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if names_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use defender_waf::{firewall::Field, http::read_head};

    use super::*;

    fn event(request: &str) -> RequestEvent {
        let (head, _) = read_head(request.as_bytes()).unwrap().unwrap();
        let report = Report {
            rule: "r".into(),
            application: "shop".into(),
            effect: firewall::Effect::Ban,
            attack: "sqli".into(),
            protection: "firewall",
            message: "m".into(),
            field: Field::default(),
            rules: vec![942_100],
        };
        let client = Client { peer: "192.0.2.7".parse().unwrap(), port: 80, secure: true };
        match audit(report, &head, client, "id", Some(403), &[]).event {
            Event::Request(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    /// What proves who somebody is does not leave the task.
    #[test]
    fn secrets_are_hidden() {
        let event = event(
            "GET /a?x=1&Access_Token=hush HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer hush\r\nCookie: a=hush\r\n\
             X-Csrf-Token: hush\r\nX-Api-Key: hush\r\nA: b\r\n\r\n",
        );

        assert!(!serde_json::to_string(&event).unwrap().contains("hush"));
        assert_eq!((event.url.as_str(), event.query.as_str()), ("https://s/a", "x=1&Access_Token=[hidden]"));
        assert!(event.headers.contains("A: b\r\n"));
    }

    /// The client is whom the first proxy names.
    #[test]
    fn clients_are_named() {
        let event = event("GET / HTTP/1.1\r\nHost: s\r\nX-Forwarded-For: 10.0.0.1, junk, 10.0.0.2\r\n\r\n");

        assert_eq!((event.address.as_str(), &event.peers[1..]), ("10.0.0.1", &["10.0.0.2".into(), "192.0.2.7".into()][..]));
    }
}
