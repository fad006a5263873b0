//! What is asked before the engine: bans, rates, networks, header fields; and of a whole body its files.

use super::Exchange;
use crate::firewall::{
    Application, Effect, Field, Report, Ruling,
    dos::Excess,
    header::Wrong,
    report::shortened,
    scrub::Place,
    standing::{Key, Who},
    upload,
};

/// Bytes of a value in an event.
const VALUE_LIMIT: usize = 256;

impl<'f> Exchange<'f> {
    /// Asks all that needs the head only; the first refusal counts.
    pub(super) fn guard_head(&mut self, application: &'f Application) -> Ruling {
        let guards = [Self::guard_ban, Self::guard_rate, Self::guard_network, Self::guard_headers];
        for guard in guards {
            let ruling = guard(self, application);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        Ruling::Pass
    }

    /// By whom the client is known to bans: by its session where that is wanted and there is one, else by its address.
    pub(super) fn who(&self, by_session: bool) -> Who {
        let session = if by_session { self.standing.seal().session(self.head) } else { None };
        session.map_or_else(|| Who::of_address(self.origin.address), Who::Session)
    }

    fn guard_ban(&mut self, application: &'f Application) -> Ruling {
        let is_banned = |who| self.standing.banned(Key { application: application.key, who }, self.now);
        let by_session = application.sessions.ban || application.dos.track_session;
        let tell = match is_banned(self.who(false)) {
            None if by_session => is_banned(self.who(true)),
            found => found,
        };
        let Some(tell) = tell else { return Ruling::Pass };
        if tell {
            let message = "the client is banned for what it did before";
            let report = self.report(application, Effect::Ban, "violationsExceeded", "firewall", message);
            self.reports.push(report);
        }
        // A request of a banned client is no further attack: nobody looked at it.
        Ruling::Answer(self.refusal(application))
    }

    fn guard_rate(&mut self, application: &'f Application) -> Ruling {
        self.count(application, None)
    }

    /// Counts the request, at its coming or when its status is known, and does what the limits say.
    pub(super) fn count(&mut self, application: &'f Application, status: Option<u16>) -> Ruling {
        let dos = &application.dos;
        if !dos.counts(self.origin.address) || !dos.fits(self.head.method(), &self.path, status) {
            return Ruling::Pass;
        }
        let who = self.who(dos.track_session);
        let key = Key { application: application.key, who };
        let counted = self.standing.count(key, self.now);
        let Some(Excess { effect, seconds, limit }) = dos.excess(counted) else { return Ruling::Pass };
        if effect == Effect::Alert && !self.standing.tell_rate(key, self.now) {
            return Ruling::Pass;
        }
        let message = format!("more than {limit} requests in a second over {seconds} seconds");
        let report = self.report(application, effect, "dos", "dos", &message);
        if effect == Effect::Ban {
            self.standing.ban(key, self.now.saturating_add(application.ban_milliseconds));
            self.reports.push(report);
            return Ruling::Answer(self.refusal(application));
        }
        self.act(application, report)
    }

    fn guard_network(&mut self, application: &'f Application) -> Ruling {
        let Some(denial) = application.access.denial(self.origin.address, self.origin.country) else {
            return Ruling::Pass;
        };
        let address = self.origin.address;
        let message = match self.origin.country {
            Some(country) if denial.attack == "deniedCountry" => format!("the client {address} is in {country}"),
            None if denial.attack == "deniedCountry" => format!("the client {address} is in no country that is known"),
            _ => format!("the client {address} is in no network that may come"),
        };
        let report = self.report(application, denial.effect, denial.attack, "accessControl", &message);
        self.act(application, report)
    }

    fn guard_headers(&mut self, application: &'f Application) -> Ruling {
        for spec in application.headers.iter().filter(|spec| spec.effect > Effect::Allow) {
            let Some(wrong) = spec.wrong(self.head) else { continue };
            let (message, value) = match wrong {
                Wrong::Missing => (format!("the header field `{}` is missing", spec.name), String::new()),
                Wrong::Value(value) => {
                    let shown = self.firewall.policy().scrubber.header(spec.name.as_bytes(), value);
                    (format!("the header field `{}` has a value that is not allowed", spec.name), shown)
                }
            };
            let field = Field { place: "header".into(), key: spec.name.clone(), value: shortened(&value, VALUE_LIMIT) };
            let report = Report { field, ..self.report(application, spec.effect, "header", "accessControl", &message) };
            let ruling = self.act(application, report);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        Ruling::Pass
    }

    /// Looks at the files of a body that is known as far as it is held.
    pub(super) fn guard_files(&mut self, application: &'f Application) -> Ruling {
        if application.uploads.effect <= Effect::Allow {
            return Ruling::Pass;
        }
        let content_type = self.head.header("content-type").unwrap_or_default();
        let files = upload::files(content_type, &self.held);
        let Some(file) = files.iter().find(|file| !application.uploads.allow(file)) else { return Ruling::Pass };
        let name = self.firewall.policy().scrubber.value(Place::Body, b"filename", file.name);
        let name = shortened(&name, VALUE_LIMIT);
        let message = match upload::type_of(file.beginning) {
            Some(kind) => format!("the file `{name}` is of a type that is not allowed ({kind:?})"),
            None => format!("the file `{name}` is of no type that is known, and its ending is not allowed"),
        };
        let field = Field { place: "body".into(), key: "filename".into(), value: name };
        let effect = application.uploads.effect;
        let report = Report { field, ..self.report(application, effect, "disallowedFile", "accessControl", &message) };
        self.act(application, report)
    }

    /// Does what follows from a request that asks for more work than the rules' settings allow, once: the rest of it was not
    /// looked at.
    pub(super) fn guard_work(&mut self, application: &'f Application) -> Ruling {
        if !self.transaction.overrun() || std::mem::replace(&mut self.told.work, true) {
            return Ruling::Pass;
        }
        let message = "the request asks for more work than one may, and was not looked at as a whole";
        // Never passed over in silence, for nobody knows what the rest is.
        let effect = application.body.limit_effect.max(Effect::Alert);
        let report = self.report(application, effect, "inspectionLimitExceeded", "firewall", message);
        self.act(application, report)
    }

    /// Does what follows from a body that is longer than what is looked at, once.
    pub(super) fn guard_length(&mut self, application: &'f Application) -> Ruling {
        let size = application.body.inspection_size.unwrap_or(self.ruleset.settings.body_limit);
        if self.came <= size as u64 || std::mem::replace(&mut self.told.length, true) {
            return Ruling::Pass;
        }
        let message = format!("the body is longer than the {size} bytes that are looked at as a whole");
        let effect = application.body.limit_effect;
        let report = self.report(application, effect, "inspectionLimitExceeded", "firewall", &message);
        self.act(application, report)
    }
}
