//! Rules of one's own, bots, and the application's interface.

use super::Exchange;
use crate::firewall::{
    Application, Effect, Field, Report, ResponseHead, Ruling,
    api::Violation,
    bot::{
        BotClass, Bots, Origin, Sessions, Visit,
        session::{Settings, can_answer},
    },
    expression::{self, Outcome, Subject},
    report::shortened,
    scrub::Place,
};

/// Bytes of a value in an event.
const VALUE_LIMIT: usize = 256;

/// What is known of an exchange when rules of one's own are asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'k> {
    /// True once the body was read.
    pub body: bool,
    /// The response's head.
    pub response: Option<&'k ResponseHead>,
    /// The response's body, as far as it is looked at.
    pub response_body: Option<&'k [u8]>,
}

impl<'f> Exchange<'f> {
    /// Asks those rules of one's own that are not decided yet. One that allows ends all judging of this exchange.
    pub(super) fn guard_custom(&mut self, application: &'f Application, known: Known<'_>) -> Ruling {
        let rules = &application.rules.custom;
        self.decided.resize(rules.len(), false);
        for (index, rule) in rules.iter().enumerate() {
            if self.decided[index] || rule.effect == Effect::Disable {
                continue;
            }
            let country = self.origin.country.map(|country| country.to_string());
            let subject = Subject {
                request: &self.request,
                body: known.body.then_some(&self.held[..]),
                response: known.response,
                response_body: known.response_body,
                client: self.origin.address,
                country: country.as_deref(),
                secure: self.origin.secure,
                now: self.now,
            };
            let outcome = rule.expression.judge(&subject);
            self.decided[index] = outcome != Outcome::Open;
            let Outcome::Holds(told) = outcome else { continue };
            if rule.effect == Effect::Allow {
                self.application = None;
                return Ruling::Pass;
            }
            let scrubber = &self.firewall.policy().scrubber;
            let told: Vec<String> =
                told.iter().map(|text| scrubber.value(Place::Other, b"", text.as_bytes())).collect();
            let template = if rule.message.is_empty() { &rule.name } else { &rule.message };
            let message = expression::message(template, &told);
            let field =
                Field { place: String::new(), key: rule.name.clone(), value: shortened(&told.join(", "), VALUE_LIMIT) };
            let report = Report { field, ..self.report(application, rule.effect, "customRule", "custom", &message) };
            let ruling = self.act(application, report);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        Ruling::Pass
    }

    /// Asks what sends the request; a bot that is allowed ends all judging.
    pub(super) fn guard_bots(&mut self, application: &'f Application) -> Ruling {
        let Some(bots) = &application.rules.bots else { return Ruling::Pass };
        let (head, address, secure) = (self.head, self.origin.address, self.origin.secure);
        let origin = self.names.as_deref().map_or(Origin::Unknown, Origin::Names);
        if let Some(sighting) = bots.judge(head, address, origin, secure) {
            if sighting.effect == Effect::Allow {
                self.application = None;
                return Ruling::Pass;
            }
            let field = self.scrubbed(sighting.field);
            let report = self.report(application, sighting.effect, sighting.class.name(), "bot", &sighting.message);
            let ruling = self.act(application, Report { field, ..report });
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        self.guard_visit(application, bots)
    }

    /// Asks for a session, where bots are kept out by one.
    fn guard_visit(&mut self, application: &'f Application, bots: &'f Bots) -> Ruling {
        let spec = bots.spec();
        let script = spec.js_injection_spec.enabled;
        if !spec.interstitial_page && !script {
            return Ruling::Pass;
        }
        let cookies = &application.sessions;
        let same_site = cookies.same_site();
        let settings = Settings { script, secure: cookies.secure, same_site, ..Settings::default() };
        let sessions = Sessions::new(self.standing.seal(), settings);
        let visit = sessions.visit(&self.request, self.origin.address, self.now, self.id);
        let driven = visit.is_driven().then(|| bots.effect(BotClass::WebAutomationTools));
        let (effect, attack, message) = match visit {
            Visit::Proved { set_cookie, .. } => {
                self.set_cookie = Some(set_cookie);
                (driven.unwrap_or_default(), BotClass::WebAutomationTools.name(), "a program drives the browser")
            }
            Visit::Valid { .. } => {
                (driven.unwrap_or_default(), BotClass::WebAutomationTools.name(), "a program drives the browser")
            }
            Visit::Tampered => (spec.session_validation, "sessionValidation", "the session's cookie was not made here"),
            Visit::Replayed => (spec.session_validation, "sessionValidation", "the session is another client's"),
            Visit::Late => (spec.js_injection_spec.timeout_effect, "javascriptTimeout", "the script took too long"),
            Visit::Missing => (Effect::Disable, "missingCookie", "there is no session"),
        };
        let is_new = matches!(attack, "sessionValidation" | "javascriptTimeout" | "missingCookie");
        if effect >= Effect::Alert {
            let report = self.report(application, effect, attack, "bot", message);
            let ruling = self.act(application, report);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        if !is_new {
            return Ruling::Pass;
        }
        if can_answer(self.head) {
            return Ruling::Answer(sessions.page(&self.request, self.origin.address, self.now, self.id));
        }
        // Whoever keeps no cookies shall not get around the page by another method.
        let report = self.report(application, Effect::Prevent, "missingCookie", "bot", "there is no session");
        self.act(application, report)
    }

    /// Holds the head against the application's interface.
    pub(super) fn guard_api(&mut self, application: &'f Application) -> Ruling {
        let Some(api) = &application.rules.api else { return Ruling::Pass };
        let (operation, violations) = api.judge_head(&self.request);
        self.operation = operation;
        violations.into_iter().map(|violation| self.violated(application, violation)).fold(Ruling::Pass, first)
    }

    /// Holds a body that is held as a whole against the application's interface.
    pub(super) fn guard_api_body(&mut self, application: &'f Application) -> Ruling {
        let (Some(api), Some(operation)) = (&application.rules.api, self.operation) else { return Ruling::Pass };
        if !self.whole {
            return Ruling::Pass;
        }
        match api.judge_body(operation, &self.request, &self.held) {
            Some(violation) => self.violated(application, violation),
            None => Ruling::Pass,
        }
    }

    fn violated(&mut self, application: &'f Application, violation: Violation) -> Ruling {
        let field = self.scrubbed(violation.field);
        let report = self.report(application, violation.effect, "unexpectedAPI", "api", &violation.message);
        self.act(application, Report { field, ..report })
    }

    /// A place as it may be told.
    fn scrubbed(&self, field: Field) -> Field {
        let place = match field.place.as_str() {
            "query" | "queryValues" => Place::Query,
            "cookie" => Place::Cookie,
            "header" | "UserAgentHeader" => Place::Header,
            "body" | "JSONPath" | "XMLPath" | "formData" | "multipart" | "json" | "xml" => Place::Body,
            _ => Place::Other,
        };
        let scrubber = &self.firewall.policy().scrubber;
        let value = scrubber.value(place, field.key.as_bytes(), field.value.as_bytes());
        Field { value: shortened(&value, VALUE_LIMIT), ..field }
    }
}

/// The first answer.
fn first(before: Ruling, next: Ruling) -> Ruling {
    if before == Ruling::Pass { next } else { before }
}
