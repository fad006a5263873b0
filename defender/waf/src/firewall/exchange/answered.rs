//! The response: what is changed in its head, and what it should not tell.

use super::{Exchange, ruled::Known};
use crate::{
    firewall::{Application, Effect, Field, Report, ResponseHead, Ruling, groups::Group, leakage},
    rule::Phase,
    value::Collection,
};

impl<'f> Exchange<'f> {
    /// Judges the response's head, then changes it.
    pub(super) fn answer_head(&mut self, application: &'f Application, head: &mut ResponseHead) -> Ruling {
        self.status = Some(head.status);
        self.response_header_names = lines(head.headers.iter().map(|(name, _)| name.as_slice()));
        let ruling = self.count(application, Some(head.status));
        if ruling != Ruling::Pass {
            return ruling;
        }
        let ruling = self.guard_custom(application, Known { body: true, response: Some(head), response_body: None });
        if ruling != Ruling::Pass || self.application.is_none() {
            return ruling;
        }
        let leaks_matter = leaks_matter(application);
        if leaks_matter || application.rules.need_response_body() {
            self.response_coding = leakage::field(head, "content-encoding").unwrap_or_default().to_vec();
            self.response_need = if leakage::is_text(head) { leakage::LOOKED_AT } else { 0 };
            self.answered = application.rules.need_response_body().then(|| head.clone());
        }
        if leaks_matter {
            self.fill_response(head);
            let ruling = self.judge(Phase::ResponseHead);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        application.response.apply(head, self.origin.secure);
        let sessions = &application.sessions;
        if sessions.enabled && self.standing.seal().session(self.head).is_none() {
            let cookie = sessions.cookie(self.standing.seal(), self.id);
            head.headers.push((b"Set-Cookie".to_vec(), cookie.into_bytes()));
        }
        if let Some(cookie) = self.set_cookie.take() {
            head.headers.push((b"Set-Cookie".to_vec(), cookie.into_bytes()));
        }
        if !self.reports.is_empty() {
            let event = application.page.event_header(self.id);
            head.headers.extend(event.map(|(name, value)| (name.into_bytes(), value.into_bytes())));
        }
        self.answered_with = Some(head.status);
        Ruling::Pass
    }

    fn fill_response(&mut self, head: &ResponseHead) {
        self.response.set(Collection::ResponseStatus, head.status.to_string().as_bytes());
        self.response.set(Collection::ResponseProtocol, b"HTTP/1.1");
        for (name, value) in &head.headers {
            self.response.add(Collection::ResponseHeaders, name, value);
        }
        if let Some(kind) = leakage::field(head, "content-type") {
            self.response.set(Collection::ResponseContentType, kind);
        }
        if let Some(length) = leakage::field(head, "content-length") {
            self.response.set(Collection::ResponseContentLength, length);
        }
    }

    /// Judges as much of the response's body as is looked at.
    pub(super) fn answer_body(&mut self, application: &'f Application, held: &[u8]) -> Ruling {
        let held = &held[..held.len().min(leakage::LOOKED_AT)];
        let Some(plain) = leakage::decoded(&self.response_coding, held) else { return Ruling::Pass };
        if let Some(head) = self.answered.take() {
            let known = Known { body: true, response: Some(&head), response_body: Some(&plain) };
            let ruling = self.guard_custom(application, known);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        if !leaks_matter(application) || self.application.is_none() {
            return Ruling::Pass;
        }
        if let Some(what) = leakage::telltale(&plain) {
            let effect = application.groups.of(Group::InfoLeakage).effect;
            let attack = Group::InfoLeakage.event_type();
            let field = Field { place: "response".into(), ..Field::default() };
            let report = self.report(application, effect, attack, "firewall", &format!("the response holds {what}"));
            self.found = self.found.max(effect);
            return self.act(application, Report { field, ..report });
        }
        self.response.set(Collection::ResponseBody, &plain);
        self.judge(Phase::ResponseBody)
    }
}

/// Texts that have no line ends, each with one.
fn lines<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut lines = Vec::with_capacity(256);
    for text in texts {
        lines.extend_from_slice(text);
        lines.push(b'\n');
    }
    lines
}

/// Whether anything follows from what a response tells.
pub(super) fn leaks_matter(application: &Application) -> bool {
    application.groups.of(Group::InfoLeakage).effect > Effect::Allow
}
