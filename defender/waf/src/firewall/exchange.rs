//! One request with its response.

use super::{Answer, BodyNeed, Client, Firewall, Report, ResponseHead, Ruling, standing::Standing};
use crate::{
    Collection, Request, Response, Ruleset, Transaction, Verdict,
    body::{Processor, fill_body},
    http::{Head, fill_head},
    rule::Phase,
};

/// One request with its response, as far as they are known.
#[derive(Debug)]
pub struct Exchange<'f> {
    firewall: &'f Firewall,
    ruleset: &'f Ruleset,
    head: &'f Head,
    transaction: Transaction<'f>,
    request: Request,
    response: Response,
    body: Vec<u8>,
    reports: Vec<Report>,
    id: &'f str,
}

impl<'f> Exchange<'f> {
    pub(super) fn new(
        firewall: &'f Firewall,
        ruleset: &'f Ruleset,
        head: &'f Head,
        client: Client,
        _standing: &'f Standing,
        _now: u64,
        id: &'f str,
    ) -> Self {
        let mut request = Request::new();
        fill_head(&mut request, head);
        request.set(Collection::RemoteAddr, client.peer.to_string().as_bytes());
        let transaction = Transaction::new(ruleset);
        let (response, body, reports) = Default::default();
        Self { firewall, ruleset, head, transaction, request, response, body, reports, id }
    }

    /// Judges the head.
    pub fn request_head(&mut self) -> Ruling {
        self.judge(Phase::RequestHead)
    }

    /// How the body has to come.
    #[must_use]
    pub fn body_need(&self) -> BodyNeed {
        if self.firewall.policy().applications.is_empty() {
            BodyNeed::Nothing
        } else {
            BodyNeed::Held(self.ruleset.settings.body_limit)
        }
    }

    /// Judges a further piece of the body, as it came off the wire without its framing.
    pub fn request_body(&mut self, piece: &[u8]) -> Ruling {
        let room = self.ruleset.settings.body_limit.saturating_sub(self.body.len());
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
        Ruling::Pass
    }

    /// Judges the body once its end, or the limit of what is held, is reached.
    pub fn request_end(&mut self) -> Ruling {
        let chosen = self.transaction.body_processor().and_then(Processor::named);
        let by_type = Processor::of_content_type(self.head.header("content-type").unwrap_or_default());
        let forced = self.transaction.body_forced();
        let depth = self.ruleset.settings.depth_limit;
        fill_body(&mut self.request, &self.body, chosen.or(by_type), depth, forced);
        self.judge(Phase::RequestBody)
    }

    /// Judges the response's head, which may be changed.
    pub fn response_head(&mut self, head: &mut ResponseHead) -> Ruling {
        self.response.set(Collection::ResponseStatus, head.status.to_string().as_bytes());
        for (name, value) in &head.headers {
            self.response.add(Collection::ResponseHeaders, name, value);
        }
        self.judge(Phase::ResponseHead)
    }

    /// How many bytes of the response's body have to be shown before they are sent; 0 for none.
    #[must_use]
    pub fn response_body_need(&self) -> usize {
        0
    }

    /// Judges what is shown of the response's body.
    pub fn response_body(&mut self, held: &[u8]) -> Ruling {
        self.response.set(Collection::ResponseBody, held);
        self.judge(Phase::ResponseBody)
    }

    /// Ends: what is to be told of.
    #[must_use]
    pub fn finish(mut self) -> Vec<Report> {
        self.transaction.judge(Phase::Logging, &self.request, &self.response);
        self.reports
    }

    fn judge(&mut self, phase: Phase) -> Ruling {
        match self.transaction.judge(phase, &self.request, &self.response) {
            Verdict::Pass => Ruling::Pass,
            Verdict::Refuse { status, .. } => Ruling::Answer(Answer {
                status,
                headers: vec![("content-type".into(), "text/html; charset=utf-8".into())],
                body: format!("<h1>Request blocked</h1><p>Event {}</p>", self.id).into_bytes(),
            }),
        }
    }
}
