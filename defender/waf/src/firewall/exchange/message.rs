//! Messages that follow a request: the text that a client sends over a WebSocket that was opened by it, and calls of gRPC.

use super::{Effect, Exchange, Phase, Processor, Request, Ruling, Transaction, fill_head};
use crate::{
    Collection,
    body::{fill_body, protobuf},
    http::read_head,
    inspection::Decoding,
};

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
        let Some(request) = bare() else { return Ruling::Pass };
        let mut parts = request.clone();
        let begins = text.trim_ascii_start().first();
        let looks_like_json = begins.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"'));
        let depth = self.ruleset.settings.depth_limit;
        if looks_like_json {
            fill_body(&mut parts, text, Some(Processor::Json), depth, false);
        }
        if looks_like_json && parts.first(Collection::ReqbodyError, b"") == Some(b"0") {
            return self.judge_alone(parts);
        }
        self.judge_alone(with(request, NAME, text))
    }

    /// Judges one message of a gRPC call as [`Exchange::message`] does, each text in it by itself. `coding` is the call's
    /// `grpc-encoding` when the message is compressed; what cannot be read is judged as the bytes that it is.
    pub fn call(&mut self, message: &[u8], coding: Option<&[u8]>) -> Ruling {
        let Some(mut request) = bare() else { return Ruling::Pass };
        let plain = coding.and_then(|coding| uncoded(message, coding));
        let message = plain.as_deref().unwrap_or(message);
        let name = |path: &str| [NAME, b".", path.as_bytes()].concat();
        if !protobuf::texts(message, &mut |path, text| request.add(Collection::ArgsPost, &name(path), text)) {
            request.add(Collection::ArgsPost, NAME, message);
        }
        self.judge_alone(request)
    }

    fn judge_alone(&mut self, request: Request) -> Ruling {
        self.request = request;
        self.transaction = Transaction::observing(self.ruleset);
        self.found = Effect::Disable;
        match self.judge(Phase::RequestHead) {
            Ruling::Pass => self.judge(Phase::RequestBody),
            answer @ Ruling::Answer(_) => answer,
        }
    }
}

/// The values of a request that no rule minds.
fn bare() -> Option<Request> {
    let (head, _) = read_head(BARE).ok()??;
    let mut request = Request::new();
    fill_head(&mut request, &head);
    Some(request)
}

fn with(mut request: Request, name: &[u8], value: &[u8]) -> Request {
    request.add(Collection::ArgsPost, name, value);
    request
}

/// A message without its compression; none when it is not so compressed, or a bomb.
fn uncoded(message: &[u8], coding: &[u8]) -> Option<Vec<u8>> {
    let mut decoding = Decoding::new(std::iter::once(coding)).ok()?;
    let mut plain = Vec::new();
    decoding.feed(message, &mut plain).ok()?;
    decoding.end(&mut plain).ok()?;
    Some(plain)
}
