//! Messages that follow a request: the text that a client sends over a WebSocket that was opened by it.

use super::{Effect, Exchange, Phase, Processor, Request, Ruling, Transaction, fill_head};
use crate::{Collection, body::fill_body, http::read_head};

/// A request that no rule minds: what it opened was judged already.
const BARE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: websocket\r\nAccept: */*\r\n\r\n";
/// The argument by which rules and reports know a message that has no parts.
const NAME: &[u8] = b"message";

impl Exchange<'_> {
    /// Judges one message by the rules that judge bodies. To be called on an exchange that was opened for it alone, with the
    /// head of the request that asked for the WebSocket; no other phase is called then.
    ///
    /// JSON is judged by its parts, everything else as one value.
    pub fn message(&mut self, text: &[u8]) -> Ruling {
        let Ok(Some((head, _))) = read_head(BARE) else { return Ruling::Pass };
        let mut request = Request::new();
        fill_head(&mut request, &head);
        let mut parts = request.clone();
        let begins = text.trim_ascii_start().first();
        let looks_like_json = begins.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"'));
        let depth = self.ruleset.settings.depth_limit;
        if looks_like_json {
            fill_body(&mut parts, text, Some(Processor::Json), depth, false);
        }
        if looks_like_json && parts.first(Collection::ReqbodyError, b"") == Some(b"0") {
            self.request = parts;
        } else {
            self.request = request;
            self.request.add(Collection::ArgsPost, NAME, text);
        }
        self.transaction = Transaction::observing(self.ruleset);
        self.found = Effect::Disable;
        match self.judge(Phase::RequestHead) {
            Ruling::Pass => self.judge(Phase::RequestBody),
            answer @ Ruling::Answer(_) => answer,
        }
    }
}
