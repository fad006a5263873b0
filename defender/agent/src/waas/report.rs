//! What the firewall has to tell, as an audit.

use defender_core::{AuditDraft, Effect, Event, Reason, RequestEvent, RequestField};
use defender_waf::{
    firewall::{self, Client, Report},
    http::Refusal,
};

/// Characters of a text that is shown of a request that nobody understood.
const MOST_TEXT: usize = 256;

/// The audit of a report about a request whose head was understood. `names` are those of the response's fields.
#[must_use]
pub fn audit(report: Report, status: Option<u16>, names: &[String]) -> AuditDraft {
    let effect = match report.effect {
        firewall::Effect::Disable | firewall::Effect::Alert => Effect::Alert,
        firewall::Effect::Allow => Effect::Allow,
        firewall::Effect::Prevent => Effect::Prevent,
        firewall::Effect::Ban => Effect::Ban,
    };
    let matched = report.matched().map(str::to_owned);
    let firewall::Field { place, key, value } = report.field;
    let request = report.request;
    let event = RequestEvent {
        application: report.application,
        attack: report.attack,
        protection: report.protection.to_owned(),
        message: report.message,
        field: RequestField { place, key, value },
        event_id: request.event_id,
        method: request.method,
        url: request.url,
        path: request.path,
        query: request.query,
        host: request.host,
        headers: request.headers,
        header_names: request.header_names,
        response_header_names: names.to_vec(),
        status,
        user_agent: request.user_agent,
        address: request.address,
        peers: request.peers,
        country: request.country,
        rules: report.rules,
        score: report.score,
    };
    draft(report.rule, effect, matched, event)
}

/// The audit of a head that was refused; `received` is what came of it. Only the path is shown: what else there is may be
/// secret, and nobody knows where it begins.
#[must_use]
pub fn refused(refusal: Refusal, received: &[u8], rule: &str, client: Client, id: &str, status: u16) -> AuditDraft {
    let line = received.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.splitn(3, |byte| *byte == b' ').map(shown);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let peer = client.peer.to_canonical().to_string();
    let event = RequestEvent {
        attack: "malformedRequest".into(),
        protection: "firewall".into(),
        message: refusal.to_string(),
        field: RequestField { place: "request".into(), ..RequestField::default() },
        event_id: id.to_owned(),
        method,
        url: path.clone(),
        path,
        status: Some(status),
        address: peer.clone(),
        peers: vec![peer],
        ..RequestEvent::default()
    };
    draft(rule.to_owned(), Effect::Prevent, None, event)
}

fn draft(rule: String, effect: Effect, matched: Option<String>, event: RequestEvent) -> AuditDraft {
    AuditDraft {
        time: crate::link::desk::now(),
        rule: Some(rule),
        effect,
        reason: Reason::Waas,
        matched,
        event: Event::Request(Box::new(event)),
        ancestry: Vec::new(),
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|one| !one.is_control()).take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use defender_waf::firewall::{Field, Summary};

    use super::*;

    /// What the firewall tells is told whole, as it tells it itself.
    #[test]
    fn reports_become_audits() {
        let text = |name: &str| format!("the {name}");
        let report = Report {
            rule: "r".into(),
            application: text("application"),
            effect: firewall::Effect::Ban,
            attack: "sqli".into(),
            protection: "firewall",
            message: text("message"),
            field: Field { place: text("place"), key: text("key"), value: text("value") },
            score: 10,
            rules: vec![942_100],
            request: Summary {
                event_id: text("id"),
                method: text("method"),
                url: text("url"),
                path: text("path"),
                query: text("query"),
                host: text("host"),
                headers: text("headers"),
                header_names: vec![text("names")],
                response_header_names: vec!["Server".to_owned()],
                status: Some(403),
                user_agent: text("agent"),
                address: text("address"),
                peers: vec![text("peers")],
                country: Some(text("country")),
            },
        };
        let told = report.event();
        let draft = audit(report, Some(403), &["Server".to_owned()]);
        assert_eq!(serde_json::to_value(&draft.event).unwrap(), told);
        let Event::Request(event) = &draft.event else { panic!("{draft:?}") };

        assert_eq!((draft.effect, draft.reason, event.score, event.status), (Effect::Ban, Reason::Waas, 10, Some(403)));
        assert_eq!(event.response_header_names, ["Server"]);
    }

    /// Of what was not understood no more than method and path is told.
    #[test]
    fn refused_requests_are_told_of() {
        let client = Client { peer: "::ffff:192.0.2.7".parse().unwrap(), port: 80, secure: false };
        let received = b"GET /a?token=hush HTTP/1.1\r\nCookie : hush\r\n\r\n";
        let draft = refused(Refusal::FieldName, received, "r", client, "id", 400);
        let Event::Request(event) = draft.event else { panic!() };

        assert!(!serde_json::to_string(&event).unwrap().contains("hush"));
        assert_eq!((event.path.as_str(), event.address.as_str()), ("/a", "192.0.2.7"));
    }
}
