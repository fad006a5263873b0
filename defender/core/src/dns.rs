//! DNS messages (RFC 1035), as far as a resolver in between needs them: whose name is asked for, a refusal, and whether a
//! response belongs to a query. Total on hostile bytes: there is no message on which these functions panic or loop.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod answer;
mod failure;
mod reverse;

pub use answer::{Given, given};
pub use failure::{NOT_IMPLEMENTED, REFUSED, SERVER_FAILED, failure};
pub use reverse::{Names, confirms, name_query, parse_names};

const HEADER: usize = 12;
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: u8 = 63;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const TYPE_IXFR: u16 = 251;
const TYPE_AXFR: u16 = 252;
const CLASS_IN: u16 = 1;
/// What DNS flag day 2020 agreed on: no fragments on any common path.
const PAYLOAD: u16 = 1232;
const FLAG_RESPONSE: u8 = 0x80;
const FLAG_TRUNCATED: u8 = 0x02;
const FLAG_RECURSION_DESIRED: u8 = 0x01;
const FLAG_RECURSION_AVAILABLE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RCODE: u8 = 0x0f;
const NXDOMAIN: u8 = 3;

/// What a query asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The query's id.
    pub id: u16,
    /// The name, lower-case, without trailing dot; odd bytes as `\046` (RFC 4343, section 2.1).
    pub name: String,
    /// The record type as text: `A`, `AAAA`, or `TYPE99` where there is no common name (RFC 3597).
    pub record_type: String,
}

impl Question {
    /// True for a zone transfer, whose answer is a stream of messages (RFC 5936).
    #[must_use]
    pub fn is_transfer(&self) -> bool {
        matches!(self.record_type.as_str(), "AXFR" | "IXFR")
    }
}

/// Reads the question of a query. None when it is no standard query with exactly one question: a message that two parsers
/// could read differently is not passed on.
#[must_use]
pub fn parse_query(message: &[u8]) -> Option<Question> {
    let header = message.get(..HEADER)?;
    let is_query = header[2] & (FLAG_RESPONSE | OPCODE) == 0;
    if !is_query || word(message, 4)? != 1 || word(message, 6)? != 0 {
        return None;
    }
    let (name, end) = plain_name(message)?;
    let record_type = word(message, end)?;
    word(message, end + 2)?;
    Some(Question { id: word(message, 0)?, name, record_type: type_name(record_type) })
}

/// Makes the answer that the name does not exist (RFC 8020), with the query's id, question and, if it has one, an EDNS
/// record (RFC 6891, section 7). None when it is no query.
#[must_use]
pub fn nxdomain(query: &[u8]) -> Option<Vec<u8>> {
    parse_query(query)?;
    let question_end = plain_name(query)?.1 + 4;
    let edns = edns_flags(query, question_end);
    let mut answer = query.get(..question_end)?.to_vec();
    answer[2] = FLAG_RESPONSE | (query[2] & FLAG_RECURSION_DESIRED);
    answer[3] = FLAG_RECURSION_AVAILABLE | NXDOMAIN;
    answer[6..HEADER].fill(0);
    if let Some(flags) = edns {
        answer[HEADER - 1] = 1;
        answer.push(0);
        for field in [TYPE_OPT, PAYLOAD, 0, flags, 0] {
            answer.extend_from_slice(&field.to_be_bytes());
        }
    }
    Some(answer)
}

/// Makes a question with the id of `query` whose answer is that the name does not exist: there is nothing under `invalid`
/// (RFC 6761, section 6.4). None when it is no query.
#[must_use]
pub fn nowhere(query: &[u8]) -> Option<Vec<u8>> {
    address_query(parse_query(query)?.id, "invalid", false)
}

/// True when `response` answers `query`: same id and same question (RFC 5452, section 4.2).
#[must_use]
pub fn answers(query: &[u8], response: &[u8]) -> bool {
    matching_question_end(query, response).is_some()
}

/// Makes a recursive query for the addresses of a name: IPv6 ones if `v6`, else IPv4 ones. None when it is no host name.
#[must_use]
pub fn address_query(id: u16, name: &str, v6: bool) -> Option<Vec<u8>> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[FLAG_RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=LONGEST_LABEL).contains(length))?;
        query.push(length);
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    if query.len() - HEADER > LONGEST_NAME {
        return None;
    }
    query.extend_from_slice(&(if v6 { TYPE_AAAA } else { TYPE_A }).to_be_bytes());
    query.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(query)
}

