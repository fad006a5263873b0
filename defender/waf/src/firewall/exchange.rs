//! One request with its response.

mod answered;
mod guard;
mod learning;
mod message;
mod release;
mod ruled;

use self::{release::Gone, ruled::Known};
use super::{
    Answer, Application, BodyNeed, Client, Effect, Field, Firewall, Report, ResponseHead, Ruling, Summary,
    api::Operation,
    decision::{self, Counting, Decision},
    exception,
    groups::Group,
    normal_path, place,
    report::{self, Origin},
    standing::{Key, Standing},
};
use crate::{
    Collection, Finding, Request, Response, Ruleset, Transaction,
    body::Processor,
    http::{Head, fill_head},
    inspection::{Body, Due, Limits, fill_hidden},
    rule::Phase,
};

/// One request with its response, as far as they are known.
#[derive(Debug)]
pub struct Exchange<'f> {
    firewall: &'f Firewall,
    ruleset: &'f Ruleset,
    head: &'f Head,
    /// None when no application of the policy takes the request, or when nothing of it is to be looked at.
    application: Option<&'f Application>,
    origin: Origin,
    transaction: Transaction<'f>,
    request: Request,
    response: Response,
    body: Body,
    /// What was held of the body, decoded, when something else than the engine looks at it.
    held: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
    /// Bytes of the body so far, as they came over the wire.
    came: u64,
    /// What was told of limits.
    told: Told,
    /// What is still known of values that were let go of.
    gone: Gone,
    /// Whether the request was judged without its body, which nobody reads.
    unread: bool,
    reports: Vec<Report>,
    /// The strongest effect that the engine's findings had so far.
    found: Effect,
    status: Option<u16>,
    /// The names of the response's header fields, each with a line end: few exchanges have anything to tell.
    response_header_names: Vec<u8>,
    response_coding: Vec<u8>,
    response_need: usize,
    /// Which rules of one's own are decided.
    decided: Vec<bool>,
    /// What the application's interface calls the request.
    operation: Option<&'f Operation>,
    /// The cookie of a session that begins with the response.
    set_cookie: Option<String>,
    /// The names of the client's address, when somebody looked.
    names: Option<Vec<String>>,
    /// The status of the application's own answer, once its head was passed.
    answered_with: Option<u16>,
    /// The response's head, while its body is to be judged by it.
    answered: Option<ResponseHead>,
    /// Without any spelling that leads around a rule about paths.
    path: Vec<u8>,
    standing: &'f Standing,
    now: u64,
    id: &'f str,
}

/// Which limits it was told of that the request is beyond.
#[derive(Debug, Default)]
struct Told {
    length: bool,
    work: bool,
}

impl<'f> Exchange<'f> {
    pub(super) fn new(
        firewall: &'f Firewall,
        ruleset: &'f Ruleset,
        head: &'f Head,
        client: Client,
        standing: &'f Standing,
        now: u64,
        id: &'f str,
    ) -> Self {
        let policy = firewall.policy();
        let (address, peers) = policy.trust.client(head, client.peer);
        let origin = Origin {
            address,
            peers,
            country: policy.countries.of(address),
            secure: client.secure || policy.trust.secure(head, client.peer),
        };
        let path = normal_path(head.target());
        let application = firewall.application(head, &client, &path);
        let application = application.filter(|application| !application.access.excepts(address));
        let mut request = Request::new();
        if application.is_some() {
            fill_head(&mut request, head);
            request.set(Collection::RemoteAddr, origin.address.to_string().as_bytes());
        }
        let size = application.and_then(|application| application.body.inspection_size);
        let limits = Limits { held: size.unwrap_or(ruleset.settings.body_limit), depth: ruleset.settings.depth_limit };
        let body = Body::new(policy.profile, head, limits);
        Self {
            firewall,
            ruleset,
            head,
            application,
            origin,
            transaction: Transaction::observing(ruleset),
            request,
            response: Response::new(),
            body,
            held: Vec::new(),
            whole: false,
            came: 0,
            told: Told::default(),
            gone: Gone::default(),
            unread: false,
            reports: Vec::new(),
            found: Effect::Disable,
            status: None,
            response_header_names: Vec::new(),
            response_coding: Vec::new(),
            response_need: 0,
            decided: Vec::new(),
            operation: None,
            set_cookie: None,
            names: None,
            answered_with: None,
            answered: None,
            path,
            standing,
            now,
            id,
        }
    }

