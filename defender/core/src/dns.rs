//! DNS messages, as far as judging look-ups needs them (RFC 1035, section 4.1). Total on hostile bytes.

const HEADER: usize = 12;
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 255;
const RESPONSE: u16 = 0x8000;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const OPCODE: u16 = 0x7800;
const NAME_ERROR: u16 = 3;

/// The question of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The query's id.
    pub id: u16,
    /// The name, lower-case, without trailing dot; bytes that are not printable ASCII as `\DDD` (RFC 4343).
    pub name: String,
    /// The record type: `A`, `AAAA`, or `TYPE65` for those without a name here (RFC 3597).
    pub record_type: String,
    /// Where the question ends in the message.
    end: usize,
}

/// Reads a query with one question.
///
/// None for anything else: responses, other operations, several questions, broken names.
#[must_use]
pub fn parse_query(message: &[u8]) -> Option<Question> {
    let flags = word(message, 2)?;
    if flags & (RESPONSE | OPCODE) != 0 {
        return None;
    }
    parse_question(message)
}

/// The answer "there is no such name" to a query; none when it is no query.
#[must_use]
pub fn nxdomain(query: &[u8]) -> Option<Vec<u8>> {
    let question = parse_query(query)?;
    let flags = RESPONSE | RECURSION_AVAILABLE | (word(query, 2)? & RECURSION_DESIRED) | NAME_ERROR;
    let mut answer = question.id.to_be_bytes().to_vec();
    answer.extend(flags.to_be_bytes());
    answer.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    answer.extend_from_slice(query.get(HEADER..question.end)?);
    Some(answer)
}

/// True when `response` answers `query`: same id, same question (names compared without case).
#[must_use]
pub fn answers(query: &[u8], response: &[u8]) -> bool {
    let is_response = word(response, 2).is_some_and(|flags| flags & RESPONSE != 0);
    match (parse_query(query), parse_question(response)) {
        (Some(asked), Some(answered)) if is_response => {
            (asked.id, asked.name, asked.record_type) == (answered.id, answered.name, answered.record_type)
        }
        _ => false,
    }
}

fn parse_question(message: &[u8]) -> Option<Question> {
    if word(message, 4)? != 1 {
        return None;
    }
    let (name, end) = parse_name(message)?;
    let record_type = type_name(word(message, end)?);
    message.get(end + 4 - 1)?;
    Some(Question { id: word(message, 0)?, name, record_type, end: end + 4 })
}

/// The name that starts right after the header. A question has nothing to point back to, so pointers are refused.
fn parse_name(message: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), HEADER);
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > LONGEST_LABEL || at + length - HEADER > LONGEST_NAME {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for &byte in message.get(at..at + length)? {
            match byte {
                b'.' | b'\\' => name.extend(['\\', char::from(byte)]),
                0x21..=0x7e => name.push(char::from(byte.to_ascii_lowercase())),
                _ => name.push_str(&format!("\\{byte:03}")),
            }
        }
        at += length;
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Names of the types that people meet (IANA registry "Resource Record (RR) TYPEs").
fn type_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        65 => "HTTPS",
        255 => "ANY",
        _ => return format!("TYPE{number}"),
    };
    name.to_owned()
}
