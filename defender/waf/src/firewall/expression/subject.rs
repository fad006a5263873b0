//! What is known of a request and its response, asked field by field.

use std::net::IpAddr;

use super::{
    token,
    tree::{Field, Moment, Operand, Pattern, Test, Tree, Value},
};
use crate::{Collection, Request, firewall::ResponseHead};

/// A request and its response, as far as they are known. Ask again when more is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What the head tells, and once `body` is there what the body does.
    pub request: &'a Request,
    /// The request's body as far as it is inspected; none while it is not read.
    pub body: Option<&'a [u8]>,
    /// The response's head; none before there is one.
    pub response: Option<&'a ResponseHead>,
    /// The response's body as far as it is inspected; none while it is not read.
    pub response_body: Option<&'a [u8]>,
    /// Who the request is from.
    pub client: IpAddr,
    /// Where that is, ISO 3166 alpha-2; none when nobody knows.
    pub country: Option<&'a str>,
    /// Whether the client speaks TLS.
    pub secure: bool,
    /// Milliseconds since 1970.
    pub now: u64,
}

/// How much of one matched text is told, in bytes; and how many of them.
const TOLD_BYTES: usize = 256;
const MOST_TOLD: usize = 16;

impl Subject<'_> {
    /// Whether a condition holds; none when that cannot be known yet. What patterns matched is appended to `told`.
    pub(super) fn hold(&self, condition: &Tree, told: &mut Vec<String>) -> Option<bool> {
        match condition {
            Tree::Any(parts) => self.decided(parts, true, told),
            Tree::All(parts) => self.decided(parts, false, told),
            // What matched within is what must not.
            Tree::Not(part) => self.hold(part, &mut Vec::new()).map(|holds| !holds),
            Tree::Term(operand, test) => self.passes(operand, test, told),
            Tree::Valid(operand) => self.any(operand, &mut |value| token::is_valid(value, self.now)),
        }
    }

    /// One part that is `deciding` decides; otherwise it is the contrary when all are known.
    fn decided(&self, parts: &[Tree], deciding: bool, told: &mut Vec<String>) -> Option<bool> {
        let mut known = true;
        let before = told.len();
        for part in parts {
            match self.hold(part, told) {
                Some(holds) if holds == deciding => {
                    if !deciding {
                        told.truncate(before);
                    }
                    return Some(deciding);
                }
                Some(_) => {}
                None => known = false,
            }
        }
        known.then_some(!deciding)
    }

    fn passes(&self, operand: &Operand, test: &Test, told: &mut Vec<String>) -> Option<bool> {
        let lenient = operand.ignores_case();
        let equal = |value: &[u8], wanted: &str| {
            if lenient { value.eq_ignore_ascii_case(wanted.as_bytes()) } else { value == wanted.as_bytes() }
        };
        let list = operand.kind() == super::tree::Kind::List;
        match test {
            Test::Fits(pattern) => self.any(operand, &mut |value| fits(pattern, value, told)),
            Test::Contains(text) if list => self.any(operand, &mut |value| equal(value, text)),
            Test::Contains(text) => {
                let finder = memchr::memmem::Finder::new(text.as_bytes());
                self.any(operand, &mut |value| finder.find(value).is_some())
            }
            Test::StartsWith(text) => self.any(operand, &mut |value| value.starts_with(text.as_bytes())),
            Test::EndsWith(text) => self.any(operand, &mut |value| value.ends_with(text.as_bytes())),
            Test::Equal(wanted) => self.is_one_of(operand, std::slice::from_ref(wanted), &equal),
            Test::Unequal(wanted) => self.is_one_of(operand, std::slice::from_ref(wanted), &equal).map(|is| !is),
            Test::In(wanted) => self.is_one_of(operand, wanted, &equal),
            Test::Less(number) => self.status().map(|status| status < *number),
            Test::Greater(number) => self.status().map(|status| status > *number),
            Test::AtMost(number) => self.status().map(|status| status <= *number),
            Test::AtLeast(number) => self.status().map(|status| status >= *number),
        }
    }

    fn is_one_of(&self, operand: &Operand, wanted: &[Value], equal: &dyn Fn(&[u8], &str) -> bool) -> Option<bool> {
        match operand {
            Operand::Field(Field::Ip) => Some(wanted.iter().any(|value| match value {
                Value::Network(_, network, prefix) => contains(*network, *prefix, self.client),
                _ => false,
            })),
            Operand::Field(Field::Status) => {
                let status = self.status()?;
                Some(wanted.iter().any(|value| *value == Value::Number(status)))
            }
            _ => self.any(operand, &mut |value| {
                wanted.iter().any(|wanted| matches!(wanted, Value::Text(text) if equal(value, text)))
            }),
        }
    }

    fn status(&self) -> Option<u32> {
        self.response.map(|head| u32::from(head.status))
    }

    /// Whether something holds for one of the values that an operand gives; none when they are not known.
    fn any(&self, operand: &Operand, holds: &mut dyn FnMut(&[u8]) -> bool) -> Option<bool> {
        match operand {
            Operand::Field(field) => self.field(*field, None, holds),
            Operand::Selected(field, key) => self.field(*field, Some(key), holds),
            Operand::Changed(function, inner) => self.any(inner, &mut |value| holds(&function.apply(value))),
            Operand::Token(unwrapping, inner) => {
                self.any(inner, &mut |value| unwrapping.apply(value).is_some_and(|value| holds(&value)))
            }
        }
    }

    fn field(&self, field: Field, key: Option<&str>, holds: &mut dyn FnMut(&[u8]) -> bool) -> Option<bool> {
        use Collection as C;
        let known = match field.moment() {
            Moment::RequestHead => true,
            Moment::RequestBody => self.body.is_some(),
            Moment::ResponseHead => self.response.is_some(),
            Moment::ResponseBody => self.response_body.is_some(),
        };
        if !known {
            return None;
        }
        let mut of = |collection| self.request.of(collection).any(|value| holds(value.value));
        Some(match field {
            Field::HeaderNames => of(C::RequestHeadersNames),
            Field::HeaderValues => of(C::RequestHeaders),
            Field::CookieNames => of(C::RequestCookiesNames),
            Field::CookieValues => of(C::RequestCookies),
            Field::QueryParamNames => of(C::ArgsGetNames),
            Field::QueryParamValues => of(C::ArgsGet),
            Field::BodyParamValues => of(C::ArgsPost) || of(C::XmlText) || of(C::XmlAttributes),
            Field::Method => of(C::RequestMethod),
            Field::Path => of(C::RequestFilename),
            Field::Headers => self.selected(C::RequestHeaders, key, holds),
            Field::Cookies => self.selected(C::RequestCookies, key, holds),
            Field::QueryParams => self.selected(C::ArgsGet, key, holds),
            Field::BodyParams => {
                self.body_names().any(|(name, value)| Some(name) == key.map(str::as_bytes) && holds(value))
            }
            Field::BodyParamNames => self.body_names().any(|(name, _)| holds(name)),
            Field::Body => holds(self.body.unwrap_or_default()),
            Field::Version => self
                .request
                .of(C::RequestProtocol)
                .any(|protocol| holds(protocol.value.strip_prefix(b"HTTP/").unwrap_or(protocol.value))),
            Field::Scheme => holds(if self.secure { b"HTTPS" } else { b"HTTP" }),
            Field::Extension => self
                .request
                .of(C::RequestBasename)
                .any(|base| memchr::memrchr(b'.', base.value).is_some_and(|dot| holds(&base.value[dot + 1..]))),
            Field::Host => self.hosts().any(holds),
            Field::Ip => holds(self.client.to_canonical().to_string().as_bytes()),
            Field::Country => return self.country.map(|country| holds(country.as_bytes())),
            Field::ContentType => self
                .response_headers()
                .any(|(name, value)| name.eq_ignore_ascii_case(b"content-type") && holds(essence(value))),
            Field::Status => self.status().is_some_and(|status| holds(status.to_string().as_bytes())),
            Field::ResponseBody => holds(self.response_body.unwrap_or_default()),
            Field::ResponseHeaders => self
                .response_headers()
                .any(|(name, value)| key.is_some_and(|key| name.eq_ignore_ascii_case(key.as_bytes())) && holds(value)),
            Field::ResponseHeaderNames => self.response_headers().any(|(name, _)| holds(name)),
            Field::ResponseHeaderValues => self.response_headers().any(|(_, value)| holds(value)),
        })
    }

    /// Headers' names are the same in any case, those of cookies and parameters are not.
    fn selected(&self, collection: Collection, key: Option<&str>, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let Some(key) = key.map(str::as_bytes) else { return false };
        let lenient = collection == Collection::RequestHeaders;
        let named = |name: &[u8]| if lenient { name.eq_ignore_ascii_case(key) } else { name == key };
        self.request.of(collection).any(|value| named(value.name) && holds(value.value))
    }

    /// The body's parameters; those of JSON without the `json.` that the engine puts before them.
    fn body_names(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let json = self.request.first(Collection::ReqbodyProcessor, b"") == Some(b"JSON");
        self.request.of(Collection::ArgsPost).map(move |value| {
            let name = value.name.strip_prefix(b"json.").filter(|_| json).unwrap_or(value.name);
            (name, value.value)
        })
    }

    /// The hosts that are asked for, without port: of an absolute target, which counts (RFC 9112, section 3.2.2), and of `Host`.
    fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        let target = self.request.first(Collection::RequestUriRaw, b"");
        let absolute = target.and_then(|target| {
            let start = memchr::memmem::find(target, b"://").filter(|_| !target.starts_with(b"/"))? + 3;
            let authority = &target[start..];
            let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
            Some(&authority[..end])
        });
        let fields = self.request.of(Collection::RequestHeaders);
        let named = fields.filter(|field| field.name.eq_ignore_ascii_case(b"host")).map(|field| field.value);
        absolute.into_iter().chain(named).map(without_port)
    }

    fn response_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let headers = self.response.map(|head| &head.headers[..]).unwrap_or_default();
        headers.iter().map(|(name, value)| (&name[..], &value[..]))
    }
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn without_port(host: &[u8]) -> &[u8] {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    host[..host.len() - digits].strip_suffix(b":").unwrap_or(host)
}

/// Whether a pattern matches; what its groups matched is told, or all of it where there are no groups.
fn fits(pattern: &Pattern, value: &[u8], told: &mut Vec<String>) -> bool {
    let mut captures = pattern.regex.create_captures();
    pattern.regex.search_captures(&regex_automata::Input::new(value), &mut captures);
    let Some(whole) = captures.get_match() else { return false };
    let mut tell = |start: usize, end: usize| {
        if told.len() < MOST_TOLD {
            let end = end.min(start + TOLD_BYTES);
            told.push(String::from_utf8_lossy(&value[start..end]).into_owned());
        }
    };
    let groups: Vec<_> = captures.iter().skip(1).flatten().collect();
    match groups[..] {
        [] => tell(whole.start(), whole.end()),
        _ => groups.iter().for_each(|group| tell(group.start, group.end)),
    }
    true
}

/// Whether an address is in a network; an IPv4 address mapped into IPv6 is its IPv4 address.
fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