    /// The application that judges the request; none when none takes it, or when nothing of it is to be looked at.
    #[must_use]
    pub fn application(&self) -> Option<&'f Application> {
        self.application
    }

    /// Judges the head.
    pub fn request_head(&mut self) -> Ruling {
        let guards = [Self::guard_rules, Self::guard_head, Self::guard_bots, Self::guard_api];
        match self.guard(&guards) {
            Ruling::Pass => self.judge(Phase::RequestHead),
            refusal @ Ruling::Answer(_) => refusal,
        }
    }

    /// How the body has to come.
    #[must_use]
    pub fn body_need(&self) -> BodyNeed {
        match self.application {
            Some(application) if !application.body.skip => BodyNeed::Held(self.body.need()),
            _ => BodyNeed::Nothing,
        }
    }

    /// Judges a further piece of the body, as it came off the wire without its framing.
    pub fn request_body(&mut self, piece: &[u8]) -> Ruling {
        let Some(application) = self.application else { return Ruling::Pass };
        self.came += piece.len() as u64;
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, due) = self.body.feed(rest);
            rest = &rest[taken..];
            if let answer @ Ruling::Answer(_) = self.judge_due(due) {
                return answer;
            }
            // What allows everything ends the reading too.
            if self.application.is_none() {
                return Ruling::Pass;
            }
        }
        self.guard_length(application)
    }

    /// Judges what is left of the body once its end, or the limit of what is held, is reached; in the latter case once more at the
    /// end, before what ends the body is sent. Without a body it is called as well: most rules on arguments wait for it.
    pub fn request_end(&mut self) -> Ruling {
        if self.application.is_some_and(|application| application.body.skip) {
            return self.judge_unread();
        }
        loop {
            // Nobody takes what is due once nothing is looked at any more.
            if self.application.is_none() {
                return Ruling::Pass;
            }
            let due = self.body.end();
            if let (Due::Nothing, ruling) | (_, ruling @ Ruling::Answer(_)) = (due, self.judge_due(due)) {
                return ruling;
            }
        }
    }

    /// Judges what is due of the body. A window is judged beside the head alone: what was found in what came before has had
    /// its say, and the points of a long body's pieces do not add up.
    fn judge_due(&mut self, due: Due) -> Ruling {
        if due == Due::Nothing || self.application.is_none() {
            return Ruling::Pass;
        }
        if !self.application.is_some_and(learning::is_judged) {
            // Nobody looks at any of its values.
            self.keep_body();
            self.body.pass();
            return Ruling::Pass;
        }
        let chosen = self.transaction.body_processor().and_then(Processor::named);
        let forced = self.transaction.body_forced();
        if due == Due::Body {
            self.keep_body();
            let head = self.request.state();
            fill_hidden(&mut self.request, self.head, self.firewall.policy().profile);
            self.body.fill(&mut self.request, chosen, forced);
            let ruling = self.judge_body();
            self.release(head);
            return ruling;
        }
        let mut request = Request::new();
        fill_head(&mut request, self.head);
        request.set(Collection::RemoteAddr, self.origin.address.to_string().as_bytes());
        let mut transaction = Transaction::observing(self.ruleset);
        transaction.judge(Phase::RequestHead, &request, &self.response);
        self.body.fill(&mut request, chosen, forced);
        std::mem::swap(&mut self.request, &mut request);
        std::mem::swap(&mut self.transaction, &mut transaction);
        let ruling = self.judge(Phase::RequestBody);
        (self.request, self.transaction) = (request, transaction);
        ruling
    }

    /// Judges all but the body, once.
    fn judge_unread(&mut self) -> Ruling {
        if std::mem::replace(&mut self.unread, true) {
            return Ruling::Pass;
        }
        fill_hidden(&mut self.request, self.head, self.firewall.policy().profile);
        self.judge_body()
    }

    /// Keeps what is held of the body for whoever else looks at it.
    fn keep_body(&mut self) {
        let Some(application) = self.application else { return };
        if learning::is_read_whole(application) || self.learns_body() {
            self.held = self.body.held().to_vec();
            self.whole = self.body.is_whole();
        }
    }

    /// Judges the response's head, which may be changed.
    pub fn response_head(&mut self, head: &mut ResponseHead) -> Ruling {
        match self.application {
            Some(application) => self.answer_head(application, head),
            None => Ruling::Pass,
        }
    }

    /// How many bytes of the response's body have to be shown before they are sent; 0 for none.
    #[must_use]
    pub fn response_body_need(&self) -> usize {
        self.response_need
    }

    /// Judges what is shown of the response's body.
    pub fn response_body(&mut self, held: &[u8]) -> Ruling {
        match self.application {
            Some(application) => self.answer_body(application, held),
            None => Ruling::Pass,
        }
    }

    /// All that the rules found so far, whether it counts or not, and what they add for logs: for tests of rules.
    pub fn found(&mut self) -> &[Finding] {
        if self.application.is_some() {
            self.transaction.judge(Phase::Logging, &self.request, &self.response);
        }
        self.transaction.findings()
    }

    /// Ends: what is to be told of.
    #[must_use]
    pub fn finish(mut self) -> Vec<Report> {
        if self.reports.is_empty() {
            return self.reports;
        }
        let mut summary = Summary::new(self.head, &self.origin, &self.firewall.policy().scrubber, self.id);
        summary.status = self.status;
        let named = self.response_header_names.split(|byte| *byte == b'\n').filter(|name| !name.is_empty());
        summary.response_header_names = report::names(named);
        if let Some((last, before)) = self.reports.split_last_mut() {
            for report in before {
                report.request.clone_from(&summary);
            }
            last.request = summary;
        }
        self.reports
    }

    /// Judges the body as far as it is known: its files, then its values.
    fn judge_body(&mut self) -> Ruling {
        match self.guard(&[Self::guard_rules_on_body, Self::guard_files, Self::guard_api_body]) {
            Ruling::Pass => self.judge(Phase::RequestBody),
            refusal @ Ruling::Answer(_) => refusal,
        }
    }

    /// Asks one after the other while nothing is refused and nothing ends the judging.
    fn guard(&mut self, guards: &[Guard<'f>]) -> Ruling {
        for guard in guards {
            let Some(application) = self.application else { return Ruling::Pass };
            let ruling = guard(self, application);
            if ruling != Ruling::Pass {
                return ruling;
            }
        }
        Ruling::Pass
    }

    fn guard_rules(&mut self, application: &'f Application) -> Ruling {
        self.guard_custom(application, Known::default())
    }

    fn guard_rules_on_body(&mut self, application: &'f Application) -> Ruling {
        self.guard_custom(application, Known { body: true, ..Known::default() })
    }

    /// Has the engine judge a phase, and does what the groups of its findings say.
    fn judge(&mut self, phase: Phase) -> Ruling {
        let Some(application) = self.application else { return Ruling::Pass };
        if application.groups.are_disabled() {
            return Ruling::Pass;
        }
        self.transaction.judge(phase, &self.request, &self.response);
        if let refusal @ Ruling::Answer(_) = self.guard_work(application) {
            return refusal;
        }
        // Most requests end here.
        if !self.transaction.findings().iter().any(counts) {
            return Ruling::Pass;
        }
        let excepted = self.excepted(application, phase);
        let found = |finding: &&Finding| is_of(finding.phase, phase) && !excepted.contains(&finding.rule);
        let findings = self.transaction.findings().iter().filter(found);
        match decision::decide(findings, &application.groups, self.counting(phase)) {
            // Of the head alone only a refusal is told: the body may add to the rest.
            Some(decision) if phase != Phase::RequestHead || decision.effect > Effect::Alert => {
                if decision.effect <= self.found {
                    return Ruling::Pass;
                }
                let report = self.explained(application, &decision);
                self.found = decision.effect;
                self.act(application, report)
            }
            _ => Ruling::Pass,
        }
    }

    /// The rules that find nothing in this request without the values that their groups except.
    fn excepted(&self, application: &Application, phase: Phase) -> Vec<u32> {
        let mut rules = Vec::new();
        for group in Group::all() {
            let protection = application.groups.of(group);
            if protection.exceptions.is_empty() {
                continue;
            }
            let of_group =
                |finding: &&Finding| counts(finding) && is_of(finding.phase, phase) && Group::of(finding) == group;
            let mut found = self.transaction.findings().iter().filter(of_group).peekable();
            if found.peek().is_none() {
                continue;
            }
            if phase > Phase::RequestBody {
                // No rule of the response looks at the request: an exception spares what is answered to such a request.
                if self.gone.excepted.contains(&group) || exception::cover(&self.request, &protection.exceptions) {
                    rules.extend(found.map(|finding| finding.rule));
                }
                continue;
            }
            let Some(left) = exception::without(&self.request, &protection.exceptions) else { continue };
            let mut again = Transaction::observing(self.ruleset);
            again.judge(Phase::RequestHead, &left, &self.response);
            if phase == Phase::RequestBody {
                again.judge(Phase::RequestBody, &left, &self.response);
            }
            let still = |rule| again.findings().iter().any(|finding| finding.rule == rule);
            rules.extend(found.map(|finding| finding.rule).filter(|rule| !still(*rule)));
        }
        rules
    }

    fn counting(&self, phase: Phase) -> Counting {
        let kept = |name, otherwise: i64| {
            let text = self.transaction.kept(name).and_then(|value| std::str::from_utf8(value).ok());
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(otherwise)
        };
        let threshold = if phase <= Phase::RequestBody {
            kept("inbound_anomaly_score_threshold", INBOUND_THRESHOLD)
        } else {
            kept("outbound_anomaly_score_threshold", OUTBOUND_THRESHOLD)
        };
        let paranoia = kept("blocking_paranoia_level", 1);
        Counting { threshold, paranoia: u8::try_from(paranoia).unwrap_or(1) }
    }

    fn explained(&self, application: &Application, decision: &Decision<'_>) -> Report {
        let scrubber = &self.firewall.policy().scrubber;
        let witness = decision.witness();
        let field = decision.matched().map(|matched| place::field(matched, witness, &self.request, scrubber));
        let field = field.unwrap_or_default();
        let message = witness.map_or("", |finding| finding.message.as_str());
        let place = if field.place.is_empty() { String::new() } else { format!(" in {} `{}`", field.place, field.key) };
        Report {
            field,
            rules: decision.rules(),
            score: decision.score,
            ..self.report(
                application,
                decision.effect,
                decision.group.event_type(),
                "firewall",
                &format!("{message}{place}, {} points", decision.score),
            )
        }
    }

    /// A report of this exchange.
    fn report(
        &self,
        application: &Application,
        effect: Effect,
        attack: &str,
        protection: &'static str,
        message: &str,
    ) -> Report {
        Report {
            rule: self.firewall.policy().rule.clone().unwrap_or_default(),
            application: application.app_id.clone(),
            effect,
            attack: attack.to_owned(),
            protection,
            message: report::shortened(message, MESSAGE_LIMIT),
            field: Field::default(),
            rules: Vec::new(),
            score: 0,
            request: Summary::default(),
        }
    }

    /// Does what a report's effect says, and keeps the report.
    fn act(&mut self, application: &Application, report: Report) -> Ruling {
        let effect = report.effect;
        if effect == Effect::Ban {
            let key = Key { application: application.key, who: self.who(application.sessions.ban) };
            self.standing.ban(key, self.now.saturating_add(application.ban_milliseconds));
        }
        if effect >= Effect::Alert {
            self.reports.push(report);
        }
        if effect >= Effect::Prevent { Ruling::Answer(self.refusal(application)) } else { Ruling::Pass }
    }

    fn refusal(&mut self, application: &Application) -> Answer {
        let answer = application.page.answer(self.id);
        self.status = Some(answer.status);
        answer
    }
}

/// Something that is asked of an exchange.
type Guard<'f> = fn(&mut Exchange<'f>, &'f Application) -> Ruling;

/// Points at which a request is refused. Source: Core Rule Set, rule 901100.
const INBOUND_THRESHOLD: i64 = 5;
/// Points at which a response is refused. Source: Core Rule Set, rule 901110.
const OUTBOUND_THRESHOLD: i64 = 4;
/// Bytes of a message.
const MESSAGE_LIMIT: usize = 512;

/// Whether anything follows from a finding.
fn counts(finding: &Finding) -> bool {
    finding.points > 0 || finding.denies
}

/// Whether a finding's phase counts when another has been judged: requests and responses are counted apart.
fn is_of(found: Phase, judged: Phase) -> bool {
    found <= judged && (found <= Phase::RequestBody) == (judged <= Phase::RequestBody)
}
