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
pub fn audit(report: &Report, status: Option<u16>, names: &[String]) -> AuditDraft {
    let effect = match report.effect {
        firewall::Effect::Disable | firewall::Effect::Alert => Effect::Alert,
        firewall::Effect::Allow => Effect::Allow,
        firewall::Effect::Prevent => Effect::Prevent,
        firewall::Effect::Ban => Effect::Ban,
    };
    let matched = report.matched().map(str::to_owned);
    // Both sides are of the contract; if they ever differed, the little that is certain would still be told.
    let mut event: RequestEvent = serde_json::from_value(report.event()).unwrap_or_else(|_| RequestEvent {
        application: report.application.clone(),
        attack: report.attack.clone(),
        protection: report.protection.to_owned(),
        message: report.message.clone(),
        rules: report.rules.clone(),
        ..RequestEvent::default()
    });
    event.status = status;
    event.response_header_names = names.to_vec();
    draft(report.rule.clone(), effect, matched, event)
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
    use super::*;

    /// What the firewall tells is told whole.
    #[test]
    fn reports_become_audits() {
        let report = Report {
            rule: "r".into(),
            effect: firewall::Effect::Ban,
            attack: "sqli".into(),
            score: 10,
            rules: vec![942_100],
            ..Report::default()
        };
        let draft = audit(&report, Some(403), &["Server".to_owned()]);
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
