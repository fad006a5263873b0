//! A body as it comes, piece by piece: what is held, and when something is to be judged.

use super::{
    CodingError, Profile,
    coding::Decoding,
    reading::{self, About},
    sniff::{self, Declared},
    window::{Kind, Window},
};
use crate::{
    body::{BodyError, Processor, fill_body, set_outcome},
    http::{Framing, Head},
    value::{Collection, Request},
};

/// How much of a body is looked at at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, without content coding, that are held and read as a whole.
    pub held: usize,
    /// How deep JSON and XML may be nested.
    pub depth: usize,
}

/// What is to be judged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// The body, or as much of it as is held: fill it into the request whose head was judged.
    Body,
    /// A further piece: fill it into a request that has the head and nothing else of the body.
    Window,
}

/// The body of one request. Feed it, and [`fill`](Self::fill) a request whenever something is due.
#[derive(Debug)]
pub struct Body {
    profile: Profile,
    limits: Limits,
    content_type: Vec<u8>,
    types: Vec<Vec<u8>>,
    decoding: Decoding,
    fault: Option<CodingError>,
    /// Whether rules were told of the fault.
    told: bool,
    /// What is not judged yet, decoded.
    held: Vec<u8>,
    /// The same as it came, where it is decoded: all of it is judged should it turn out to be coded otherwise.
    coded: Vec<u8>,
    /// Bytes that came, coded as they were.
    came: u64,
    /// How many will come, when the head says so.
    total: Option<u64>,
    window: Option<Window>,
    ended: bool,
    judged: bool,
}