/// What a resolver said about a name's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// These are all of them; none when the name does not exist or has none of this kind.
    Found(Vec<IpAddr>),
    /// The answer did not fit, ask again over TCP.
    Truncated,
}

/// Reads the addresses of a response to `query`. None when it does not belong to it, is damaged, or the server failed.
#[must_use]
pub fn parse_addresses(query: &[u8], response: &[u8]) -> Option<Addresses> {
    let mut at = matching_question_end(query, response)?;
    if response[2] & FLAG_TRUNCATED != 0 {
        return Some(Addresses::Truncated);
    }
    if !matches!(response[3] & RCODE, 0 | NXDOMAIN) {
        return None;
    }
    let mut found = Vec::new();
    for _ in 0..word(response, 6)? {
        let record = Record::read(response, at)?;
        match (record.kind, record.data) {
            (TYPE_A, &[a, b, c, d]) => found.push(Ipv4Addr::new(a, b, c, d).into()),
            (TYPE_AAAA, data) => found.push(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
            // An alias on the way; the resolver followed it and put the addresses behind it.
            _ => {}
        }
        at = record.end;
    }
    Some(Addresses::Found(found))
}

/// Where the question of a response ends, if it is the question of the query.
fn matching_question_end(query: &[u8], response: &[u8]) -> Option<usize> {
    parse_query(query)?;
    let is_response = response.get(2)? & (FLAG_RESPONSE | OPCODE) == FLAG_RESPONSE;
    if !is_response || word(query, 0)? != word(response, 0)? || word(response, 4)? != 1 {
        return None;
    }
    let end = plain_name(query)?.1 + 4;
    // Servers may change the case of a name on its way, but nothing else.
    let same = query.get(HEADER..end)?.eq_ignore_ascii_case(response.get(HEADER..end)?);
    let exact = query.get(end - 4..end)? == response.get(end - 4..end)?;
    (same && exact).then_some(end)
}

/// The name right behind the header, and where it ends. A question has nothing to point to, so pointers are refused.
fn plain_name(message: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = HEADER;
    loop {
        let length = *message.get(at)?;
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > LONGEST_LABEL || at - HEADER + usize::from(length) + 1 > LONGEST_NAME {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        let end = at + usize::from(length);
        message.get(at..end)?.iter().for_each(|&byte| push_byte(&mut name, byte));
        at = end;
    }
}

/// A dot inside a label must not look like one between labels, so it is written by its number: `*.shop.test` on an allow
/// list does not mean the label `x.shop` under `test`.
fn push_byte(name: &mut String, byte: u8) {
    match byte {
        0x21..=0x7e if !matches!(byte, b'.' | b'\\') => name.push(byte.to_ascii_lowercase().into()),
        _ => name.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
    }
}

fn digit(value: u8) -> char {
    char::from(b'0' + value)
}

fn type_name(record_type: u16) -> String {
    let known = match record_type {
        TYPE_A => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        TYPE_AAAA => "AAAA",
        33 => "SRV",
        64 => "SVCB",
        65 => "HTTPS",
        TYPE_IXFR => "IXFR",
        TYPE_AXFR => "AXFR",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    known.to_owned()
}

/// The flags to answer with, if the query has an EDNS record: the `DO` bit as it came.
fn edns_flags(query: &[u8], question_end: usize) -> Option<u16> {
    let records = u32::from(word(query, 8)?) + u32::from(word(query, 10)?);
    let mut at = question_end;
    for _ in 0..records {
        let record = Record::read(query, at)?;
        if record.kind == TYPE_OPT {
            return Some(record.flags & 0x8000);
        }
        at = record.end;
    }
    None
}

struct Record<'a> {
    kind: u16,
    /// The lower half of the time to live, which EDNS uses for flags.
    flags: u16,
    /// The time to live.
    seconds: u32,
    data: &'a [u8],
    end: usize,
}

impl<'a> Record<'a> {
    fn read(message: &'a [u8], at: usize) -> Option<Self> {
        let at = skip_name(message, at)?;
        let length = usize::from(word(message, at + 8)?);
        let end = at + 10 + length;
        let data = message.get(at + 10..end)?;
        let flags = word(message, at + 6)?;
        let seconds = u32::from(word(message, at + 4)?) << 16 | u32::from(flags);
        Some(Self { kind: word(message, at)?, flags, seconds, data, end })
    }
}

/// The end of a name; a pointer ends it, wherever it points to.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length <= LONGEST_LABEL => at += 1 + usize::from(length),
            length if length >= 0xc0 => return message.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