impl Body {
    /// The body that follows a head.
    #[must_use]
    pub fn new(profile: Profile, head: &Head, limits: Limits) -> Self {
        let fields = |name: &'static str| {
            let of_name = move |header: &crate::http::Header<'_>| header.name.eq_ignore_ascii_case(name.as_bytes());
            head.headers().filter(of_name).map(|header| header.value)
        };
        let types: Vec<Vec<u8>> = fields("content-type").map(<[u8]>::to_vec).collect();
        let (decoding, fault) = match Decoding::new(fields("content-encoding")) {
            _ if profile == Profile::CrsStrict => (Decoding::default(), None),
            Ok(decoding) => (decoding, None),
            Err(fault) => (Decoding::default(), Some(fault)),
        };
        Self {
            profile,
            limits,
            content_type: types.first().cloned().unwrap_or_default(),
            types,
            decoding,
            fault,
            told: false,
            held: Vec::new(),
            coded: Vec::new(),
            came: 0,
            total: if let Framing::Length(length) = head.framing() { Some(length) } else { None },
            window: None,
            ended: false,
            judged: false,
        }
    }

    /// How many bytes, as they come over the wire, have to be held back before anything is sent on.
    #[must_use]
    pub fn need(&self) -> usize {
        self.limits.held
    }

    /// What is due, decoded; of a body that is due, all that is held of it.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Bytes of memory that it takes.
    pub(crate) fn size(&self) -> usize {
        self.held.len() + self.coded.len()
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ended
    }

    /// Takes from a piece as it came over the wire, without its transfer coding. Gives how many bytes were taken, which is less
    /// than all only when something is due, and what that is; go on with the rest after it was judged.
    pub fn feed(&mut self, piece: &[u8]) -> (usize, Due) {
        if self.judged && self.window.is_none() {
            return (piece.len(), Due::Nothing);
        }
        let mut taken = 0;
        while taken < piece.len() && self.due() == Due::Nothing {
            let room = if self.decoding.is_plain() { self.room() } else { self.room().min(4096) };
            let slice = &piece[taken..piece.len().min(taken + room.max(1))];
            taken += slice.len();
            self.came += slice.len() as u64;
            if !self.judged && !self.decoding.is_plain() {
                self.coded.extend_from_slice(slice);
            }
            if let Err(fault) = self.decoding.feed(slice, &mut self.held) {
                self.give_up(fault);
            }
            if self.total.is_some_and(|total| self.came >= total) {
                self.end();
            }
        }
        (taken, self.due())
    }

    /// Says that the body is whole, or that as much of it as has to be held is there; gives what is still due. A body of known
    /// length ends by itself, one of unknown length with the call that follows a byte beyond what is held.
    pub fn end(&mut self) -> Due {
        let whole = self.total.map_or(self.came != self.limits.held as u64, |total| self.came >= total);
        if whole && !self.ended {
            self.ended = true;
            if let Err(fault) = self.decoding.end(&mut self.held) {
                self.give_up(fault);
            }
        }
        self.due()
    }

    /// Adds to a request what is due. `chosen` is the kind that a rule chose (`ctl:requestBodyProcessor`), `forced` whether a
    /// rule wants `REQUEST_BODY` in any case.
    pub fn fill(&mut self, request: &mut Request, chosen: Option<Processor>, forced: bool) {
        if self.judged {
            self.fill_window(request);
        } else {
            self.judged = true;
            self.fill_held(request, chosen, forced);
        }
    }

    /// Passes over what is due, and over all that follows: nobody judges it.
    pub fn pass(&mut self) {
        (self.judged, self.window, self.held, self.coded) = (true, None, Vec::new(), Vec::new());
    }

    /// What is to be judged now.
    #[must_use]
    pub fn due(&self) -> Due {
        if !self.judged {
            let full = self.held.len().max(self.came()) >= self.limits.held;
            return if self.ended || full { Due::Body } else { Due::Nothing };
        }
        match &self.window {
            Some(window) if window.is_due(&self.held, self.ended) => Due::Window,
            Some(_) if self.fault.is_some() && !self.told => Due::Window,
            _ => Due::Nothing,
        }
    }

    fn room(&self) -> usize {
        match &self.window {
            Some(_) => Window::room(&self.held),
            None => self.limits.held.saturating_sub(self.held.len().max(self.came())),
        }
    }

    fn came(&self) -> usize {
        usize::try_from(self.came).unwrap_or(usize::MAX)
    }

    /// What cannot be decoded is taken as it came, and comes from now on: an application may pay no heed to codings.
    fn give_up(&mut self, fault: CodingError) {
        self.fault.get_or_insert(fault);
        self.held.append(&mut self.coded);
        self.decoding = Decoding::default();
    }

    fn fill_held(&mut self, request: &mut Request, chosen: Option<Processor>, forced: bool) {
        self.coded = Vec::new();
        let kind = match self.profile {
            Profile::CrsStrict => {
                let kind = chosen.or(Processor::of_content_type(&self.content_type));
                fill_body(request, &self.held, kind, self.limits.depth, forced);
                kind
            }
            Profile::Balanced => self.fill_balanced(request, forced),
        };
        request.set(Collection::InboundDataError, if self.ended { b"0" } else { b"1" });
        // Of a body that is whole nothing is left to be looked at.
        self.window = if self.ended { None } else { self.window(kind) };
        if let Some(window) = &mut self.window {
            window.skip(&mut self.held);
            self.held.shrink_to_fit();
        } else {
            self.held = Vec::new();
        }
    }

    fn fill_balanced(&mut self, request: &mut Request, forced: bool) -> Option<Processor> {
        let about = About { content_type: &self.content_type, depth: self.limits.depth, whole: self.ended, forced };
        let kind = reading::fill(request, &self.held, about);
        if self.types.iter().any(|other| !other.eq_ignore_ascii_case(&self.content_type)) {
            request.add(Collection::ReqbodyNotes, b"types", b"there is more than one content type");
        }
        self.tell_fault(request);
        kind
    }

    /// Tells rules of a coding that cannot be undone, once.
    fn tell_fault(&mut self, request: &mut Request) {
        let Some(fault) = self.fault.as_ref().filter(|_| !self.told) else { return };
        self.told = true;
        let message = fault.to_string();
        request.add(Collection::ReqbodyNotes, b"coding", message.as_bytes());
        if self.came > 0 {
            set_outcome(request, Err(BodyError(message)));
        }
    }

    /// How the rest is read; nothing when it is nothing for rules: a file's bytes.
    fn window(&self, kind: Option<Processor>) -> Option<Window> {
        let binary = sniff::declared(&self.content_type) == Declared::Binary && !sniff::is_text(&self.held);
        match kind {
            None if binary => None,
            Some(Processor::Multipart) => Some(Window::multipart(&self.content_type, &self.held)),
            kind => Some(Window::new(Kind::of(kind))),
        }
    }

    fn fill_window(&mut self, request: &mut Request) {
        let Some(window) = &mut self.window else { return };
        window.fill(request, &mut self.held, self.profile);
        self.tell_fault(request);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::{fill_head, read_head};

    const LIMITS: Limits = Limits { held: 4096, depth: 16 };

    fn head(fields: &str) -> Head {
        read_head(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes()).unwrap().unwrap().0
    }

    /// Feeds a body in pieces; gives what was filled in, each time with the head before it.
    fn filled(profile: Profile, head: &Head, text: &[u8], pieces: usize) -> Vec<Request> {
        let mut body = Body::new(profile, head, LIMITS);
        let mut requests = Vec::new();
        let mut fill = |body: &mut Body| {
            let mut request = Request::new();
            fill_head(&mut request, head);
            body.fill(&mut request, None, false);
            requests.push(request);
        };
        for piece in text.chunks(pieces) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, due) = body.feed(rest);
                rest = &rest[taken..];
                if due != Due::Nothing {
                    fill(&mut body);
                }
            }
        }
        while body.end() != Due::Nothing {
            fill(&mut body);
        }
        requests
    }

    /// Without a body something is due all the same, once: rules on arguments wait for it.
    #[test]
    fn nothing_is_due_once() {
        let head = head("Content-Type: application/json\r\nContent-Encoding: gzip");
        let requests = filled(Profile::Balanced, &head, b"", 1);

        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].first(Collection::ReqbodyError, b""), Some(&b"0"[..]));
    }

    /// A body of known length is due with its last byte, before anybody says that it is whole; one in chunks is not.
    #[test]
    fn a_known_length_ends_by_itself() {
        let mut known = Body::new(Profile::Balanced, &head("Content-Length: 3"), LIMITS);
        let mut chunked = Body::new(Profile::Balanced, &head("Transfer-Encoding: chunked"), LIMITS);

        assert_eq!((known.feed(b"a="), known.feed(b"1")), ((2, Due::Nothing), (1, Due::Body)));
        assert_eq!(chunked.feed(b"a=1"), (3, Due::Nothing));
        assert_eq!(chunked.end(), Due::Body);
    }

    /// Whoever tells of the limit that is reached, and of the end later, has the rest judged with the second call.
    #[test]
    fn the_end_is_told_twice_behind_the_limit() {
        let mut body = Body::new(Profile::Balanced, &head("Transfer-Encoding: chunked"), LIMITS);
        assert_eq!(body.feed(&[b'a'; 4096]), (4096, Due::Body));
        body.fill(&mut Request::new(), None, false);
        assert_eq!(body.end(), Due::Nothing);
        assert_eq!(body.feed(b"&b=<script>"), (11, Due::Nothing));
        assert_eq!(body.end(), Due::Window);
        let mut request = Request::new();
        body.fill(&mut request, None, false);
        assert!(request.of(Collection::Args).any(|value| value.value.ends_with(b"<script>")));
        assert_eq!(body.end(), Due::Nothing);
    }

    /// A body that is not coded as its head says is refused, and judged as it came, however it was cut.
    #[test]
    fn what_is_coded_otherwise_is_judged_as_it_came() {
        for step in [1, 7, 100] {
            let head = head("Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip");
            let requests = filled(Profile::Balanced, &head, b"a=<script>", step);

            assert_eq!(requests[0].first(Collection::ReqbodyError, b""), Some(&b"1"[..]));
            assert_eq!(requests[0].first(Collection::ArgsPost, b"a"), Some(&b"<script>"[..]), "pieces of {step}");
        }
    }

    /// What is odd without being wrong is noted for rules.
    #[test]
    fn oddities_are_noted() {
        let noted = |fields: &str, text: &[u8]| {
            let requests = filled(Profile::Balanced, &head(fields), text, 64);
            requests[0]
                .of(Collection::ReqbodyNotes)
                .map(|note| String::from_utf8_lossy(note.name).into_owned())
                .collect::<Vec<_>>()
        };

        assert_eq!(noted("Content-Type: application/x-www-form-urlencoded", b"{\"a\":1}"), ["mismatch"]);
        assert_eq!(noted("Content-Type: text/plain; charset=x-unheard-of", b"a"), ["charset"]);
        assert_eq!(noted("Content-Type: text/plain\r\nContent-Type: text/html", b"a"), ["types"]);
        assert_eq!(noted("Content-Type: text/plain\r\nContent-Encoding: br", b"a"), ["coding"]);
        assert!(noted("Content-Type: application/json", b"{\"a\":1}").is_empty());
    }

    proptest! {
        /// The strict profile reads what is held as it is read without any of this.
        #[test]
        fn strict_is_what_it_was(text in "[a-c=&%0-9{}\":,<>/]{0,80}", kind in proptest::sample::select(vec!["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=a"])) {
            let head = head(&format!("Content-Type: {kind}"));
            let requests = filled(Profile::CrsStrict, &head, text.as_bytes(), 7);
            let mut wanted = Request::new();
            fill_head(&mut wanted, &head);
            fill_body(&mut wanted, text.as_bytes(), Processor::of_content_type(kind.as_bytes()), LIMITS.depth, false);
            wanted.set(Collection::InboundDataError, b"0");
            prop_assert_eq!(requests, vec![wanted]);
        }

        /// No body, of whatever kind and however cut, makes the reader panic or leaves something unjudged that it holds.
        #[test]
        fn any_body_is_read(text in proptest::collection::vec(any::<u8>(), 0..9000), pieces in 1_usize..5000, kind in proptest::sample::select(vec![
            "application/x-www-form-urlencoded", "application/json", "text/xml", "multipart/form-data; boundary=a", "image/png", "",
            "text/plain; charset=utf-16", "text/plain; charset=utf-7",
        ])) {
            let requests = filled(Profile::Balanced, &head(&format!("Content-Type: {kind}")), &text, pieces);
            prop_assert!(!requests.is_empty());
        }
    }
}
